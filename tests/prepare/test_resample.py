"""Resampling keeps every place of the body where it was, whatever the axes of the raw file."""

from itertools import permutations, product

import numpy as np
import pandas as pd
import pytest

from simcrop.formats.cases import HINTS
from simcrop.prepare.readers import Volume, read, read_mask
from simcrop.prepare.resample import AIR, onto, resample


def ras(shape=(9, 8, 7), spacing=(2.0, 3.0, 5.0), origin=(-11.0, 4.0, 7.0), seed=0) -> Volume:
    values = np.random.default_rng(seed).integers(-1000, 1000, shape).astype(np.int16)
    affine = np.diag([*spacing, 1.0])
    affine[:3, 3] = origin
    return Volume(values, affine)


def rewritten(volume: Volume, order: tuple[int, ...], flips: tuple[bool, ...]) -> Volume:
    """The same voxels at the same places, stored with other axes."""
    array = volume.array.transpose(order)
    affine = volume.affine[:, [*order, 3]]
    for axis in np.flatnonzero(flips):
        affine[:3, 3] += affine[:3, axis] * (array.shape[axis] - 1)
        affine[:3, axis] *= -1
        array = np.flip(array, axis)
    return Volume(array, affine)


def trilinear(volume: Volume, shape: tuple[int, ...], affine: np.ndarray) -> np.ndarray:
    """Voxel by voxel; beyond the outermost centres the nearest voxel holds."""
    inverse = np.linalg.inv(volume.affine)
    limits = np.array(volume.array.shape) - 1
    result = np.zeros(shape)
    for voxel in np.ndindex(*shape):
        place = np.clip((inverse @ affine @ [*voxel, 1])[:3], 0, limits)
        low = np.minimum(np.floor(place).astype(int), limits - 1)
        share = place - low
        for corner in product((0, 1), repeat=3):
            weight = np.prod(np.where(corner, share, 1 - share))
            result[voxel] += weight * volume.array[tuple(low + corner)]
    return result


@pytest.mark.parametrize("spacing", [(3.1, 2.2, 4.0), (7.0, 7.0, 14.0), (1.5, 1.5, 3.0)])
def test_it_is_trilinear_interpolation_at_the_places_that_the_affine_states(spacing):
    volume = ras()
    result = resample(volume, spacing)
    expected = trilinear(volume, result.array.shape, result.affine)
    assert np.abs(result.array - expected).max() <= 0.5 + 1e-3


def test_all_48_orientations_give_the_same_voxels():
    volume = ras()
    expected = resample(volume, (3.1, 2.2, 4.0))
    for order, flips in product(permutations(range(3)), product((False, True), repeat=3)):
        result = resample(rewritten(volume, order, flips), (3.1, 2.2, 4.0))
        assert result.array.shape == expected.array.shape
        assert np.abs(result.array.astype(int) - expected.array).max() <= 1, (order, flips)
        assert np.allclose(result.affine, expected.affine)


def test_spacing_is_exact_and_centre_and_extent_stay():
    volume = ras()
    spacing = np.array([1.7, 2.9, 4.1])
    result = resample(volume, spacing)
    assert np.array_equal(result.affine[:3, :3], np.diag(spacing))

    def centre(v: Volume) -> np.ndarray:
        return (v.affine @ [*(np.array(v.array.shape) - 1) / 2, 1])[:3]

    assert np.allclose(centre(result), centre(volume))
    extent = np.array(volume.array.shape) * volume.spacing
    assert (np.abs(np.array(result.array.shape) * spacing - extent) <= spacing / 2).all()


def test_the_grid_that_a_volume_already_has_leaves_it_untouched():
    volume = ras()
    result = resample(volume, (2.0, 3.0, 5.0))
    assert np.array_equal(result.array, volume.array)
    assert np.allclose(result.affine, volume.affine)


def test_a_ramp_in_millimetres_is_kept_at_any_tilt():
    # HU = x + 2 y - 3 z, so that the value says where a voxel truly lies.
    angle = np.radians(15)
    turn = np.array(
        [[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]]
    )
    affine = np.eye(4)
    affine[:3, :3] = turn @ np.diag([-2.0, 2.0, 3.0])  # left-handed as well
    affine[:3, 3] = [20, -15, 5]
    places = np.moveaxis(np.indices((30, 30, 20)), 0, -1) @ affine[:3, :3].T + affine[:3, 3]
    volume = Volume((places @ [1, 2, -3]).astype(np.float32), affine)
    result = resample(volume, (2.5, 2.5, 2.5))
    expected = (
        np.moveaxis(np.indices(result.array.shape), 0, -1) @ result.affine[:3, :3].T
        + result.affine[:3, 3]
    ) @ [1, 2, -3]
    box = result.array != AIR
    assert 0.55 < box.mean() < 1, "a turned box leaves corners of its bounding box to the air"
    within = np.abs(source_voxels(volume, result) - [14.5, 14.5, 9.5]) - [14.5, 14.5, 9.5]
    assert np.array_equal(box, (within <= 0.5).all(axis=-1)), "half a voxel beyond the centres"
    inside = (within <= 0).all(axis=-1)
    assert np.abs(result.array - expected)[inside].max() <= 0.51


def source_voxels(volume: Volume, result: Volume) -> np.ndarray:
    """(X, Y, Z, 3): where each voxel of `result` lies in voxel indices of `volume`."""
    transform = np.linalg.inv(volume.affine) @ result.affine
    return (
        np.moveaxis(np.indices(result.array.shape), 0, -1) @ transform[:3, :3].T + transform[:3, 3]
    )


def tilted(volume: Volume, degrees: float) -> Volume:
    """The same voxels, the patient turned about x."""
    angle = np.radians(degrees)
    turn = np.eye(4)
    turn[1:3, 1:3] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    return Volume(volume.array, turn @ volume.affine)


@pytest.mark.parametrize("spacing", [(2.0, 3.0, 5.0), (1.0, 1.0, 2.0)])
@pytest.mark.parametrize(("order", "value"), [(1, 50), (0, 7)])
def test_a_slight_tilt_takes_no_voxel_off_the_faces(spacing, order, value):
    full = np.full((40, 40, 30), value, np.int16)
    result = resample(tilted(Volume(full, ras().affine), 0.05), spacing, order)
    assert np.array_equal(np.unique(result.array), [value])


def test_a_real_ct_turned_by_a_hundredth_of_a_degree_stays_the_same(real_data):
    scan = read(real_data / "chest-ct/cxr.nii.gz", dict.fromkeys(HINTS, ""))
    scan = Volume(scan.array[::4, ::4, ::2], scan.affine @ np.diag([4, 4, 2, 1]))
    expected, result = (resample(tilted(scan, angle), (6, 6, 3)) for angle in (0, 0.01))
    assert result.array.shape == expected.array.shape
    assert np.abs(result.array - expected.array.astype(int)).mean() < 2
    assert np.abs(result.array - expected.array.astype(int))[..., [0, -1]].mean() < 2


def test_hu_are_not_clipped():
    volume = ras()
    volume.array[:] = np.where(volume.array > 0, 3000, -2048)
    result = resample(volume, (2.0, 3.0, 5.0))
    assert (result.array.min(), result.array.max()) == (-2048, 3000)


def test_hu_beyond_int16_saturate_instead_of_wrapping():
    volume = Volume(np.where(ras().array > 0, 70000.0, -70000.0), ras().affine)
    result = resample(volume, (2.0, 3.0, 5.0))
    assert (result.array.min(), result.array.max()) == (-32768, 32767)


def test_a_mask_takes_the_nearest_code_and_its_scans_grid():
    volume = ras()
    mask = Volume((ras(seed=1).array % 4 * 5).astype(np.int32) | 1 << 30, volume.affine)
    target = resample(volume, (3.1, 2.2, 4.0))
    result = onto(mask, target.array.shape, target.affine, order=0)
    assert result.array.shape == target.array.shape
    assert result.array.dtype == np.int32
    inverse = np.linalg.inv(volume.affine)
    for voxel in np.ndindex(*result.array.shape):
        place = (inverse @ target.affine @ [*voxel, 1])[:3]
        if (np.abs(place % 1 - 0.5) > 1e-6).all():
            nearest = np.clip(np.rint(place).astype(int), 0, np.array(mask.array.shape) - 1)
            assert result.array[voxel] == mask.array[tuple(nearest)]


def test_a_mask_stored_in_other_axes_than_its_scan_lands_on_the_same_voxels():
    volume = ras()
    mask = Volume((volume.array > 0).astype(np.int32), volume.affine)
    target = resample(volume, (3.1, 2.2, 4.0))
    other = rewritten(mask, (2, 0, 1), (True, False, True))
    expected = onto(mask, target.array.shape, target.affine, order=0)
    result = onto(other, target.array.shape, target.affine, order=0)
    assert np.mean(result.array == expected.array) > 0.99  # ties may go either way


@pytest.mark.parametrize("spacing", [(1.5, 1.5, 3.0), (7.0, 7.0, 14.0)])
def test_a_real_ct_keeps_the_hu_and_the_side_of_its_lungs(real_data, spacing):
    folder = real_data / "chest-ct"
    scan = read(folder / "cxr.nii.gz", dict.fromkeys(HINTS, ""))
    volume = resample(scan, spacing)
    mask = read_mask(folder / "mask.nii.gz", like=scan)
    mask = onto(mask, volume.array.shape, volume.affine, order=0).array
    names = pd.read_csv(folder / "structures.csv").set_index("id")["structure"]
    lobes = {code: names[code] for code in range(10, 15)}
    assert abs(np.median(volume.array[np.isin(mask, list(lobes))]) + 874) < 30
    middle = volume.array.shape[0] / 2
    for code, name in lobes.items():
        x = np.argwhere(mask == code)[:, 0].mean()
        assert (x < middle) == ("left" in name), f"{name} at x = {x} of {2 * middle}"
