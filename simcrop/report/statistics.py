"""Metrics of the saved predictions and their intervals, from a bootstrap over patients.

A resample is a vector of weights, one a case: how often its patient was drawn. Every metric is
computed for all resamples at once from one sort of the scores and cumulative sums of the weights.
"""

import hashlib
import warnings
from collections.abc import Callable

import numpy as np
import pandas as pd

from simcrop.formats.scores import RECALL_DEPTHS

Metric = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]


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


def auroc(scores: np.ndarray, labels: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Weighted area under the ROC curve: the probability that a positive outscores a negative.

    Equal scores count one half, so that the value is exact with ties (Mann-Whitney's U).

    Args:
        scores: (N,) higher means more likely positive.
        labels: (N,) 0 or 1.
        weights: (N, R) non-negative, one column a resample.

    Returns:
        (R,) NaN where a resample holds no positive or no negative.
    """
    positive, negative = labels == 1, labels == 0
    order = np.argsort(scores[negative], kind="stable")
    ranked, above = scores[negative][order], scores[positive]
    below = _cumulated(weights[negative][order])
    lower = np.searchsorted(ranked, above, side="left")
    upper = np.searchsorted(ranked, above, side="right")
    won = np.einsum("nr,nr->r", weights[positive], below[lower] + below[upper]) / 2
    return _ratio(won, weights[positive].sum(axis=0) * below[-1])


def average_precision(scores: np.ndarray, labels: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Weighted average precision: the mean over positives of the precision at their score.

    Shapes as in `auroc`; equal scores form one threshold, as in scikit-learn.
    """
    positive, negative = labels == 1, labels == 0
    thresholds = np.sort(scores[positive], kind="stable")
    taken = weights[positive][np.argsort(scores[positive], kind="stable")]
    true = _at_least(scores[positive], weights[positive], thresholds)
    false = _at_least(scores[negative], weights[negative], thresholds)
    precision = np.nan_to_num(_ratio(true, true + false))
    ratio = _ratio(np.einsum("nr,nr->r", taken, precision), taken.sum(axis=0))
    return np.where(weights[negative].sum(axis=0) > 0, ratio, np.nan)


def weighted_mean(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Mean of `values` (N,) under each column of `weights` (N, R); NaN values are left out."""
    known = ~np.isnan(values)
    return _ratio(values[known] @ weights[known], weights[known].sum(axis=0))


def metrics(
    table: pd.DataFrame, task: str, kind: str, weights: np.ndarray
) -> dict[str, np.ndarray]:
    """All metrics of one run at one fraction, the headline metrics first and the main one foremost.

    Means over labels (macro) leave out, resample by resample, a label without a positive or
    without a negative. Accuracy is of the most probable class, or of a probability above 0.5.
    Dice is averaged over the structures of each case, then over cases. Of localisation, every
    metric is a mean over lesions, and of retrieval over reports.

    Args:
        table: predictions of N rows, as `simcrop.formats.scores` describes them.
        task: "classification", "segmentation", "localisation" or "retrieval".
        kind: of a classification: "multilabel", "multiclass" or "binary".
        weights: (N, R)

    Returns:
        name → (R,) with values in [0, 1]; `auroc:<label>` and `dice:<structure>` are the parts.
    """
    if task == "localisation":
        columns = {"pointing": "hit", "chance": "chance", "auroc": "auroc", "dice": "dice"}
        return {
            name: weighted_mean(table[column].to_numpy(float), weights)
            for name, column in columns.items()
        }
    if task == "retrieval":
        hits = {f"recall_{k}": (table["rank"] <= k).to_numpy(float) for k in RECALL_DEPTHS}
        hits |= {f"chance_{k}": table[f"chance_{k}"].to_numpy(float) for k in RECALL_DEPTHS}
        return {name: weighted_mean(values, weights) for name, values in hits.items()}
    if task == "segmentation":
        dice = table.filter(regex="^dice:").astype(float)
        parts = {name: weighted_mean(dice[name].to_numpy(), weights) for name in dice}
        return {"dice": weighted_mean(dice.mean(axis=1).to_numpy(), weights), **parts}
    scores = table.filter(regex="^score:")
    names = [column.removeprefix("score:") for column in scores]
    scores, labels = scores.to_numpy(float), table[[f"label:{n}" for n in names]].to_numpy(float)
    areas = _by_label(auroc, scores, labels, weights)
    result = {"auroc": _mean(areas)}
    if kind == "multiclass":
        result = {"accuracy": weighted_mean(_correct(scores, labels), weights), **result}
    else:
        result["average_precision"] = _mean(_by_label(average_precision, scores, labels, weights))
    if kind == "binary":
        result["accuracy"] = weighted_mean(_correct(scores, labels), weights)
    return result | {f"auroc:{name}": area for name, area in zip(names, areas, strict=True)}


def summary(runs: list[np.ndarray], confidence: float) -> tuple[float, float, float]:
    """Mean over runs (seeds) and the percentile interval of that mean.

    Seeds are too few to be drawn from: within each resample of the patients their values are
    averaged, so that the interval tells of the choice of patients, not of the choice of seeds.

    Args:
        runs: one (1 + resamples,) array a seed, the test set itself first.
        confidence: the interval's share, such as 0.95.

    Returns:
        mean, low, high; NaN where no resample has a value.
    """
    values = np.mean(runs, axis=0)
    drawn = values[1:][~np.isnan(values[1:])]
    if not len(drawn):
        return float(values[0]), np.nan, np.nan
    low, high = np.quantile(drawn, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(values[0]), float(low), float(high)


def _by_label(
    metric: Metric, scores: np.ndarray, labels: np.ndarray, weights: np.ndarray
) -> list[np.ndarray]:
    return [metric(s, y, weights) for s, y in zip(scores.T, labels.T, strict=True)]


def _correct(scores: np.ndarray, labels: np.ndarray) -> np.ndarray:
    if scores.shape[1] == 1:
        correct = (scores > 0.5)[:, 0] == (labels == 1)[:, 0]
    else:
        correct = scores.argmax(axis=1) == labels.argmax(axis=1)
    return np.where(np.isnan(labels).any(axis=1), np.nan, correct)


def _mean(areas: list[np.ndarray]) -> np.ndarray:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Mean of empty slice", RuntimeWarning)
        return np.nanmean(areas, axis=0)


def _cumulated(weights: np.ndarray) -> np.ndarray:
    """(N + 1, R): row n is the sum of the first n rows."""
    sums = np.zeros((len(weights) + 1, weights.shape[1]))
    np.cumsum(weights, axis=0, out=sums[1:])
    return sums


def _at_least(scores: np.ndarray, weights: np.ndarray, thresholds: np.ndarray) -> np.ndarray:
    """(T, R): the weight of all rows whose score reaches each threshold."""
    order = np.argsort(scores, kind="stable")
    sums = _cumulated(weights[order])
    return sums[-1] - sums[np.searchsorted(scores[order], thresholds, side="left")]


def _ratio(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    return np.divide(above, below, out=np.full(np.shape(below), np.nan), where=below > 0)
