"""What a run's predictions are worth: every metric under many weightings of the cases at once.

A weighting is a column of weights, one a case; see `simcrop.report.statistics` for where they come
from. One sort of the scores and cumulative sums of the weights serve all columns.
"""

import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from simcrop.formats.scores import RECALL_DEPTHS

SPECIFICITY = 0.9  # at which sensitivity is told
BINS = 15  # of equal width, of the calibration error
_BLOCK = 128  # weightings at a time, so that they stay in the processor's cache


def metrics(
    table: pd.DataFrame, task: str, settings: dict[str, Any], weights: np.ndarray
) -> dict[str, np.ndarray]:
    """All metrics of one run at one fraction, the headline metrics first and the main one foremost.

    Args:
        table: predictions of N rows, as `simcrop.formats.scores` describes them.
        task: "classification", "segmentation", "localisation" or "retrieval".
        settings: of the benchmark: the `kind` of a classification; whether `background` is among
            the structures of a segmentation's main metric.
        weights: (N, R)

    Returns:
        name → (R,), in shares of one, or in mm for `hd95`; `auroc:<label>` and `dice:<structure>`
        are parts. Of localisation, every metric is a mean over lesions, of retrieval over reports.
    """
    if task == "classification":
        return _classification(table, settings["kind"], weights)
    if task == "segmentation":
        return _segmentation(table, settings.get("background", False), weights)
    if task == "retrieval":
        hits = {f"recall_{k}": (table["rank"] <= k).to_numpy(float) for k in RECALL_DEPTHS}
        hits |= {f"chance_{k}": table[f"chance_{k}"].to_numpy(float) for k in RECALL_DEPTHS}
        return {name: weighted_mean(values, weights) for name, values in hits.items()}
    columns = {"pointing": "hit", "chance": "chance", "auroc": "auroc", "dice": "dice"}
    return {
        name: weighted_mean(table[column].to_numpy(float), weights)
        for name, column in columns.items()
    }


def ranking(
    scores: np.ndarray, labels: np.ndarray, weights: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """AUROC, average precision and the sensitivity at a specificity of at least SPECIFICITY.

    AUROC is the probability that a positive outscores a negative, equal scores counted half (Mann
    and Whitney 1947). Average precision is the mean over positives of the precision at their score;
    equal scores form one threshold, as in scikit-learn.

    Args:
        scores: (N,) higher means more likely positive.
        labels: (N,) 0 or 1; others are left out.
        weights: (N, R) non-negative.

    Returns:
        three of (R,), NaN where a weighting holds no positive or no negative.
    """
    positive, negative = (_ascending(scores, labels == value) for value in (1, 0))
    above, ranked = scores[positive], scores[negative]
    lower = np.searchsorted(ranked, above, side="left")
    upper = np.searchsorted(ranked, above, side="right")
    first = np.searchsorted(above, above, side="left")
    parts = []
    for block in _blocks(weights):
        taken = block[positive]
        true, false = _cumulated(taken), _cumulated(block[negative])
        positives, negatives = true[-1], false[-1]
        under = false[lower]
        tied = under if np.array_equal(lower, upper) else false[upper]
        won = np.einsum("nr,nr->r", taken, under + tied) / 2
        reached, wrong = positives - true[first], negatives - under
        precision = np.nan_to_num(_ratio(reached, reached + wrong))
        allowed = (1 - SPECIFICITY) * negatives + 1e-9
        sensitive = np.where(wrong <= allowed, reached, 0).max(axis=0, initial=0)
        both = np.where(negatives > 0, positives, 0)
        parts.append(
            (
                _ratio(won, positives * negatives),
                _ratio(np.einsum("nr,nr->r", taken, precision), both),
                _ratio(sensitive, both),
            )
        )
    areas, precisions, sensitivities = map(np.concatenate, zip(*parts, strict=True))
    return areas, precisions, sensitivities


def auroc(scores: np.ndarray, labels: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """The first of `ranking` alone, in less time."""
    positive, negative = labels == 1, _ascending(scores, labels == 0)
    ranked, above = scores[negative], scores[positive]
    lower = np.searchsorted(ranked, above, side="left")
    upper = np.searchsorted(ranked, above, side="right")
    below, taken = _cumulated(weights[negative]), weights[positive]
    won = np.einsum("nr,nr->r", taken, below[lower] + below[upper]) / 2
    return _ratio(won, taken.sum(axis=0) * below[-1])


def f1(chosen: np.ndarray, labels: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Harmonic mean of precision and sensitivity; NaN without a positive.

    Args:
        chosen: (N,) whether a case is taken to be positive.
        labels: (N,) 0 or 1; others are left out.
        weights: (N, R)
    """
    known, positive = ~np.isnan(labels), labels == 1
    counts = np.stack([chosen & positive, chosen & known, positive]).astype(float) @ weights
    return np.where(counts[2] > 0, _ratio(2 * counts[0], counts[1] + counts[2]), np.nan)


def calibration_error(confidence: np.ndarray, hit: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Expected calibration error over BINS bins of equal width (Guo et al. 2017).

    Args:
        confidence: (N,) probabilities.
        hit: (N,) whether what was predicted came true, 0 or 1; NaN is left out.
        weights: (N, R)
    """
    known = ~np.isnan(hit)
    confidence, hit, weights = confidence[known], hit[known], weights[known]
    place = np.minimum((confidence * BINS).astype(int), BINS - 1)
    gaps = np.where(place == np.arange(BINS)[:, None], confidence - hit, 0) @ weights
    return _ratio(np.abs(gaps).sum(axis=0), weights.sum(axis=0))


def weighted_mean(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Mean of `values` (N,) under each column of `weights` (N, R); NaN values are left out."""
    known = ~np.isnan(values)
    return _ratio(values[known] @ weights[known], weights[known].sum(axis=0))


def _classification(table: pd.DataFrame, kind: str, weights: np.ndarray) -> dict[str, np.ndarray]:
    """Means over labels leave out a label that has no positive or no negative case at all.

    Where it is a resample that lacks them, the label is left out of the means of that resample.
    Without training there are scores, but no probabilities, and so no more than their ranking.
    """
    scores = table.filter(regex="^score:")
    names = [column.removeprefix("score:") for column in scores]
    scores, labels = scores.to_numpy(float), table[[f"label:{n}" for n in names]].to_numpy(float)
    told = [ranking(s, y, weights) for s, y in zip(scores.T, labels.T, strict=True)]
    areas, precisions, sensitivities = (list(part) for part in zip(*told, strict=True))
    result = {
        "auroc": _mean(areas, weights),
        "average_precision": _mean(precisions, weights),
        "sensitivity": _mean(sensitivities, weights),
    }
    if (table["fraction"] > 0).all():
        rated = ((labels == 0).any(axis=0) & (labels == 1).any(axis=0)).nonzero()[0]
        result |= _decided(scores, labels, rated, kind == "multiclass", weights)
    if kind == "multiclass":
        result = {"accuracy": result.pop("accuracy"), **result}
    parts = {"auroc": areas, "average_precision": precisions}
    return result | {
        f"{metric}:{name}": values
        for metric, by_label in parts.items()
        for name, values in zip(names, by_label, strict=True)
    }


def _decided(
    scores: np.ndarray, labels: np.ndarray, rated: np.ndarray, exclusive: bool, weights: np.ndarray
) -> dict[str, np.ndarray]:
    """Of the most probable class, or of a probability above 0.5: no threshold is chosen."""
    if exclusive:
        chosen = scores.argmax(axis=1)
        right = (chosen == labels.argmax(axis=1)).astype(float)
        picked = chosen[:, None] == np.arange(scores.shape[1])
        accuracy = weighted_mean(right, weights)
        error = calibration_error(scores.max(axis=1), right, weights)
    else:
        picked = scores > 0.5
        right = np.where(np.isnan(labels), np.nan, picked == (labels == 1))
        accuracy = _mean([weighted_mean(right[:, i], weights) for i in rated], weights)
        errors = [calibration_error(scores[:, i], labels[:, i], weights) for i in rated]
        error = _mean(errors, weights)
    return {
        "accuracy": accuracy,
        "f1": _mean([f1(picked[:, i], labels[:, i], weights) for i in rated], weights),
        "calibration_error": error,
    }


def _segmentation(
    table: pd.DataFrame, background: bool, weights: np.ndarray
) -> dict[str, np.ndarray]:
    """Means over the structures of each case, then over cases."""
    result, parts = {}, {}
    for metric in ("dice", "nsd", "hd95"):
        columns = table.filter(regex=f"^{metric}:").astype(float)
        if columns.empty:
            continue
        result[metric] = weighted_mean(columns.mean(axis=1).to_numpy(), weights)
        parts |= {name: weighted_mean(columns[name].to_numpy(), weights) for name in columns}
    if "dice_background" in table:
        every = table.filter(regex="^dice(:|_background$)").astype(float)
        whole = {"dice_with_background": weighted_mean(every.mean(axis=1).to_numpy(), weights)}
        result = whole | result if background else result | whole
    return result | parts


def _ascending(scores: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    index = np.flatnonzero(chosen)
    return index[np.argsort(scores[index], kind="stable")]


def _blocks(weights: np.ndarray) -> Iterator[np.ndarray]:
    for start in range(0, weights.shape[1], _BLOCK):
        yield weights[:, start : start + _BLOCK]


def _mean(values: list[np.ndarray], weights: np.ndarray) -> np.ndarray:
    """Over labels, under each column of `weights`; NaN where no label has a value."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Mean of empty slice", RuntimeWarning)
        return np.nanmean(np.reshape(values, (len(values), weights.shape[1])), axis=0)


def _cumulated(weights: np.ndarray) -> np.ndarray:
    """(N + 1, R): row n is the sum of the first n rows."""
    sums = np.zeros((len(weights) + 1, weights.shape[1]))
    np.cumsum(weights, axis=0, out=sums[1:])
    return sums


def _ratio(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    return np.divide(above, below, out=np.full(np.shape(below), np.nan), where=below > 0)
