import pandas as pd
import pytest

from simcrop.errors import InputError
from simcrop.formats import cases, text_encoder
from simcrop.pretrain.text import SPECIAL, text, vocabulary


def test_vocabulary_holds_words_by_frequency_after_characters_that_spell_the_rest():
    entries = vocabulary(["Lobe, lobe lungs", "clear lungs. Lobe"])
    assert tuple(entries[:5]) == SPECIAL
    assert entries[-3:] == ["lobe", "lungs", "clear"]
    assert len(set(entries)) == len(entries)
    assert {"q", "##q", "7", "##7", "."} <= set(entries)


def test_known_words_stay_whole_and_unheard_ones_are_spelled(text_encoder):
    from transformers import BertTokenizerFast

    tokenizer = BertTokenizerFast.from_pretrained(text_encoder)
    assert tokenizer.tokenize("Nodule zig.") == ["nodule", "z", "##i", "##g", "."]
    ids = tokenizer("nodule")["input_ids"]
    assert tokenizer.convert_ids_to_tokens(ids) == ["[CLS]", "nodule", "[SEP]"]


def test_words_of_the_test_split_are_never_read(text_encoder):
    from transformers import BertTokenizerFast

    tokenizer = BertTokenizerFast.from_pretrained(text_encoder)
    assert "xylophone" not in tokenizer.get_vocab()
    assert "consolidation" in tokenizer.get_vocab()


def test_two_runs_give_the_same_bytes_and_leave_nothing_else(text_run, text_encoder, tmp_path):
    (tmp_path / ".encoder").mkdir()
    (tmp_path / ".encoder" / "left-over").touch()
    text(text_run, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["encoder"]
    names = sorted(path.name for path in text_encoder.iterdir())
    assert names == sorted(path.name for path in (tmp_path / "encoder").iterdir())
    assert "model.safetensors" in names
    for name in names:
        first, second = text_encoder / name, tmp_path / "encoder" / name
        assert first.read_bytes() == second.read_bytes(), name


def test_a_pretrained_encoder_is_copied_with_its_words(text_run, text_encoder, tmp_path):
    settings = text_run.settings.model_copy(update={"pretrained": str(text_encoder)})
    text(text_run.model_copy(update={"settings": settings}), tmp_path)
    sentence = ["A nodule lies in the right upper lobe."]
    (before, _), (after, _) = (
        text_encoder_features(folder, sentence) for folder in (text_encoder, tmp_path / "encoder")
    )
    assert before.equal(after)


def text_encoder_features(folder, sentences):
    return text_encoder.encode(*text_encoder.load(folder), sentences)


def test_a_cohort_without_reports_is_named(text_run, tmp_path):
    table = cases.read(text_run.cases)
    table[["findings", "impression"]] = ""
    cases.write(table, tmp_path / "cases.csv")
    run = text_run.model_copy(update={"cases": str(tmp_path / "cases.csv")})
    with pytest.raises(InputError, match=r"cases\.csv: no training case has a report"):
        text(run, tmp_path)
    assert isinstance(table, pd.DataFrame)
