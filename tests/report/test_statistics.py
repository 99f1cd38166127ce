"""Intervals and tests against known truths; what is drawn, and from whom."""

import math

import numpy as np
import pytest
from scipy.stats import norm, ttest_rel

from simcrop.report.measures import auroc, weighted_mean
from simcrop.report.statistics import expanded, holm, p_value, resample_weights, summary


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


def test_intervals_of_few_patients_reach_further():
    # By hand for 10: t is 2.2622 at 9 degrees of freedom, times sqrt(10 / 9) is 2.3845.
    assert expanded(0.95, 10) == pytest.approx(2 * norm.cdf(2.38455) - 1, abs=1e-5)
    assert 0.95 < expanded(0.95, 3000) < 0.9503
    assert math.isnan(expanded(0.95, 1))
    assert np.isnan(summary([np.ones(11)], expanded(0.95, 1))[1:]).all()


def test_95_percent_intervals_hold_the_true_auroc_in_93_to_97_percent_of_1000_trials():
    # Scores of positives are one standard deviation above the others: AUROC = Phi(1 / sqrt 2).
    truth, patients, covered = norm.cdf(1 / math.sqrt(2)), 120, 0
    names = np.arange(patients).astype(str)
    for trial in range(1000):
        rng = np.random.default_rng(trial)
        labels = (rng.random(patients) < 0.4).astype(int)
        weights = resample_weights(names, 400, "trial", trial)
        areas = auroc(labels + rng.normal(size=patients), labels, weights)
        _, low, high = summary([areas], expanded(0.95, patients))
        covered += low <= truth <= high
    assert 930 <= covered <= 970


def test_the_interval_covers_the_truth_where_patients_have_several_scans():
    # Patients have two scans that share half of their noise.
    truth, covered = norm.cdf(1 / math.sqrt(2)), 0
    for trial in range(200):
        rng = np.random.default_rng(trial)
        patients = np.repeat(np.arange(75), 2)
        labels = np.repeat(rng.random(75) < 0.4, 2).astype(int)
        noise = np.repeat(rng.normal(size=75), 2) + rng.normal(size=150)
        weights = resample_weights(patients.astype(str), 300, "trial", trial)
        areas = auroc(labels + noise / np.sqrt(2), labels, weights)
        _, low, high = summary([areas], expanded(0.95, 75))
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


def test_of_a_mean_over_patients_the_test_is_the_paired_t_test():
    rng = np.random.default_rng(2)
    one, other = rng.normal(0.3, 1, 15), rng.normal(0, 1, 15)
    weights = resample_weights(np.arange(15).astype(str), 200_000, "trial", 0)
    found = p_value(weighted_mean(one - other, weights), 15)
    assert found == pytest.approx(ttest_rel(one, other).pvalue, rel=0.02)


def test_no_difference_is_no_evidence_and_a_constant_one_cannot_be_tested():
    assert p_value(np.zeros(101), 20) == 1
    assert math.isnan(p_value(np.full(101, 0.1), 20))
    assert math.isnan(p_value(np.full(101, np.nan), 20))


def test_holm_multiplies_by_the_tests_that_are_left_and_never_falls():
    # By hand: sorted 0.01, 0.02, 0.03, 0.5 times 4, 3, 2, 1 = 0.04, 0.06, 0.06, 0.5.
    found = holm(np.array([0.03, np.nan, 0.01, 0.5, 0.02]))
    np.testing.assert_allclose(found, [0.06, np.nan, 0.04, 0.5, 0.06], atol=1e-12)
    assert holm(np.array([0.6, 0.9])).max() <= 1
    assert len(holm(np.array([]))) == 0


def _corrected(ahead: float, trial: int) -> tuple[np.ndarray, np.ndarray]:
    """p-values of one method against five others on 150 patients whose noise they share in half."""
    rng = np.random.default_rng([trial, 5])
    labels = (rng.random(150) < 0.4).astype(int)
    common = rng.normal(size=150)
    weights = resample_weights(np.arange(150).astype(str), 150, "trial", trial)
    areas = [
        auroc(d * labels + (common + rng.normal(size=150)) / math.sqrt(2), labels, weights)
        for d in [1 + ahead] + 5 * [1.0]
    ]
    values = np.array([p_value(areas[0] - other, 150) for other in areas[1:]])
    return values, holm(values)


def test_where_there_is_no_difference_one_is_found_in_no_more_than_5_percent_of_tables():
    plain, corrected = map(np.array, zip(*(_corrected(0, t) for t in range(400)), strict=True))
    # 400 tables: 5 % is 20, with a standard deviation of 4.4.
    assert (corrected.min(axis=1) < 0.05).sum() <= 29
    assert 0.03 <= (plain < 0.05).mean() <= 0.07
    assert (plain.min(axis=1) < 0.05).mean() > 0.10


def test_a_known_difference_is_found():
    found = np.array([_corrected(0.8, trial)[1] for trial in range(40)])
    assert (found < 0.05).mean() > 0.9
