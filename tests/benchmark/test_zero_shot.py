import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.metrics import roc_auc_score

from simcrop import runs
from simcrop.benchmark.encoder import load_encoder, load_matching
from simcrop.benchmark.probe import classification
from simcrop.benchmark.similarity import scores
from simcrop.errors import InputError
from simcrop.formats import scores as written
from simcrop.formats import text_encoder as texts
from simcrop.formats.volumes import VolumeStore
from simcrop.models.inputs import to_input

SPLITS = ["train"] * 4 + ["test"] * 20
NAMES = [f"case{i:02}" for i in range(len(SPLITS))]


@pytest.fixture
def volumes(store):
    rng = np.random.default_rng(0)
    held = {name: rng.integers(-1000, 1000, (16, 16, 8)).astype(np.int16) for name in NAMES}
    return store("volumes.zip", held)


def test_scores_are_those_of_each_volume_and_text_alone(volumes, encoder_weights, text_encoder):
    weights = encoder_weights(aligned=True)
    # More cases than are encoded at once, and texts of unequal length.
    asked = ["nodule .", "no opacity seen ."]
    got = scores(weights, text_encoder, VolumeStore(volumes), NAMES, asked)
    encoder, _ = load_encoder(weights)
    tokenizer, bert = texts.load(text_encoder)
    heads = load_matching(weights, bert.config.hidden_size)
    for row, name in zip(got, NAMES, strict=True):
        patches = encoder(to_input(VolumeStore(volumes).read(name), (16, 16, 8))[None])[:, 1:]
        for value, text in zip(row, asked, strict=True):
            words, mask = texts.encode(tokenizer, bert, [text])
            cosines = heads.similarity(patches, heads.text(words, mask))[0, 0]
            best = sorted(cosines.tolist())[-2:]
            assert value == pytest.approx(sum(best) / 2, abs=1e-5)


def test_fraction_0_ranks_the_cases_by_the_label_s_sentence(
    tmp_path, volumes, case_table, encoder_weights, text_encoder
):
    truth = np.random.default_rng(1).integers(0, 2, (len(SPLITS), 2))
    case_table(SPLITS, {"Nodule": truth[:, 0], "Opacity": truth[:, 1]})
    run = runs.Classify(
        benchmark="tiny",
        method="aligned",
        seed=0,
        weights=encoder_weights(aligned=True),
        text_encoder=str(text_encoder),
        volumes=[volumes],
        record=str(tmp_path / "record.csv"),
        cases=str(tmp_path / "cases.csv"),
        settings={
            "task": "classification",
            "title": "Tiny",
            "cohort": "tiny",
            "kind": "multilabel",
            "fractions": {1.0: {"steps": 2, "lr": 1e-3, "warmup": 0, "batch": 4}},
            "zero_shot": {"sentences": {"Opacity": "opacity seen ."}},
        },
    )
    classification(run, tmp_path)
    tested = [name for name, split in zip(NAMES, SPLITS, strict=True) if split == "test"]
    asked = ["Nodule.", "opacity seen ."]
    fits = scores(run.weights, text_encoder, VolumeStore(volumes), tested, asked)
    none, _ = written.read(tmp_path / "scores.json")["records"]
    assert (none["fraction"], none["train_cases"], none["test_cases"]) == (0.0, 0, 20)
    for column, label in enumerate(("Nodule", "Opacity")):
        expected = roc_auc_score(truth[4:, column], fits[:, column])
        assert none["metrics"][f"auroc:{label}"] == pytest.approx(expected)
    table = pd.read_csv(tmp_path / "predictions.csv")
    np.testing.assert_allclose(table[table["fraction"] == 0]["score:Opacity"], fits[:, 1], 1e-5)


def test_weights_that_know_no_text_are_refused(encoder_weights):
    with pytest.raises(InputError, match="neither sentence_alignment nor global_contrast"):
        load_matching(encoder_weights(), 8)


def test_padding_changes_no_score():
    from simcrop.models.contrast import GlobalContrast

    torch.manual_seed(0)
    model = GlobalContrast(6, 5, 4, 0.07)
    patches, words = torch.randn(3, 7, 6), torch.randn(2, 4, 5)
    mask = torch.tensor([[True] * 4, [True, True, False, False]])
    got = model.scores(patches, model.text(words, mask))
    for i in range(3):
        image = model.image_head(patches[i].mean(dim=0))
        for j, length in enumerate((4, 2)):
            text = model.text_head(words[j, :length].mean(dim=0))
            cosine = image @ text / image.norm() / text.norm()
            assert got[i, j].item() == pytest.approx(cosine.item(), abs=1e-6)
