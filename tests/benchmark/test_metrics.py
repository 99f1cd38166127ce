import math

import numpy as np
import pytest
import torch
from monai.metrics import compute_hausdorff_distance, compute_surface_dice
from scipy.ndimage import gaussian_filter
from sklearn.metrics import roc_auc_score

from simcrop.benchmark.metrics import auroc, defined, dice, mean, surface


def test_auroc_counts_the_pairs_in_the_right_order_with_ties_as_half():
    scores = np.array([0.1, 0.4, 0.4, 0.4, 0.8, 0.9])
    targets = np.array([0, 1, 0, 1, 0, 1])
    pairs = [(p > n) + 0.5 * (p == n) for p in scores[targets == 1] for n in scores[targets == 0]]
    assert auroc(scores, targets) == pytest.approx(np.mean(pairs))


def test_auroc_leaves_unknown_labels_out_and_agrees_with_scikit_learn():
    rng = np.random.default_rng(0)
    scores, targets = rng.normal(size=(50, 4)).round(1), rng.integers(0, 2, (50, 4)).astype(float)
    targets[rng.random((50, 4)) < 0.3] = np.nan
    expected = []
    for score, target in zip(scores.T, targets.T, strict=True):
        known = ~np.isnan(target)
        expected.append(roc_auc_score(target[known], score[known]))
    np.testing.assert_allclose(auroc(scores, targets), expected)


def test_auroc_without_positives_is_not_a_number_and_is_not_averaged_in():
    areas = auroc(np.array([[0.1, 0.2], [0.9, 0.3]]), np.array([[0, 0], [1, 0]]))
    np.testing.assert_array_equal(areas, [1, np.nan])
    assert mean(areas) == 1
    assert defined({"a": 0.5, "b": float("nan")}) == {"a": 0.5}


def test_dice_equals_a_count_voxel_by_voxel():
    rng = np.random.default_rng(1)
    predicted, truth = rng.integers(0, 4, (2, 5, 6, 7)).astype(np.uint8)
    predicted[predicted == 3] = 0
    for id_, value in enumerate(dice(predicted, truth, 4)):
        both = inside = 0
        for p, t in zip(predicted.flat, truth.flat, strict=True):
            both += p == id_ and t == id_
            inside += int(p == id_) + int(t == id_)
        assert value == pytest.approx(2 * both / inside)


def test_dice_of_a_structure_in_neither_mask_is_not_a_number():
    empty = np.zeros((2, 2, 2), np.uint8)
    np.testing.assert_array_equal(dice(empty, empty, 3), [1, np.nan, np.nan])


@pytest.fixture
def blobs():
    """A structure and a prediction of it, one of them cut by the volume's edge."""
    rng = np.random.default_rng(4)
    return [
        gaussian_filter(rng.normal(size=(14, 12, 9)), 1.5, mode="nearest") > level
        for level in (0.02, 0.05)
    ]


def _edge(mask):
    """The voxels with a face neighbour outside, one after another."""
    padded = np.pad(mask, 1)
    steps = [(1, 0, 0), (-1, 0, 0), (0, 1, 0), (0, -1, 0), (0, 0, 1), (0, 0, -1)]
    return [
        place
        for place in np.argwhere(mask)
        if not all(padded[tuple(place + 1 + step)] for step in np.array(steps))
    ]


def test_surfaces_are_those_of_a_naive_search(blobs):
    predicted, truth = blobs
    spacing = np.array([1.5, 1.0, 3.0])
    edges = [_edge(mask) for mask in (predicted, truth)]
    nearest = [
        [min(math.dist(spacing * a, spacing * b) for b in other) for a in one]
        for one, other in (edges, edges[::-1])
    ]
    for tolerance in (0.0, 1.0, 2.5):
        share, far = surface(predicted, truth, spacing, tolerance)
        within = [value <= tolerance for part in nearest for value in part]
        assert share == pytest.approx(sum(within) / len(within), abs=1e-9)
        expected = max(np.quantile(part, 0.95) for part in nearest)
        assert far == pytest.approx(expected, abs=1e-9)


def test_surfaces_are_those_of_monai(blobs):
    spacing = [1.5, 1.0, 3.0]
    both = [torch.tensor(np.stack([~mask, mask]))[None] for mask in blobs]
    share, far = surface(*blobs, np.array(spacing), 1.6)
    assert share == pytest.approx(
        float(compute_surface_dice(*both, class_thresholds=[1.6], spacing=spacing)), abs=1e-6
    )
    expected = compute_hausdorff_distance(*both, percentile=95, spacing=spacing)
    assert far == pytest.approx(float(expected), abs=1e-5)


def test_a_structure_that_is_missed_or_invented_costs_the_diagonal(blobs):
    empty = np.zeros_like(blobs[0])
    spacing = np.array([1.0, 2.0, 4.0])
    diagonal = math.dist((14, 24, 36), (0, 0, 0))
    for pair in ((blobs[0], empty), (empty, blobs[0])):
        assert surface(*pair, spacing, 2.0) == pytest.approx((0, diagonal))
    assert np.isnan(surface(empty, empty, spacing, 2.0)).all()
    assert surface(blobs[0], blobs[0], spacing, 0.0) == (1, 0)
