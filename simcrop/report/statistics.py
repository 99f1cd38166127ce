"""Intervals and tests from a bootstrap over patients, and the correction for their number.

A resample is a column of weights, one a case: how often its patient was drawn. What is computed for
each of them is in `simcrop.report.measures`.
"""

import hashlib
import math

import numpy as np
from scipy.stats import norm, t

CONFIDENCE = 0.95  # of an interval; a difference is significant below LEVEL
LEVEL = 0.05


def resample_weights(patients: np.ndarray, resamples: int, benchmark: str, seed: int) -> np.ndarray:
    """Draw patients with replacement, as often as there are patients, `resamples` times.

    The draw depends on `benchmark`, `seed` and the set of patients only, so that all methods,
    seeds and fractions of a benchmark are compared on the same resamples.

    Args:
        patients: (N,) the patient of each row; rows of one patient are drawn together.

    Returns:
        (N, 1 + resamples) float64. The first column is all ones: the test set itself.
    """
    names, position = np.unique(patients, return_inverse=True)
    digest = hashlib.sha256(f"{benchmark} {seed}".encode()).digest()
    generator = np.random.default_rng(int.from_bytes(digest[:8], "big"))
    drawn = generator.multinomial(len(names), np.full(len(names), 1 / len(names)), size=resamples)
    weights = np.ones((len(position), 1 + resamples))
    weights[:, 1:] = drawn.T[position]
    return weights


def expanded(confidence: float, patients: int) -> float:
    """The share of resamples that an interval must hold to cover the truth as often as it says.

    A percentile interval is too narrow as a normal quantile is beside Student's; this makes up for
    it (Hesterberg 2015, doi:10.1080/00031305.2015.1089789). One patient alone has no interval.
    """
    if patients < 2:
        return math.nan
    quantile = t.ppf((1 + confidence) / 2, patients - 1) * math.sqrt(patients / (patients - 1))
    return float(2 * norm.cdf(quantile) - 1)


def summary(runs: list[np.ndarray], confidence: float) -> tuple[float, float, float]:
    """Mean over runs (seeds) and the percentile interval of that mean.

    Seeds are too few to be drawn from: within each resample of the patients their values are
    averaged, so that the interval tells of the choice of patients, not of the choice of seeds.

    Args:
        runs: one (1 + resamples,) array a seed, the test set itself first.
        confidence: the share of the resamples in it, such as `expanded` gives.

    Returns:
        mean, low, high; NaN where no resample has a value.
    """
    values = np.mean(runs, axis=0)
    drawn = values[1:][~np.isnan(values[1:])]
    if not len(drawn) or math.isnan(confidence):
        return float(values[0]), np.nan, np.nan
    low, high = np.quantile(drawn, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(values[0]), float(low), float(high)


def p_value(difference: np.ndarray, patients: int) -> float:
    """Of no difference between two methods, two-sided: Student's test on the bootstrap's error.

    For a metric that is a mean over patients this is the paired t-test, but for the bootstrap's
    draw. A percentile of the resamples themselves could not fall below 1 / resamples, which a
    correction for many comparisons would always undo.

    Args:
        difference: (1 + resamples,) one minus the other, the test set itself first.
        patients: from whom the resamples were drawn.

    Returns:
        NaN where the difference never varies, unless it is always 0.
    """
    drawn = difference[1:][~np.isnan(difference[1:])]
    if not len(drawn) or math.isnan(difference[0]) or patients < 2:
        return math.nan
    error = np.std(drawn, ddof=1) * math.sqrt(patients / (patients - 1))
    if error < 1e-12:  # of rounding alone
        return 1.0 if abs(difference[0]) < 1e-12 else math.nan
    return float(2 * t.sf(abs(difference[0]) / error, patients - 1))


def holm(values: np.ndarray) -> np.ndarray:
    """p-values (N,) corrected for their number by Holm's step-down method (1979); NaN stay so.

    Rejecting those below a level keeps the chance of any false one below it, whatever depends on
    what.
    """
    corrected = np.full(len(values), np.nan)
    order = np.argsort(values, kind="stable")[: int((~np.isnan(values)).sum())]
    factors = np.arange(len(order), 0, -1)
    corrected[order] = np.minimum(1, np.maximum.accumulate(values[order] * factors))
    return corrected
