import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from simcrop.benchmark.metrics import auroc, defined, dice, mean


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
