"""Metrics against scikit-learn and plain loops; the interval against a known truth."""

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from simcrop.report.statistics import (
    auroc,
    average_precision,
    metrics,
    resample_weights,
    summary,
    weighted_mean,
)


@pytest.fixture(params=["ties", "no ties"])
def sample(request) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Scores (60,), labels with some unknown, and integer weights (60, 5) with many zeros."""
    rng = np.random.default_rng(11)
    labels = (rng.random(60) < 0.3).astype(float)
    scores = labels + rng.normal(size=60)
    if request.param == "ties":
        scores = np.round(scores)
    labels[[4, 9]] = np.nan
    return scores, labels, rng.poisson(1, size=(60, 5)).astype(float)


def test_auroc_is_the_share_of_pairs_in_order_with_ties_counted_half(sample):
    scores, labels, weights = sample
    for column, found in enumerate(auroc(scores, labels, weights)):
        w = weights[:, column]
        won = total = 0.0
        for i in np.flatnonzero(labels == 1):
            for j in np.flatnonzero(labels == 0):
                won += w[i] * w[j] * ((scores[i] > scores[j]) + 0.5 * (scores[i] == scores[j]))
                total += w[i] * w[j]
        assert found == pytest.approx(won / total, abs=1e-9)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [(auroc, roc_auc_score), (average_precision, average_precision_score)],
)
def test_weighted_metrics_equal_those_of_scikit_learn(sample, ours, theirs):
    scores, labels, weights = sample
    known = ~np.isnan(labels)
    for column, found in enumerate(ours(scores, labels, weights)):
        expected = theirs(labels[known], scores[known], sample_weight=weights[known, column])
        assert found == pytest.approx(expected, abs=1e-9)


def test_a_weight_counts_as_that_many_copies_of_a_case(sample):
    scores, labels, weights = sample
    copies = np.repeat(np.arange(60), weights[:, 0].astype(int))
    ones = np.ones((len(copies), 1))
    for metric in (auroc, average_precision):
        expected = metric(scores[copies], labels[copies], ones)[0]
        assert metric(scores, labels, weights)[0] == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("metric", [auroc, average_precision])
@pytest.mark.parametrize("left", [0, 1])
def test_a_resample_of_one_class_only_has_no_value(metric, left):
    scores, labels = np.array([0.1, 0.4, 0.3, 0.9]), np.array([0, 0, 1, 1])
    weights = np.stack([np.ones(4), labels == left], axis=1).astype(float)
    found = metric(scores, labels, weights)
    assert np.isfinite(found[0])
    assert np.isnan(found[1])


def test_a_label_that_a_resample_lacks_is_left_out_of_its_mean():
    table = pd.DataFrame(
        {
            "score:A": [0.1, 0.9, 0.8, 0.2],
            "score:B": [0.2, 0.1, 0.7, 0.6],
            "label:A": [0, 1, 0, 1],
            "label:B": [0, 0, 0, 1],
        }
    )
    weights = np.array([[1.0, 1], [1, 1], [1, 1], [1, 0]])
    found = metrics(table, "classification", "multilabel", weights)
    assert found["auroc"][0] == pytest.approx((0.75 + 2 / 3) / 2)
    assert np.isnan(found["auroc:B"][1])
    assert found["auroc"][1] == found["auroc:A"][1] == 1.0
    assert list(found) == ["auroc", "average_precision", "auroc:A", "auroc:B"]


def test_accuracy_of_classes_takes_the_most_probable_one():
    table = pd.DataFrame(
        {
            **{"score:A": [0.5, 0.2, 0.1], "score:B": [0.3, 0.6, 0.5], "score:C": [0.2, 0.2, 0.4]},
            **{"label:A": [1, 0, 0], "label:B": [0, 1, 0], "label:C": [0, 0, 1]},
        }
    )
    weights = np.array([[1.0, 1], [1, 0], [1, 3]])
    found = metrics(table, "classification", "multiclass", weights)
    assert list(found) == ["accuracy", "auroc", "auroc:A", "auroc:B", "auroc:C"]
    assert found["accuracy"] == pytest.approx([2 / 3, 1 / 4])


def test_accuracy_of_one_label_cuts_at_one_half():
    table = pd.DataFrame({"score:A": [0.4, 0.6, 0.7, 0.2], "label:A": [1, 1, 0, 0]})
    found = metrics(table, "classification", "binary", np.ones((4, 1)))
    assert list(found) == ["auroc", "average_precision", "accuracy", "auroc:A"]
    assert found["accuracy"] == pytest.approx([0.5])


def test_dice_is_averaged_over_the_structures_that_a_case_has_and_then_over_cases():
    table = pd.DataFrame({"dice:a": [0.9, 0.5], "dice:b": [0.7, np.nan]})
    found = metrics(table, "segmentation", "", np.array([[1.0, 3], [1, 1]]))
    assert found["dice"] == pytest.approx([(0.8 + 0.5) / 2, (3 * 0.8 + 0.5) / 4])
    assert found["dice:a"] == pytest.approx([0.7, 0.8])
    assert found["dice:b"] == pytest.approx([0.7, 0.7])


def test_a_patients_cases_are_drawn_together_and_patients_as_often_as_there_are():
    patients = np.array(["b", "a", "b", "c", "c", "d"])
    weights = resample_weights(patients, 500, "ct-rate", 0)
    assert weights.shape == (6, 501)
    assert (weights[:, 0] == 1).all()
    assert (weights[0] == weights[2]).all()
    assert (weights[3] == weights[4]).all()
    assert (weights[[0, 1, 3, 5], 1:].sum(axis=0) == 4).all()
    assert weights[1, 1:].mean() == pytest.approx(1, abs=0.15)


def test_resamples_depend_on_benchmark_and_seed_but_not_on_the_order_of_rows():
    patients = np.array([f"p{i}" for i in range(20)])
    weights = resample_weights(patients, 50, "ct-rate", 0)
    assert (resample_weights(patients[::-1], 50, "ct-rate", 0)[::-1] == weights).all()
    assert (resample_weights(patients, 50, "radchestct", 0) != weights).any()
    assert (resample_weights(patients, 50, "ct-rate", 1) != weights).any()


def test_seeds_are_averaged_within_each_resample():
    first = np.concatenate([[0.5], np.linspace(0, 1, 101)])
    mean, low, high = summary([first, 1 - first], 0.9)
    assert (mean, low, high) == pytest.approx((0.5, 0.5, 0.5))
    mean, low, high = summary([first, first + 0.2], 0.9)
    assert (mean, low, high) == pytest.approx((0.6, 0.15, 1.05))


def test_the_interval_covers_the_true_auroc_about_as_often_as_it_says():
    # Patients have two scans that share half of their noise; d' = 1 gives AUROC = Phi(1 / sqrt 2).
    truth, covered = 0.7602499, 0
    for trial in range(200):
        rng = np.random.default_rng(trial)
        patients = np.repeat(np.arange(75), 2)
        labels = np.repeat(rng.random(75) < 0.4, 2).astype(int)
        noise = np.repeat(rng.normal(size=75), 2) + rng.normal(size=150)
        weights = resample_weights(patients.astype(str), 300, "trial", trial)
        _, low, high = summary([auroc(labels + noise / np.sqrt(2), labels, weights)], 0.95)
        covered += low <= truth <= high
    assert 0.90 <= covered / 200 <= 0.99


def test_drawing_patients_gives_wider_intervals_than_drawing_their_scans():
    rng = np.random.default_rng(0)
    labels = np.repeat(rng.random(60) < 0.5, 5).astype(int)
    scores = labels + np.repeat(rng.normal(size=60), 5) + 0.1 * rng.normal(size=300)
    widths = []
    for names in (np.repeat(np.arange(60), 5), np.arange(300)):
        weights = resample_weights(names.astype(str), 400, "trial", 0)
        _, low, high = summary([auroc(scores, labels, weights)], 0.95)
        widths.append(high - low)
    assert widths[0] > 1.5 * widths[1]


def test_the_mean_leaves_out_what_is_not_defined():
    found = weighted_mean(np.array([1.0, np.nan, 3.0]), np.array([[1.0, 0], [5, 1], [3, 0]]))
    assert found[0] == pytest.approx(2.5)
    assert np.isnan(found[1])
