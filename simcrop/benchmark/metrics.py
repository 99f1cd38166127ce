"""Measures of classification, segmentation and localisation; NaN where one is not defined."""

import numpy as np
from scipy.stats import rankdata


def auroc(scores: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Area under the ROC curve of each column, from rank sums (Mann and Whitney 1947).

    Args:
        scores: (N, L), or (N,) for one column; finite.
        targets: of the same shape, 0, 1 or NaN where unknown; unknown ones are left out.

    Returns:
        (L,), or a scalar, float64; NaN where a column lacks positives or negatives.
    """
    positive, negative = targets == 1, targets == 0
    # Unknown ones rank above all others, which leaves the ranks of the others as they are.
    ranks = rankdata(np.where(positive | negative, scores, np.inf), axis=0)
    positives, negatives = positive.sum(axis=0), negative.sum(axis=0)
    above = np.where(positive, ranks, 0).sum(axis=0) - positives * (positives + 1) / 2
    with np.errstate(divide="ignore", invalid="ignore"):
        return above / (positives * negatives)


def dice(predicted: np.ndarray, truth: np.ndarray, classes: int) -> np.ndarray:
    """Dice of each class id from 0 to `classes` - 1; NaN where neither array holds a voxel of it.

    Args:
        predicted, truth: of one shape, integer class ids.
    """
    both = np.bincount(truth[predicted == truth].ravel(), minlength=classes)
    sizes = [np.bincount(ids.ravel(), minlength=classes) for ids in (predicted, truth)]
    with np.errstate(invalid="ignore"):
        return 2 * both / (sizes[0] + sizes[1])


def mean(values: np.ndarray) -> float:
    """The mean of what is defined; NaN if nothing is."""
    defined = values[~np.isnan(values)]
    return float(defined.mean()) if defined.size else float("nan")


def defined(metrics: dict[str, float]) -> dict[str, float]:
    """The metrics that are numbers, as plain floats."""
    return {name: float(value) for name, value in metrics.items() if not np.isnan(value)}
