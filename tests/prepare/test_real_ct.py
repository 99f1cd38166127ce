"""A real chest CT, however it is stored, gives the same voxels."""

from dataclasses import replace
from itertools import permutations, product
from pathlib import Path

import nibabel
import numpy as np
import pytest

from simcrop.errors import InputError
from simcrop.formats.cases import HINTS
from simcrop.prepare import audit
from simcrop.prepare.readers import read
from simcrop.prepare.resample import resample

CT = Path(__file__).parents[2].parent / "shared/data/chest-ct/cxr.nii.gz"
pytestmark = pytest.mark.skipif(not CT.exists(), reason=f"no real CT at {CT}")
NONE = dict.fromkeys(HINTS, "")
SPACING = (6.0, 6.0, 9.0)


@pytest.fixture(scope="module")
def thinned() -> tuple[np.ndarray, np.ndarray]:
    """Every fourth row and column and every second slice: HU and affine."""
    volume = read(CT, NONE)
    return volume.array[::4, ::4, ::2], volume.affine @ np.diag([4, 4, 2, 1])


def stored(path: Path, hu: np.ndarray, affine: np.ndarray, way: str) -> None:
    """Write HU with a slope and an intercept in the header, or as floats."""
    array, slope, intercept = {
        "HU": (hu, 1, 0),
        "intercept": (hu + np.int16(1024), 1, -1024),
        "slope": (hu * np.int16(2), 0.5, 0),
        "float": (hu.astype(np.float32), 1, 0),
    }[way]
    header = nibabel.Nifti1Image(array, affine).header
    header["scl_slope"], header["scl_inter"], header["vox_offset"] = slope, intercept, 352
    header["magic"] = b"n+1"
    path.write_bytes(header.binaryblock + bytes(4) + array.tobytes(order="F"))


def test_all_48_orientations_and_ways_of_storing_give_the_same_voxels(thinned, tmp_path):
    hu, affine = thinned
    stored(tmp_path / "plain.nii", hu, affine, "HU")
    expected = resample(read(tmp_path / "plain.nii", NONE), SPACING)
    ways = ("HU", "intercept", "slope", "float")
    turns = list(product(permutations(range(3)), product((1, -1), repeat=3)))
    assert len(turns) == 48
    for number, (order, signs) in enumerate(turns):
        array, matrix = hu.transpose(order), affine[:, [*order, 3]].copy()
        for axis, sign in enumerate(signs):
            if sign < 0:
                matrix[:3, 3] += matrix[:3, axis] * (array.shape[axis] - 1)
                matrix[:3, axis] *= -1
        array = np.ascontiguousarray(array[tuple(slice(None, None, sign) for sign in signs)])
        for way in (ways[number % 4], ways[(number // 4 + 1) % 4]):
            stored(tmp_path / "turned.nii", array, matrix, way)
            result = resample(read(tmp_path / "turned.nii", NONE), SPACING)
            assert result.array.shape == expected.array.shape
            assert np.allclose(result.affine, expected.affine, atol=1e-3)
            difference = np.abs(result.array.astype(int) - expected.array)
            assert difference.max() <= 1, (order, signs, way)


def test_stored_values_are_no_hu_and_neither_are_those_rescaled_twice():
    scan = read(CT, NONE)
    volume = resample(scan, SPACING)
    audit.resampled(volume)
    # The CT's own padding lies at -1024 as stored, so that its lowest voxel does not tell.
    for shift, told in ((1024, "% of the voxels lie between"), (-1024, "intercept applied twice")):
        other = replace(volume, array=volume.array + np.int16(shift))
        assert other.array.min() <= -1024
        with pytest.raises(InputError, match=f"{told}.*slope and intercept"):
            audit.resampled(other)


def test_its_intercept_is_honoured():
    volume = read(CT, NONE)
    assert nibabel.load(CT).dataobj.inter == -1024
    assert volume.array.dtype == np.int16
    assert np.array_equal(volume.array[::8, ::8, ::8], nibabel.load(CT).get_fdata()[::8, ::8, ::8])
