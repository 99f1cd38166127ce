import numpy as np
import pytest
import torch

from simcrop.models.inputs import to_input
from simcrop.pretrain.augmentation import augmented, region
from simcrop.sections import Recipe

STILL = {"flip": 0.0, "intensity_shift_probability": 0.0}


@pytest.fixture
def hu():
    return np.random.default_rng(0).integers(-900, 900, (6, 5, 4)).astype(np.int16)


def test_regions_keep_the_share_asked_for_and_reach_every_place():
    rng = np.random.default_rng(0)
    drawn = [region((100, 50, 20), (90, 60, 20), 0.8, rng) for _ in range(2000)]
    for axis, (edge, wanted) in enumerate([(100, 90), (50, 60), (20, 20)]):
        kept = [r[axis].stop - r[axis].start for r in drawn]
        assert (min(kept), max(kept)) == (round(0.8 * edge), min(edge, wanted))
        assert min(r[axis].start for r in drawn) == 0
        assert max(r[axis].stop for r in drawn) == edge
    whole = region((8, 8, 4), (8, 8, 4), 1.0, rng)
    assert whole == (slice(0, 8), slice(0, 8), slice(0, 4))


def test_without_augmentation_the_input_is_the_volume(hu):
    still = augmented(hu, (8, 5, 4), Recipe(**STILL), np.random.default_rng(0))
    assert torch.equal(still, to_input(hu, (8, 5, 4)))


def test_flips_are_along_front_back_and_head_foot_and_left_right_is_a_setting_of_its_own(hu):
    plain = to_input(hu, hu.shape)
    rng = np.random.default_rng(0)
    flipped = augmented(hu, hu.shape, Recipe(**{**STILL, "flip": 1.0}), rng)
    assert torch.equal(flipped, plain.flip(2, 3))
    mirrored = augmented(hu, hu.shape, Recipe(**STILL, flip_left_right=1.0), rng)
    assert torch.equal(mirrored, plain.flip(1))


def test_intensities_are_shifted_as_a_whole_and_within_bounds(hu):
    rng = np.random.default_rng(0)
    recipe = Recipe(flip=0.0, intensity_shift=0.1, intensity_shift_probability=1.0)
    plain = to_input(hu, hu.shape)
    shifts = []
    for _ in range(100):
        difference = augmented(hu, hu.shape, recipe, rng) - plain
        assert difference.max() - difference.min() < 1e-6
        shifts.append(difference.mean().item())
    assert -0.1 <= min(shifts) < -0.08 and 0.08 < max(shifts) <= 0.1


def test_small_volumes_are_padded_by_reflection_where_that_is_asked_for(hu):
    recipe = Recipe(**STILL, padding="reflect")
    padded = augmented(hu, (9, 5, 20), recipe, np.random.default_rng(0))
    expected = np.pad(hu, [(2, 1), (0, 0), (8, 8)], mode="reflect")
    assert torch.equal(padded, to_input(expected, (9, 5, 20)))
