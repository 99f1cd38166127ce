import json
from itertools import combinations

import numpy as np
import pandas as pd
import pytest

from simcrop import runs
from simcrop.benchmark.retrieve import ranked, retrieval
from simcrop.benchmark.similarity import scores
from simcrop.formats import sentences
from simcrop.formats.volumes import VolumeStore
from simcrop.report.measures import metrics

SPLITS = ["train"] * 2 + ["test"] * 13
NAMES = [f"case{i:02}" for i in range(len(SPLITS))]
SAID = (["A nodule.", "No opacity."], ["Opacity seen."], ["A nodule seen."])


@pytest.fixture
def run(tmp_path, store, case_table, encoder_weights, text_encoder):
    """Reports of one of three kinds; the last case has none."""
    rng = np.random.default_rng(0)
    held = {name: rng.integers(-1000, 1000, (16, 16, 8)).astype(np.int16) for name in NAMES}
    table = case_table(SPLITS, {})
    said = [*(SAID[i % 3] for i in range(len(NAMES) - 1)), []]
    table["findings"] = [" ".join(one) for one in said]
    table.to_csv(tmp_path / "cases.csv", index=False)
    rows = []
    for name, spoken in zip(NAMES, said, strict=True):
        start = 0
        for order, text in enumerate(spoken):
            rows.append((name, "findings", order, text, start, start + len(text)))
            start += len(text) + 1
    spoken = pd.DataFrame(rows, columns=list(sentences.COLUMNS))
    sentences.write(spoken, tmp_path / "sentences.csv")
    return runs.Retrieve(
        benchmark="tiny",
        method="aligned",
        seed=0,
        weights=encoder_weights(aligned=True),
        record=str(tmp_path / "record.csv"),
        cases=str(tmp_path / "cases.csv"),
        volumes=[store("volumes.zip", held)],
        sentences=str(tmp_path / "sentences.csv"),
        text_encoder=str(text_encoder),
        unit="sentence",
        max_words=512,
        settings={"task": "retrieval", "title": "Tiny", "cohort": "tiny"},
    )


def test_ranks_and_chances_are_those_counted_one_by_one():
    rng = np.random.default_rng(0)
    fits = rng.integers(0, 6, (7, 7)).astype(float)  # with ties
    report = np.array([0, 1, 2, 1, 3, 4, 1])
    got = ranked(fits, report)
    for i in range(7):
        right = [j for j in range(7) if report[j] == report[i]]
        best = max(fits[i, j] for j in right)
        before = [j for j in range(7) if j not in right and fits[i, j] >= best]
        assert got["rank"][i] == 1 + len(before)
        for depth in (1, 5):
            drawn = list(combinations(range(7), depth))
            lucky = sum(bool(set(right) & set(one)) for one in drawn) / len(drawn)
            assert got[f"chance_{depth}"][i] == pytest.approx(lucky)
        assert got["chance_10"][i] == 1


def test_a_method_that_tells_nothing_apart_is_no_better_than_last():
    assert list(ranked(np.zeros((4, 4)), np.arange(4))["rank"]) == [4] * 4


@pytest.mark.parametrize("unit", ["sentence", "report"])
def test_reports_rank_the_volumes_of_the_test_cases(run, tmp_path, unit):
    run = run.model_copy(update={"unit": unit})
    retrieval(run, tmp_path)
    tested = NAMES[2:-1]
    asked = sorted({text for said in SAID for text in said} | {" ".join(said) for said in SAID})
    fits = scores(run.weights, run.text_encoder, VolumeStore(run.volumes), tested, asked)
    value = {text: fits[:, column] for column, text in enumerate(asked)}
    rows = []
    for name in tested:
        said = SAID[NAMES.index(name) % 3]
        said = said if unit == "sentence" else [" ".join(said)]
        rows.append(sum(value[text] for text in said) / len(said))
    kinds = np.array([NAMES.index(name) % 3 for name in tested])
    expected = ranked(np.stack(rows), kinds)
    table = pd.read_csv(tmp_path / "predictions.csv")
    assert list(table["case"]) == tested
    np.testing.assert_array_equal(table["rank"], expected["rank"])
    (record,) = json.loads((tmp_path / "scores.json").read_text())["records"]
    assert record["test_cases"] == 12
    whole = metrics(table, "retrieval", {}, np.ones((12, 1)))
    assert record["metrics"] == pytest.approx({name: v.item() for name, v in whole.items()})
    assert whole["recall_1"] == np.mean(expected["rank"] == 1)
