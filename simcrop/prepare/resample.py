"""Volumes onto an axis-aligned RAS grid of a given spacing, from any affine, without a shift.

HU are not clipped here but when a model reads them: clipping before interpolation instead of
after it changes 17 % of a chest CT's voxels by more than 1 HU, up to 23 HU.
"""

from collections.abc import Sequence

import numpy as np
from nibabel import orientations
from scipy import ndimage

from simcrop.prepare.readers import Volume

AIR = -1024


def grid(volume: Volume, spacing: Sequence[float]) -> tuple[tuple[int, int, int], np.ndarray]:
    """Shape and (4, 4) affine of the RAS grid of `spacing` (mm) that covers `volume`.

    The centre of the grid is the centre of the volume, and its extent that of the volume's box
    along the patient's axes, rounded to whole voxels.
    """
    size = np.array(volume.array.shape)
    matrix = volume.affine[:3, :3]
    centre = matrix @ (size - 1) / 2 + volume.affine[:3, 3]
    # The rounding to 1e-4 voxels keeps float noise from tipping a half to either side.
    voxels = np.rint((np.abs(matrix) @ size / spacing).round(4)).clip(1).astype(int)
    affine = np.diag([*spacing, 1.0])
    affine[:3, 3] = centre - (voxels - 1) / 2 * np.array(spacing)
    return tuple(voxels.tolist()), affine


def onto(volume: Volume, shape: Sequence[int], affine: np.ndarray, order: int) -> Volume:
    """`volume` on the grid of `shape` and `affine`: order 1 is linear (HU), 0 nearest (masks).

    Beyond the outermost voxel centres the nearest voxel holds. Of an oblique volume, what lies
    outside is air at order 1 and 0 at order 0. HU are rounded to int16; masks keep their type.
    """
    oriented = _ras(volume)
    transform = np.linalg.inv(oriented.affine) @ affine
    matrix = transform[:3, :3]
    diagonal = np.abs(matrix - np.diag(np.diag(matrix))).max() * max(shape) < 1e-3
    array = ndimage.affine_transform(
        oriented.array,
        np.diag(matrix) if diagonal else matrix,
        transform[:3, 3],
        output_shape=tuple(shape),
        output=np.float32 if order else oriented.array.dtype,
        order=order,
        mode="nearest" if diagonal else "constant",
        cval=AIR if order else 0,
    )
    if order:
        limits = np.iinfo(np.int16)
        array = np.rint(array, out=array).clip(limits.min, limits.max).astype(np.int16)
    return Volume(array, np.asarray(affine))


def resample(volume: Volume, spacing: Sequence[float], order: int = 1) -> Volume:
    """`volume` on its RAS grid of `spacing` (mm); see `grid` and `onto`."""
    return onto(volume, *grid(volume, spacing), order)


def _ras(volume: Volume) -> Volume:
    """The volume with its axes swapped and flipped, so that they come closest to RAS."""
    steps = orientations.io_orientation(volume.affine)
    array = orientations.apply_orientation(volume.array, steps)
    return Volume(array, volume.affine @ orientations.inv_ornt_aff(steps, volume.array.shape))
