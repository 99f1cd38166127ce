"""What the readers of several formats share."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from simcrop.errors import InputError

if TYPE_CHECKING:
    import SimpleITK as sitk


@contextmanager
def decoding(path: Path) -> Iterator[None]:
    """Whatever a decoding library makes of a damaged file becomes an InputError."""
    try:
        yield
    except Exception as error:  # each library has kinds of its own
        reason = " ".join(str(error).split())[-200:]
        raise InputError(f"{path}: cannot be read ({reason}); fetch it again") from error


def from_sitk(path: Path, image: "sitk.Image") -> tuple[np.ndarray, np.ndarray]:
    """The voxels (I, J, K) and the (4, 4) affine in RAS of an image, which is in LPS."""
    import SimpleITK as sitk

    # A plane of colours has as many axes as a volume of numbers.
    axes, numbers = image.GetDimension(), image.GetNumberOfComponentsPerPixel()
    if (axes, numbers) != (3, 1):
        raise InputError(
            f"{path}: {axes}-dimensional with {numbers} to a voxel; give a volume with 1 to a voxel"
        )
    array = sitk.GetArrayFromImage(image).T
    check_shape(path, array)
    affine = np.eye(4)
    affine[:3, :3] = np.reshape(image.GetDirection(), (3, 3)) * image.GetSpacing()
    affine[:3, 3] = image.GetOrigin()
    return array, np.diag([-1, -1, 1, 1]) @ affine


def check_shape(path: Path, array: np.ndarray) -> None:
    """Raises InputError unless `array` is one volume of numbers with 3 voxels along each axis."""
    if array.ndim != 3:
        raise InputError(f"{path}: {array.ndim}-dimensional; give one volume a file")
    if min(array.shape) < 3:
        shape = " x ".join(map(str, array.shape))
        raise InputError(f"{path}: {shape} voxels; fewer than 3 along an axis is no volume")
    if array.dtype.kind not in "iuf":
        raise InputError(f"{path}: voxels of type {array.dtype}; give one number a voxel")
