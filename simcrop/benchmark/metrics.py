"""Measures of classification, segmentation and localisation; NaN where one is not defined."""

import math

import numpy as np
from scipy.ndimage import binary_erosion
from scipy.spatial import cKDTree
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


def surface(
    predicted: np.ndarray, truth: np.ndarray, spacing: np.ndarray, tolerance: float
) -> tuple[float, float]:
    """How well the surface of one structure is met: surface Dice and HD95.

    The surface is the voxels of the structure with a face neighbour outside it, or at the volume's
    edge, as in MONAI; distances run between voxel centres. Surface Dice is the share of both
    surfaces that lies within the tolerance of the other (Nikolov et al. 2021); HD95 the larger of
    the two 95th percentiles of the distances.

    Args:
        predicted, truth: (X, Y, Z) bool.
        spacing: (3,) mm.
        tolerance: mm.

    Returns:
        a share and mm. NaN where neither array holds a voxel; 0 and the volume's diagonal where one
        of them does not, so that a structure which is missed costs and does not fall out.
    """
    if not (predicted.any() and truth.any()):
        if not (predicted.any() or truth.any()):
            return math.nan, math.nan
        return 0.0, float(np.linalg.norm(spacing * truth.shape))
    points = [_surface(mask) * spacing for mask in (predicted, truth)]
    trees = [cKDTree(part) for part in points]
    distances = [trees[1].query(points[0])[0], trees[0].query(points[1])[0]]
    met = np.concatenate(distances) <= tolerance + 1e-6  # of rounding
    return float(met.mean()), float(max(np.percentile(part, 95) for part in distances))


def mean(values: np.ndarray) -> float:
    """The mean of what is defined; NaN if nothing is."""
    defined = values[~np.isnan(values)]
    return float(defined.mean()) if defined.size else float("nan")


def defined(metrics: dict[str, float]) -> dict[str, float]:
    """The metrics that are numbers, as plain floats."""
    return {name: float(value) for name, value in metrics.items() if not np.isnan(value)}


def _surface(mask: np.ndarray) -> np.ndarray:
    """(N, 3) indices of the voxels of `mask` that an erosion takes away."""
    found = np.nonzero(mask)
    box = tuple(slice(max(axis.min() - 1, 0), axis.max() + 2) for axis in found)
    inner = mask[box]
    return np.argwhere(inner & ~binary_erosion(inner)) + [part.start for part in box]
