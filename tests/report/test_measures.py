"""Metrics against scikit-learn and plain loops, under weights, to 1e-9."""

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import average_precision_score, f1_score, roc_auc_score, roc_curve

from simcrop.report.measures import auroc, calibration_error, f1, metrics, ranking, weighted_mean


@pytest.fixture(params=["ties", "no ties"])
def sample(request) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Scores (60,), labels with some unknown, and integer weights (60, 150) with many zeros."""
    rng = np.random.default_rng(11)
    labels = (rng.random(60) < 0.3).astype(float)
    scores = labels + rng.normal(size=60)
    if request.param == "ties":
        scores = np.round(scores)
    labels[[4, 9]] = np.nan
    return scores, labels, rng.poisson(1, size=(60, 150)).astype(float)


def test_auroc_is_the_share_of_pairs_in_order_with_ties_counted_half(sample):
    scores, labels, weights = sample
    found = ranking(scores, labels, weights[:, :3])[0]
    for column in range(3):
        w = weights[:, column]
        won = total = 0.0
        for i in np.flatnonzero(labels == 1):
            for j in np.flatnonzero(labels == 0):
                won += w[i] * w[j] * ((scores[i] > scores[j]) + 0.5 * (scores[i] == scores[j]))
                total += w[i] * w[j]
        assert found[column] == pytest.approx(won / total, abs=1e-9)


def _best_sensitivity(labels, scores, sample_weight):
    """The highest true positive rate of scikit-learn's curve with at most 10 % false ones."""
    false, true, _ = roc_curve(labels, scores, sample_weight=sample_weight, drop_intermediate=False)
    return true[false <= 0.1 + 1e-12].max()


def test_ranking_equals_scikit_learn_on_every_weighting(sample):
    scores, labels, weights = sample
    known = ~np.isnan(labels)
    theirs = (roc_auc_score, average_precision_score, _best_sensitivity)
    for ours, reference in zip(ranking(scores, labels, weights), theirs, strict=True):
        expected = [
            reference(labels[known], scores[known], sample_weight=column[known])
            for column in weights.T
        ]
        np.testing.assert_allclose(ours, expected, rtol=0, atol=1e-9)


def test_auroc_alone_is_that_of_the_ranking(sample):
    np.testing.assert_allclose(auroc(*sample), ranking(*sample)[0], rtol=0, atol=1e-12)


def test_f1_equals_scikit_learn_on_every_weighting(sample):
    scores, labels, weights = sample
    known = ~np.isnan(labels)
    expected = [
        f1_score(labels[known], scores[known] > 0.5, sample_weight=column[known])
        for column in weights.T
    ]
    np.testing.assert_allclose(f1(scores > 0.5, labels, weights), expected, rtol=0, atol=1e-9)


def test_calibration_error_is_the_mean_gap_between_what_was_said_and_what_came(sample):
    scores, labels, weights = sample
    said = 1 / (1 + np.exp(-scores))
    for column, found in zip(weights.T, calibration_error(said, labels, weights), strict=True):
        gap = total = 0.0
        for left in np.arange(15) / 15:
            rows = [
                i for i in range(60) if not np.isnan(labels[i]) and left <= said[i] < left + 1 / 15
            ]
            weight = sum(column[i] for i in rows)
            total += weight
            if weight:
                came = sum(column[i] * labels[i] for i in rows) / weight
                told = sum(column[i] * said[i] for i in rows) / weight
                gap += weight * abs(came - told)
        assert found == pytest.approx(gap / total, abs=1e-9)


def test_certainty_that_is_always_right_has_no_calibration_error():
    found = calibration_error(np.array([0.0, 1.0, 1.0]), np.array([0.0, 1, 1]), np.ones((3, 1)))
    assert found == pytest.approx([0])


def test_a_weight_counts_as_that_many_copies_of_a_case(sample):
    scores, labels, weights = sample
    copies = np.repeat(np.arange(60), weights[:, 0].astype(int))
    ones = np.ones((len(copies), 1))
    found = [*ranking(scores, labels, weights), f1(scores > 0, labels, weights)]
    again = ranking(scores[copies], labels[copies], ones)
    expected = [*again, f1(scores[copies] > 0, labels[copies], ones)]
    for one, other in zip(found, expected, strict=True):
        assert one[0] == pytest.approx(other[0], abs=1e-12)


@pytest.mark.parametrize("left", [0, 1])
def test_a_resample_of_one_class_only_has_no_value(left):
    scores, labels = np.array([0.1, 0.4, 0.3, 0.9]), np.array([0.0, 0, 1, 1])
    weights = np.stack([np.ones(4), labels == left], axis=1).astype(float)
    for found in (*ranking(scores, labels, weights), auroc(scores, labels, weights)):
        assert np.isfinite(found[0])
        assert np.isnan(found[1])


def _predictions(scores: dict[str, list], labels: dict[str, list]) -> pd.DataFrame:
    columns = {f"score:{k}": v for k, v in scores.items()}
    columns |= {f"label:{k}": v for k, v in labels.items()}
    return pd.DataFrame(columns).assign(fraction=1.0)


def test_a_label_that_a_resample_lacks_is_left_out_of_its_mean():
    table = _predictions(
        {"A": [0.1, 0.9, 0.8, 0.2], "B": [0.2, 0.1, 0.7, 0.6]},
        {"A": [0, 1, 0, 1], "B": [0, 0, 0, 1]},
    )
    weights = np.array([[1.0, 1], [1, 1], [1, 1], [1, 0]])
    found = metrics(table, "classification", {"kind": "multilabel"}, weights)
    assert found["auroc"][0] == pytest.approx((0.75 + 2 / 3) / 2)
    assert np.isnan(found["auroc:B"][1])
    assert found["auroc"][1] == found["auroc:A"][1] == 1.0
    assert list(found) == [
        *("auroc", "average_precision", "sensitivity", "accuracy", "f1", "calibration_error"),
        *("auroc:A", "auroc:B", "average_precision:A", "average_precision:B"),
    ]


def test_a_label_without_a_positive_case_is_in_no_mean():
    table = _predictions(
        {"A": [0.1, 0.9, 0.8, 0.2], "B": [0.9, 0.9, 0.9, 0.9]},
        {"A": [0, 1, 0, 1], "B": [0, 0, 0, 0]},
    )
    kind = {"kind": "multilabel"}
    both = metrics(table, "classification", kind, np.ones((4, 1)))
    alone = metrics(
        table.drop(columns=["score:B", "label:B"]), "classification", kind, np.ones((4, 1))
    )
    for name, values in alone.items():
        assert both[name] == pytest.approx(values, abs=1e-12), name
    assert np.isnan(both["auroc:B"]).all()


def test_scores_that_are_no_probabilities_are_ranked_only():
    table = _predictions({"A": [-3.0, 2, 5]}, {"A": [0, 1, 1]}).assign(fraction=0.0)
    found = metrics(table, "classification", {"kind": "multilabel"}, np.ones((3, 1)))
    assert list(found) == [
        *("auroc", "average_precision", "sensitivity", "auroc:A", "average_precision:A"),
    ]


def test_classes_are_decided_by_the_most_probable_one():
    rng = np.random.default_rng(3)
    scores = rng.dirichlet(np.ones(3), size=50)
    truth = np.where(rng.random(50) < 0.5, scores.argmax(axis=1), rng.integers(3, size=50))
    table = _predictions(
        dict(zip("ABC", scores.T, strict=True)),
        {name: (truth == i).astype(int) for i, name in enumerate("ABC")},
    )
    weights = rng.poisson(1, (50, 4)).astype(float)
    found = metrics(table, "classification", {"kind": "multiclass"}, weights)
    assert next(iter(found)) == "accuracy"
    for column in range(4):
        w = weights[:, column]
        right = scores.argmax(axis=1) == truth
        assert found["accuracy"][column] == pytest.approx((w * right).sum() / w.sum(), abs=1e-9)
        expected = f1_score(truth, scores.argmax(axis=1), average="macro", sample_weight=w)
        assert found["f1"][column] == pytest.approx(expected, abs=1e-9)
        areas = [roc_auc_score(truth == i, scores[:, i], sample_weight=w) for i in range(3)]
        assert found["auroc"][column] == pytest.approx(np.mean(areas), abs=1e-9)
    gaps = calibration_error(scores.max(axis=1), right.astype(float), weights)
    np.testing.assert_allclose(found["calibration_error"], gaps)


def test_accuracy_of_one_label_cuts_at_one_half():
    table = _predictions({"A": [0.4, 0.6, 0.7, 0.2]}, {"A": [1, 1, 0, 0]})
    found = metrics(table, "classification", {"kind": "binary"}, np.ones((4, 1)))
    assert found["accuracy"] == pytest.approx([0.5])
    assert next(iter(found)) == "auroc"


def test_dice_is_averaged_over_the_structures_that_a_case_has_and_then_over_cases():
    table = pd.DataFrame({"dice:a": [0.9, 0.5], "dice:b": [0.7, np.nan], "hd95:a": [3.0, 4.0]})
    found = metrics(table, "segmentation", {}, np.array([[1.0, 3], [1, 1]]))
    assert found["dice"] == pytest.approx([(0.8 + 0.5) / 2, (3 * 0.8 + 0.5) / 4])
    assert found["dice:a"] == pytest.approx([0.7, 0.8])
    assert found["dice:b"] == pytest.approx([0.7, 0.7])
    assert found["hd95"] == pytest.approx([3.5, 13 / 4])


def test_the_background_has_a_mean_of_its_own_and_comes_first_where_it_is_asked_for():
    table = pd.DataFrame({"dice:a": [0.6, 0.4], "dice_background": [1.0, 0.8]})
    sound, published = (
        metrics(table, "segmentation", {"background": asked}, np.ones((2, 1)))
        for asked in (False, True)
    )
    assert list(sound) == ["dice", "dice_with_background", "dice:a"]
    assert list(published) == ["dice_with_background", "dice", "dice:a"]
    assert sound["dice"] == published["dice"] == pytest.approx([0.5])
    assert sound["dice_with_background"] == pytest.approx([0.7])


def test_the_mean_leaves_out_what_is_not_defined():
    found = weighted_mean(np.array([1.0, np.nan, 3.0]), np.array([[1.0, 0], [5, 1], [3, 0]]))
    assert found[0] == pytest.approx(2.5)
    assert np.isnan(found[1])


@pytest.mark.parametrize(
    ("kind", "truth", "accuracy"),
    [("binary", [[1.0]] * 4, None), ("multiclass", [[1, 0]] * 4, 0.75)],
)
def test_where_no_label_can_be_ranked_there_is_no_value(kind, truth, accuracy):
    scores = np.array([[0.6], [0.9], [0.4], [0.8]])
    scores = np.concatenate([scores, 1 - scores], axis=1)[:, : len(truth[0])]
    names = ["CP", "NCP"][: len(truth[0])]
    columns = {f"score:{n}": v for n, v in zip(names, scores.T, strict=True)}
    columns |= {f"label:{n}": v for n, v in zip(names, np.array(truth).T, strict=True)}
    table = pd.DataFrame({"fraction": 1.0, **columns})
    found = metrics(table, "classification", {"kind": kind}, np.ones((4, 3)))
    assert {values.shape for values in found.values()} == {(3,)}
    for metric in ("auroc", "average_precision", "sensitivity", "f1"):
        assert np.isnan(found[metric]).all(), metric
    if accuracy is None:
        assert np.isnan(found["accuracy"]).all()
    else:
        assert found["accuracy"] == pytest.approx([accuracy] * 3)
