"""Small scans in a left-handed space of unequal spacing, and the hints of a case without any."""

from pathlib import Path

import nibabel
import numpy as np

NONE = {"spacing": "", "orientation": "", "slope": "", "intercept": ""}
LAS = np.diag([-2.0, 3.0, 5.0, 1.0])
LAS[:3, 3] = [10, 20, -30]


def nifti(path: Path, array: np.ndarray, affine: np.ndarray = LAS) -> Path:
    """Write `array` to `path`, which it returns."""
    nibabel.save(nibabel.Nifti1Image(array, affine), path)
    return path
