import multiprocessing

import numpy as np
import pytest
import torch

from simcrop.errors import InputError
from simcrop.formats import cases, sentences, text_encoder
from simcrop.pretrain import data, reports

CPU = torch.device("cpu")
ALL = ("image_reconstruction", "report_reconstruction", "sentence_alignment", "global_contrast")


@pytest.fixture
def prepared(make_run):
    """Makes the batches of a run, with its cases and its texts."""

    def prepare(*names, **settings):
        run = make_run(*names, **settings)
        table = data.training_cases(cases.read(run.cases), run)
        volumes = data.Volumes(run.volumes, list(table["case"]))
        texts = None
        if run.method.objectives.reads_reports:
            texts, _ = reports.read(run, table, sentences.read(run.sentences), CPU)
        return data.Batches(run, list(table["case"]), volumes, texts), table, texts

    return prepare


def same(first, second):
    return first.keys() == second.keys() and all(
        torch.equal(value, second[key]) if isinstance(value, torch.Tensor) else value == second[key]
        for key, value in first.items()
    )


def test_only_training_cases_with_what_the_objectives_need_are_taken(make_run):
    run = make_run("image_reconstruction")
    table = cases.read(run.cases)
    assert list(data.training_cases(table, run)["case"]) == [f"c{n}" for n in range(9) if n != 3]
    run = make_run("sentence_alignment")
    assert list(data.training_cases(table, run)["case"]) == [
        f"c{n}" for n in range(9) if n not in (3, 4)
    ]
    with pytest.raises(InputError, match="0 training cases with a volume and findings"):
        data.training_cases(table.assign(split="test"), run)


def test_an_epoch_takes_each_case_once_but_an_odd_rest_and_the_next_in_another_order(prepared):
    batches, table, _ = prepared("image_reconstruction", batch=3)
    assert batches.steps_per_epoch == len(table) // 3 == 2
    assert len(batches) == 4 * 2
    epochs = [[case for i in (e, e + 1) for case in batches[i]["cases"]] for e in (0, 2, 4, 6)]
    assert all(len(set(epoch)) == 6 for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) == 4
    assert set().union(*epochs) == set(table["case"])


def test_parts_of_an_accumulated_batch_make_up_the_batch(prepared):
    whole, *_ = prepared("image_reconstruction", batch=4, accumulation=1)
    parts, *_ = prepared("image_reconstruction", batch=4, accumulation=2)
    assert len(parts) == 2 * len(whole)
    for step in range(len(whole)):
        split = [parts[2 * step]["cases"], parts[2 * step + 1]["cases"]]
        assert [len(part) for part in split] == [2, 2]
        assert split[0] + split[1] == whole[step]["cases"]


def test_a_batch_larger_than_the_cohort_takes_all_of_it(prepared):
    batches, table, _ = prepared("image_reconstruction", batch=100)
    assert len(batches) == 4
    assert sorted(batches[0]["cases"]) == sorted(table["case"])


def test_a_part_depends_on_seed_and_number_alone_wherever_it_is_computed(prepared, monkeypatch):
    batches, *_ = prepared(*ALL)
    fifth = batches[5]
    again, *_ = prepared(*ALL)
    for number in (7, 0):
        again[number]
    assert same(again[5], fifth)
    monkeypatch.setattr(data, "_MEMORY", 0)
    read_lazily, *_ = prepared(*ALL)
    assert not read_lazily.volumes.in_memory
    monkeypatch.setattr(data.os, "sched_getaffinity", lambda _: {0})
    parts = list(data.loader(read_lazily, first=5))
    assert len(parts) == len(batches) - 5
    assert same(parts[0], fifth)
    assert not same(prepared(*ALL, seed=4)[0][5], fifth)


def test_readers_outlive_sigterm(prepared, monkeypatch):
    monkeypatch.setattr(data, "_MEMORY", 0)
    monkeypatch.setattr(data.os, "sched_getaffinity", lambda _: {0, 1})
    batches, *_ = prepared("image_reconstruction")
    parts = iter(data.loader(batches, first=0))
    first = [next(parts), next(parts)]  # one of each reader
    readers = multiprocessing.active_children()
    assert len(readers) == 2
    for reader in readers:
        reader.terminate()
    for number, part in enumerate([*first, *parts]):
        assert same(part, batches[number])


def test_words_are_hidden_as_mask_tokens_and_special_ones_stay(prepared):
    batches, table, texts = prepared("report_reconstruction")
    shares = []
    for number in range(len(batches)):
        part = batches[number]
        hidden, targets = part["report_hidden"], part["report_targets"]
        assert (part["report_ids"][hidden] == texts.mask_token).all()
        assert torch.equal(part["report_ids"][~hidden], targets[~hidden])
        special = torch.isin(targets, texts.special)
        assert not (hidden & special).any()
        assert torch.equal(part["report_mask"], targets != texts.pad_token)
        for case, row, mask in zip(part["cases"], targets, part["report_mask"], strict=True):
            index = list(table["case"]).index(case)
            assert torch.equal(row[mask], texts.words[texts.report[index]])
        shares.append(hidden.sum() / (~special).sum())
    assert abs(np.mean(shares) - 0.75) < 0.05


def test_reports_are_findings_and_impression_cut_at_max_words(prepared, text_encoder):
    from transformers import BertTokenizerFast

    tokenizer = BertTokenizerFast.from_pretrained(text_encoder)
    _, table, texts = prepared("report_reconstruction", max_words=24)
    row = table.index[table["case"] == "c5"][0]
    said = tokenizer.decode(texts.words[texts.report[row]], skip_special_tokens=True)
    assert said == "a nodule lies in the right upper lobe. there is no effusion. nodule."
    _, _, short = prepared("report_reconstruction", max_words=7)
    assert max(map(len, short.words)) == 7


def test_sentences_are_the_findings_sentences_each_encoded_once_by_the_frozen_text_encoder(
    prepared, make_run
):
    batches, table, _ = prepared("sentence_alignment")
    tokenizer, model = text_encoder.load(make_run("sentence_alignment").text_encoder)
    spoken = sentences.read(make_run("sentence_alignment").sentences)
    spoken = spoken[spoken["section"] == "findings"]
    for number in range(len(batches)):
        part = batches[number]
        assert len(part["sentence"].unique()) == len(part["sentence_words"])
        rows = []
        for owner, case in enumerate(part["cases"]):
            texts = list(spoken["text"][spoken["case"] == case])
            assert (part["owner"] == owner).sum() == len(texts)
            rows += texts
        for sentence, text in zip(part["sentence"], rows, strict=True):
            expected, _ = text_encoder.encode(tokenizer, model, [text])
            real = part["sentence_mask"][sentence]
            assert torch.allclose(part["sentence_words"][sentence][real], expected[0], atol=1e-5)
    assert len(table) == 7


def test_global_contrast_gets_the_mean_word_and_knows_equal_reports(prepared, make_run):
    batches, table, texts = prepared("global_contrast")
    tokenizer, model = text_encoder.load(make_run("global_contrast").text_encoder)
    part = batches[1]
    for case, report, identity in zip(
        part["cases"], part["reports"], part["identity"], strict=True
    ):
        row = table[table["case"] == case].iloc[0]
        whole = f"{row['findings']} {row['impression']}".strip()
        words, _ = text_encoder.encode(tokenizer, model, [whole], 24)
        assert torch.allclose(report, words[0].mean(dim=0), atol=1e-5)
        twins = (table["findings"] + table["impression"]) == row["findings"] + row["impression"]
        assert torch.equal(texts.report == identity, torch.tensor(twins.to_numpy()))


def test_a_case_missing_from_the_stores_is_named_at_once(make_run):
    run = make_run("image_reconstruction")
    with pytest.raises(InputError, match="c3: in the case table but in none of the volume"):
        data.Volumes(run.volumes, ["c0", "c3"])
