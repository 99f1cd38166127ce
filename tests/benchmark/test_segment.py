import json

import numpy as np
import pandas as pd
import pytest
import torch

from simcrop.benchmark import finetune, segment
from simcrop.benchmark.crops import random_crops
from simcrop.benchmark.encoder import load_encoder
from simcrop.benchmark.finetune import network, predictions
from simcrop.benchmark.metrics import surface
from simcrop.benchmark.segment import measure, segmentation
from simcrop.errors import InputError
from simcrop.formats.volumes import VolumeStore
from simcrop.models.inputs import scale

OUTPUTS = ("scores.json", "predictions.csv", "masks.zip")


def test_positions_that_came_with_the_weights_are_not_the_crops(make_segment, encoder_weights):
    crop = [8, 8, 8]
    run = make_segment({1.0: {"epochs": 1, "validate_every": 1}}, crop=crop)
    plain = network(run, 0).encoder
    run = run.model_copy(update={"weights": encoder_weights(positions="stored")})
    stored = network(run, 0).encoder
    assert torch.equal(stored.positions, plain.positions)
    assert torch.equal(stored.patch_embed.proj.weight, plain.patch_embed.proj.weight)


def test_a_trivial_structure_is_learnt_and_its_scores_follow_from_the_masks(make_segment, tmp_path):
    run = make_segment(
        {0.5: {"epochs": 1, "validate_every": 1}, 1.0: {"epochs": 12, "validate_every": 4}}
    )
    segmentation(run, tmp_path)
    scores = json.loads((tmp_path / "scores.json").read_text())
    assert [record["train_cases"] for record in scores["records"]] == [2, 4]
    found, truth = VolumeStore(tmp_path / "masks.zip"), VolumeStore(run.masks)
    table = pd.read_csv(tmp_path / "predictions.csv")
    table = table[table["fraction"] == 1]
    assert list(table["case"]) == found.cases == ["case06", "case07", "case08"]
    assert table["dice:nothing"].isna().all()
    values = []
    for case in found.cases:
        predicted, mask = found.read(case), truth.read(case)
        np.testing.assert_array_equal(found.affine(case), truth.affine(case))
        both = ((predicted == 2) & (mask == 2)).sum()
        values.append(2 * both / ((predicted == 2).sum() + (mask == 2).sum()))
        row = table.set_index("case").loc[case]
        surfaces = surface(predicted == 2, mask == 2, np.array([2.0, 2.0, 4.0]), tolerance=2.0)
        assert (row["nsd:box"], row["hd95:box"]) == pytest.approx(surfaces)
    np.testing.assert_allclose(table["dice:box"], values)
    metrics = scores["records"][1]["metrics"]
    assert metrics["dice"] == metrics["dice:box"] == pytest.approx(np.mean(values))
    assert metrics["dice"] > 0.85
    assert metrics["dice_with_background"] > metrics["dice"]
    assert not (tmp_path / "checkpoints").exists()


def test_a_killed_run_goes_on_to_the_same_result(make_segment, tmp_path, monkeypatch):
    run = make_segment(
        {0.5: {"epochs": 2, "validate_every": 1}, 1.0: {"epochs": 3, "validate_every": 1}}
    )
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    whole.mkdir()
    segmentation(run, whole)
    validate, looks = finetune._validate, []

    def die_at_the_fourth(*given):
        looks.append(0)
        if len(looks) == 4:
            raise KeyboardInterrupt
        return validate(*given)

    monkeypatch.setattr(finetune, "_validate", die_at_the_fourth)
    with pytest.raises(KeyboardInterrupt):
        segmentation(run, killed)
    assert {path.name for path in (killed / "checkpoints").iterdir()} == {"0.5", "1"}
    segmentation(run, killed)
    assert len(looks) == 4 + 2  # epochs 2 and 3 of the larger fraction: nothing is done twice
    for name in OUTPUTS:
        assert (whole / name).read_bytes() == (killed / name).read_bytes(), name


def test_a_checkpoint_of_other_settings_is_not_used(make_segment, tmp_path):
    volumes, masks = (
        VolumeStore(getattr(make_segment({1.0: {"epochs": 1, "validate_every": 1}}), name))
        for name in ("volumes", "masks")
    )
    found = []
    for lr, name in ((0.01, "a"), (0.02, "a"), (0.02, "b")):
        run = make_segment({1.0: {"epochs": 1, "validate_every": 1}}, lr=lr)
        net = finetune.fine_tune(run, 1.0, ["case00"], [], volumes, masks, tmp_path / name)
        found.append(torch.cat([p.detach().ravel() for p in net.parameters()]))
    assert not torch.equal(found[0], found[1])
    assert torch.equal(found[1], found[2])


def test_a_checkpoint_of_other_masks_is_not_used(make_segment, store, tmp_path):
    run = make_segment({1.0: {"epochs": 1, "validate_every": 1}})
    volumes, masks = VolumeStore(run.volumes), VolumeStore(run.masks)
    mended = {case: np.roll(masks.read(case), 4, axis=0) for case in masks.cases}
    found = []
    for labels, name in (
        (masks, "a"),
        (VolumeStore(store("mended.zip", mended)), "a"),
        (VolumeStore(store("mended.zip", mended)), "b"),
    ):
        net = finetune.fine_tune(run, 1.0, ["case00"], [], volumes, labels, tmp_path / name)
        found.append(torch.cat([p.detach().ravel() for p in net.parameters()]))
    assert not torch.equal(found[0], found[1])
    assert torch.equal(found[1], found[2])


def test_the_network_starts_from_every_encoder_weight_but_the_class_token(make_segment):
    run = make_segment({1.0: {"epochs": 1, "validate_every": 1}})
    trained = load_encoder(run.weights)[0].state_dict()
    start = network(run, seed=0).encoder.state_dict()
    assert list(start) == list(trained)
    assert [n for n in start if not torch.equal(start[n], trained[n])] == ["cls_token"]


def test_a_large_volume_is_predicted_as_by_its_windows_and_neighbours_do_not_matter(
    make_segment, store
):
    run = make_segment({1.0: {"epochs": 1, "validate_every": 1}}, overlap=0.0)
    rng = np.random.default_rng(0)
    hu = {f"c{i}": rng.integers(-999, 999, (32, 16, 8)).astype(np.int16) for i in range(3)}
    net = network(run, seed=1)
    stored = VolumeStore(store("large.zip", hu))
    together = dict(predictions(net, run, list(hu), stored))
    for case, volume in hu.items():
        halves = scale(torch.from_numpy(volume).float())[None, None].split(16, dim=2)
        with torch.no_grad():
            expected = torch.cat([net(half).argmax(dim=1)[0] for half in halves])
        np.testing.assert_array_equal(together[case], expected)
        np.testing.assert_array_equal(dict(predictions(net, run, [case], stored))[case], expected)


def test_a_mask_with_an_unnamed_structure_is_an_error(make_segment, tmp_path):
    run = make_segment({1.0: {"epochs": 1, "validate_every": 1}}, structures={1: "something"})
    with pytest.raises(InputError, match=r"case0\d: its mask holds 2"):
        segmentation(run, tmp_path)


def test_metrics_are_averaged_over_a_cases_structures_before_cases():
    dice = np.array([[1.0, 0.5, np.nan], [1.0, 0.0, 0.4]])
    far = np.array([[np.nan, 4.0, np.nan], [np.nan, 3.0, 6.0]])
    found = measure(np.stack([dice, dice, far]), {1: "a", 2: "b"})
    assert found == pytest.approx(
        {
            "dice": (0.5 + 0.2) / 2,
            "dice_with_background": (0.75 + 1.4 / 3) / 2,
            "nsd": (0.5 + 0.2) / 2,
            "hd95": (4.0 + 4.5) / 2,
            **{"dice:a": 0.25, "dice:b": 0.4, "nsd:a": 0.25, "nsd:b": 0.4},
            **{"hd95:a": 3.5, "hd95:b": 6.0},
        }
    )


def test_crops_follow_the_seed_and_half_of_them_are_around_foreground(make_segment):
    settings = make_segment(
        {1.0: {"epochs": 1, "validate_every": 1}}, crop=[8, 8, 4], crops=60, intensity=0
    ).settings
    mask = np.zeros((64, 64, 32), np.uint8)
    mask[30:34, 30:34, 15:17] = 1
    hu = np.where(mask, 500, -500).astype(np.int16)
    image, found = random_crops(hu, mask, settings, seed=3)
    assert image.shape == found.shape == (60, 1, 8, 8, 4)
    torch.testing.assert_close(image, torch.where(found > 0, 0.5, -0.5))
    assert 15 < int(found.flatten(1).any(dim=1).sum()) < 45
    again, other = (random_crops(hu, mask, settings, seed)[1] for seed in (3, 4))
    assert torch.equal(again, found) and not torch.equal(other, found)


@pytest.mark.parametrize("allowed", [False, True])
def test_left_and_right_are_swapped_only_where_that_is_allowed(make_segment, allowed):
    settings = make_segment(
        {1.0: {"epochs": 1, "validate_every": 1}},
        flip=1.0,
        flip_left_right=allowed,
        crops=1,
        intensity=0,
    ).settings
    hu = np.random.default_rng(0).integers(-999, 999, (16, 16, 8)).astype(np.int16)
    image, _ = random_crops(hu, np.ones(hu.shape, np.uint8), settings, seed=0)
    axes = (0, 1, 2) if allowed else (1, 2)
    np.testing.assert_allclose(image[0, 0], np.flip(hu, axes) / 1000, atol=1e-6)


def test_a_volume_smaller_than_the_crop_is_padded_with_air(make_segment):
    settings = make_segment(
        {1.0: {"epochs": 1, "validate_every": 1}}, flip=0, crops=1, intensity=0
    ).settings
    image, mask = random_crops(
        np.full((10, 16, 8), 100, np.int16), np.ones((10, 16, 8), np.uint8), settings, seed=0
    )
    assert image.shape == (1, 1, 16, 16, 8)
    torch.testing.assert_close(image, torch.where(mask > 0, 0.1, -1.0))
    assert int(mask.sum()) == 10 * 16 * 8


def test_with_and_without_background_are_told_apart(make_segment, tmp_path):
    run = make_segment({1.0: {"epochs": 1, "validate_every": 1}}, background=True, select_on="test")
    segmentation(run, tmp_path)
    metrics = json.loads((tmp_path / "scores.json").read_text())["records"][0]["metrics"]
    table = pd.read_csv(tmp_path / "predictions.csv")
    both = table[["dice:box", "dice_background"]].mean(axis=1).mean()
    assert metrics["dice_with_background"] == pytest.approx(both)
    assert metrics["dice"] == pytest.approx(table["dice:box"].mean())


def test_a_structure_that_no_test_mask_holds_is_named_and_in_no_mean(
    make_segment, tmp_path, monkeypatch
):
    """Even where it is predicted: there is no truth to hold that against."""
    found = np.zeros((18, 14, 8), np.uint8)
    found[:2], found[2:4] = 1, 2
    monkeypatch.setattr(
        segment, "predictions", lambda net, run, cases, _: ((case, found) for case in cases)
    )
    segmentation(make_segment({1.0: {"epochs": 1, "validate_every": 1}}), tmp_path)
    scores = json.loads((tmp_path / "scores.json").read_text())
    assert scores["undefined"] == ["nothing"]
    table = pd.read_csv(tmp_path / "predictions.csv")
    assert table[["dice:nothing", "nsd:nothing", "hd95:nothing"]].isna().all(axis=None)
    metrics = scores["records"][0]["metrics"]
    assert metrics["dice"] == metrics["dice:box"] == pytest.approx(table["dice:box"].mean())
