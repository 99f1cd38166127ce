import json
from typing import ClassVar

import numpy as np
import pandas as pd
import pytest
import torch

from simcrop import runs
from simcrop.benchmark import locate
from simcrop.benchmark.locate import crop, localisation, measure
from simcrop.benchmark.similarity import Matcher
from simcrop.errors import InputError
from simcrop.formats import maps
from simcrop.models.inputs import fit

PATCH = (4, 4, 2)
GRID = (3, 2, 2)


def boxed(*patches):
    """A mask, (12, 8, 4), that fills the named patches."""
    mask = np.zeros((12, 8, 4), bool)
    for x, y, z in patches:
        mask[4 * x : 4 * x + 4, 4 * y : 4 * y + 4, 2 * z : 2 * z + 2] = True
    return mask


def test_a_map_that_is_the_lesion_scores_fully():
    cosines = np.zeros(GRID, np.float32)
    cosines[2, 1, 0] = 1
    found = measure(cosines, boxed((2, 1, 0)), PATCH)
    assert (found["hit"], found["chance"]) == (1, 1 / 12)
    assert found["auroc"] > 0.95 and found["dice"] > 0.7
    missed = measure(-cosines, boxed((2, 1, 0)), PATCH)
    assert (missed["hit"], missed["dice"]) == (0, 0) and missed["auroc"] < 0.05


def test_a_patch_is_on_the_lesion_from_an_eighth_of_its_voxels():
    cosines = np.zeros(GRID, np.float32)
    cosines[0, 0, 0] = 1
    for voxels, hit in ((4, 1), (3, 0)):
        mask = boxed((2, 1, 1))
        mask[:voxels, 0, 0] = True  # of 32
        found = measure(cosines, mask, PATCH)
        assert (found["hit"], found["chance"]) == (hit, (1 + hit) / 12)


def test_a_lesion_smaller_than_that_is_hit_in_the_patch_with_most_of_it():
    mask = np.zeros((12, 8, 4), bool)
    mask[3:6, 0, 0] = True  # one voxel in the first patch along x, two in the second
    for x, hit in ((0, 0), (1, 1)):
        cosines = np.zeros(GRID, np.float32)
        cosines[x, 0, 0] = 1
        found = measure(cosines, mask, PATCH)
        assert (found["hit"], found["chance"]) == (hit, 1 / 12)


def test_chance_is_what_random_maps_hit():
    rng = np.random.default_rng(0)
    mask = boxed((0, 0, 0), (1, 1, 1), (2, 0, 1))
    found = [measure(rng.random(GRID, np.float32), mask, PATCH) for _ in range(400)]
    assert found[0]["chance"] == 3 / 12
    assert np.mean([one["hit"] for one in found]) == pytest.approx(3 / 12, abs=0.07)


@pytest.mark.parametrize("edges", [(20, 7, 4), (11, 9, 5), (12, 8, 4)])
def test_a_mask_is_cut_out_as_its_volume_is(edges):
    values = np.random.default_rng(0).integers(1, 999, edges).astype(np.int32)
    seen = fit(values, (12, 8, 4)).numpy()
    np.testing.assert_array_equal(crop(values, (12, 8, 4)), np.where(seen == -1000, 0, seen))


@pytest.fixture
def make_run(tmp_path, store, case_table, encoder_weights):
    """Two test cases; case01 has two lesions that overlap, case02 one, and one out of sight."""
    masks = {f"case0{i}": np.zeros((20, 8, 4), np.int32) for i in range(3)}
    # The encoder sees voxels 4 to 15 along x: these are patches (2, 1, 0), (1, 1, 0) with it, …
    masks["case01"][12:16, 4:, :2] |= 0b1
    masks["case01"][8:16, 4:, :2] |= 0b10
    masks["case02"][4:8, :4, 2:] |= 0b100  # … and (0, 0, 1).
    masks["case02"][:2] |= 0b1
    rng = np.random.default_rng(0)
    volumes = {case: rng.integers(-999, 999, (20, 8, 4)).astype(np.int16) for case in masks}
    case_table(["train", "test", "test"], {})
    lesions = pd.DataFrame(
        [
            ["case01", 1, "Lung nodule", "left", "A nodule."],
            ["case01", 2, "Lung opacity", "left", "An opacity."],
            ["case02", 3, "Lung nodule", "right", "Another nodule."],
            ["case02", 1, "Lung opacity", "right", "Out of sight."],
            ["case00", 1, "Lung nodule", "right", "In training."],
        ],
        columns=["case", "lesion", "label", "side", "sentence"],
    )
    lesions.to_csv(tmp_path / "lesions.csv", index=False)
    (tmp_path / "weights").touch()

    def make(**changes):
        return runs.Locate(
            benchmark="lesions",
            method="simcrop",
            seed=0,
            weights=str(tmp_path / "weights"),
            record=str(tmp_path / "record.csv"),
            cases=str(tmp_path / "cases.csv"),
            volumes=[store("volumes.zip", volumes)],
            masks=[store("masks.zip", masks)],
            lesions=str(tmp_path / "lesions.csv"),
            text_encoder="encoder",
            settings={"task": "localisation", "title": "L", "cohort": "tiny", "examples": 1},
        ).model_copy(update=changes)

    return make


class Planted:
    """A matcher that knows where each sentence belongs, but for one."""

    shape, patch = (12, 8, 4), PATCH
    best: ClassVar = {
        "A nodule.": (2, 1, 0),
        "An opacity.": (1, 1, 0),
        "Another nodule.": (2, 1, 0),
    }
    affine = Matcher.affine

    def __init__(self, weights, text):
        pass

    def tokens(self, hu):
        return torch.zeros(12, 1)

    def maps(self, tokens, sentences):
        found = np.full((len(sentences), *GRID), 0.1, np.float32)
        for index, sentence in enumerate(sentences):
            if sentence in self.best:
                found[index][self.best[sentence]] = 0.75
        return found


def test_a_planted_patch_is_found_and_a_wrong_one_is_not(make_run, tmp_path, monkeypatch):
    monkeypatch.setattr(locate, "Matcher", Planted)
    localisation(make_run(), tmp_path)
    table = pd.read_csv(tmp_path / "predictions.csv")
    assert list(zip(table["case"], table["lesion"], table["hit"], strict=True)) == [
        ("case01", 1, 1),
        ("case01", 2, 1),
        ("case02", 3, 0),
    ]
    np.testing.assert_allclose(table["chance"], [1 / 12, 2 / 12, 1 / 12])
    scores = json.loads((tmp_path / "scores.json").read_text())
    assert scores["outside"] == 1
    (record,) = scores["records"]
    assert record["metrics"] == pytest.approx(
        {
            "pointing": 2 / 3,
            "chance": table["chance"].mean(),
            "auroc": table["auroc"].mean(),
            "dice": table["dice"].mean(),
        }
    )
    kept, store = maps.read(tmp_path)
    assert list(kept["map"]) == store.cases == ["case01.1", "case01.2"]
    cosines = store.read("case01.1") / maps.SCALE
    assert cosines[2, 1, 0] == 0.75 and np.unique(cosines).tolist() == [0.1, 0.75]
    # Patch (2, 1, 0) spans voxels 12 to 15, 4 to 7 and 0 to 1, of 2 × 2 × 4 mm.
    np.testing.assert_allclose(store.affine("case01.1") @ [2, 1, 0, 1], [27, 11, 2, 1])


def test_weights_without_alignment_are_refused(make_run, tmp_path, encoder_weights, text_encoder):
    run = make_run(weights=encoder_weights(aligned=False), text_encoder=str(text_encoder))
    with pytest.raises(InputError, match="without sentence_alignment"):
        localisation(run, tmp_path)


def test_a_cohort_whose_lesions_are_all_out_of_sight_is_refused(make_run, tmp_path, monkeypatch):
    monkeypatch.setattr(locate, "Matcher", Planted)
    run = make_run()
    table = pd.read_csv(run.lesions)
    table[table["sentence"] == "Out of sight."].to_csv(run.lesions, index=False)
    with pytest.raises(InputError, match="lesions: no test case has a lesion inside"):
        localisation(run, tmp_path)
    assert not (tmp_path / "scores.json").exists()
