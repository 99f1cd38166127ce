"""Every raw format reads into the same HU and affine."""

from pathlib import Path

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk
from PIL import Image
from scans import LAS, NONE, nifti

from simcrop.errors import InputError
from simcrop.prepare.readers import Volume, read, read_mask

SPACING = np.array([2.0, 3.0, 5.0])


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_a_nifti_reads_as_stored(tmp_path, hu, suffix):
    volume = read(nifti(tmp_path / f"a{suffix}", hu), NONE)
    assert np.array_equal(volume.array, hu)
    assert np.allclose(volume.affine, LAS)
    assert np.allclose(volume.spacing, SPACING)


@pytest.mark.parametrize(("unit", "millimetres"), [("meter", 1000), ("mm", 1), ("micron", 0.001)])
def test_the_unit_of_a_nifti_header_is_honoured(tmp_path, hu, unit, millimetres):
    image = nibabel.Nifti1Image(hu, np.diag([*1 / np.full(3, millimetres), 1]) @ LAS)
    image.header.set_xyzt_units(unit)
    nibabel.save(image, tmp_path / "a.nii")
    assert np.allclose(read(tmp_path / "a.nii", NONE).affine, LAS)


def test_further_axes_of_one_voxel_are_left_out(tmp_path, hu):
    path = nifti(tmp_path / "a.nii", hu[..., None, None])
    assert np.array_equal(read(path, NONE).array, hu)
    mask = nifti(tmp_path / "m.nii", (hu > 0).astype(np.uint8)[..., None])
    assert np.array_equal(read_mask(mask, Volume(hu, LAS)).array, hu > 0)


def test_the_slope_and_intercept_of_a_nifti_header_are_honoured(tmp_path, hu):
    image = nibabel.Nifti1Image((hu // 2 + 512).astype(np.int16), LAS)
    image.header.set_slope_inter(2, -1024)
    nibabel.save(image, tmp_path / "a.nii.gz")
    stored = np.asarray(nibabel.load(tmp_path / "a.nii.gz").dataobj.get_unscaled())
    assert stored.min() == hu.min() // 2 + 512, "the test's own file is not scaled"
    volume = read(tmp_path / "a.nii.gz", NONE)
    assert volume.array.dtype == np.float32
    assert np.array_equal(volume.array, hu)


def test_hinted_slope_and_intercept_hold_only_where_the_header_is_blank(tmp_path, hu):
    hints = {"spacing": "2 3 5", "orientation": "LAS", "slope": "2", "intercept": "-1000"}
    for affine, (slope, intercept) in ((LAS, (7, 99)), (np.eye(4), (2, -1000))):
        image = nibabel.Nifti1Image(hu, affine)
        image.header.set_slope_inter(7, 99)
        nibabel.save(image, tmp_path / "a.nii.gz")
        stored = nibabel.load(tmp_path / "a.nii.gz").dataobj
        assert (stored.slope, stored.inter) == (7, 99), "the test's own file is not scaled"
        unscaled = np.asarray(stored.get_unscaled(), float)
        volume = read(tmp_path / "a.nii.gz", hints)
        assert np.array_equal(volume.array, unscaled * slope + intercept)


@pytest.mark.parametrize("stored", ["int16", "uint16", "int32", "float32", "uint8"])
@pytest.mark.parametrize(("slope", "intercept"), [(1, -1024), (1, 0.5), (0.5, -100), (2, 0)])
def test_scaling_is_that_of_nibabel_whatever_the_type(tmp_path, stored, slope, intercept):
    array = np.arange(120).reshape(6, 5, 4).astype(stored)
    header = nibabel.Nifti1Image(array, LAS, dtype=stored).header
    header["scl_slope"], header["scl_inter"], header["vox_offset"] = slope, intercept, 352
    header["magic"] = b"n+1"
    raw = header.binaryblock + bytes(4) + array.tobytes(order="F")
    (tmp_path / "a.nii").write_bytes(raw)
    image = nibabel.load(tmp_path / "a.nii")
    assert (image.dataobj.slope, image.dataobj.inter) == (slope, intercept)
    assert np.allclose(read(tmp_path / "a.nii", NONE).array, image.get_fdata(), atol=1e-3)


def test_an_intercept_that_leaves_16_bits_is_not_wrapped(tmp_path):
    array = np.full((6, 5, 4), -32000, np.int16)
    array[0] = 0
    header = nibabel.Nifti1Image(array, LAS).header
    header["scl_slope"], header["scl_inter"], header["vox_offset"] = 1, -1024, 352
    header["magic"] = b"n+1"
    (tmp_path / "a.nii").write_bytes(header.binaryblock + bytes(4) + array.tobytes(order="F"))
    assert read(tmp_path / "a.nii", NONE).array.min() == -33024


@pytest.mark.parametrize("suffix", [".mhd", ".mha", ".nrrd"])
def test_itk_formats_come_from_lps_to_ras(tmp_path, hu, suffix):
    image = sitk.GetImageFromArray(hu.T)
    image.SetSpacing(SPACING.tolist())
    image.SetOrigin([10, -20, -30])
    image.SetDirection([1, 0, 0, 0, -1, 0, 0, 0, 1])
    sitk.WriteImage(image, str(tmp_path / f"a{suffix}"))
    volume = read(tmp_path / f"a{suffix}", NONE)
    assert np.array_equal(volume.array, hu)
    # The patient's left is -x in RAS and +x in LPS; ITK itself says where a voxel lies.
    for voxel in [(0, 0, 0), (5, 4, 3), (1, 3, 2)]:
        lps = np.array(image.TransformIndexToPhysicalPoint(voxel))
        assert np.allclose((volume.affine @ [*voxel, 1])[:3], lps * [-1, -1, 1])


def test_an_oblique_itk_direction_is_kept(tmp_path, hu):
    tilt = np.radians(20)
    direction = [1, 0, 0, 0, np.cos(tilt), -np.sin(tilt), 0, np.sin(tilt), np.cos(tilt)]
    image = sitk.GetImageFromArray(hu.T)
    image.SetSpacing(SPACING.tolist())
    image.SetDirection(direction)
    sitk.WriteImage(image, str(tmp_path / "a.mha"))
    volume = read(tmp_path / "a.mha", NONE)
    lps = np.array(image.TransformIndexToPhysicalPoint((5, 4, 3)))
    assert np.allclose((volume.affine @ [5, 4, 3, 1])[:3], lps * [-1, -1, 1])


# Stored [slice, row, column], head first, front first, the patient's right first.
HINTS = {**NONE, "spacing": "5 3 2", "orientation": "IPL"}
IPL = [[0, 0, -2, 0], [0, -3, 0, 0], [-5, 0, 0, 0], [0, 0, 0, 1]]


def test_an_npz_takes_its_geometry_from_the_hints(tmp_path, hu):
    np.savez_compressed(tmp_path / "a.npz", ct=hu)
    volume = read(tmp_path / "a.npz", HINTS)
    assert np.array_equal(volume.array, hu)
    assert np.allclose(volume.affine, IPL)


def test_a_cyclic_orientation_is_not_taken_backwards(tmp_path, hu):
    np.savez_compressed(tmp_path / "a.npz", ct=hu)
    affine = read(tmp_path / "a.npz", {**HINTS, "orientation": "PIR"}).affine
    assert nibabel.aff2axcodes(affine) == ("P", "I", "R")
    assert np.allclose(affine[:3, 0], [0, -5, 0])


def test_png_slices_are_stacked_in_natural_order(tmp_path):
    grey = np.arange(11 * 5 * 4, dtype=np.uint8).reshape(11, 5, 4)
    for number, picture in enumerate(grey):
        Image.fromarray(picture).save(tmp_path / f"slice{number}.png")
    for name in ("notes.txt", "._slice0.png", ".DS_Store"):
        (tmp_path / name).write_text("no slice")
    volume = read(tmp_path, {**HINTS, "slope": "8", "intercept": "-1024"})
    assert np.array_equal(volume.array, grey.astype(float) * 8 - 1024)
    assert np.allclose(volume.affine, IPL)


def test_16_bit_and_colour_slices_keep_their_greys(tmp_path):
    deep = np.arange(60, dtype=np.uint16).reshape(3, 5, 4) * 1000
    colour = np.repeat(np.arange(60, dtype=np.uint8).reshape(3, 5, 4, 1), 3, axis=3)
    for name, slices in (("deep", deep), ("colour", colour)):
        (tmp_path / name).mkdir()
        for number, picture in enumerate(slices):
            Image.fromarray(picture).save(tmp_path / name / f"{number}.png")
    assert np.array_equal(read(tmp_path / "deep", HINTS).array, deep)
    assert np.array_equal(read(tmp_path / "colour", HINTS).array, colour[..., 0])


def blank(path: Path, array: np.ndarray, kind: str) -> Path:
    image = nibabel.Nifti1Image(array, np.eye(4))
    if kind == "no codes":
        image = nibabel.Nifti1Image(array, None)
        assert image.header["sform_code"] == image.header["qform_code"] == 0
    nibabel.save(image, path)
    return path


@pytest.mark.parametrize("kind", ["identity", "no codes"])
def test_a_blank_nifti_header_takes_the_hints(tmp_path, hu, kind):
    path = blank(tmp_path / "a.nii.gz", hu, kind)
    volume = read(path, {**NONE, "spacing": "2 3 5", "orientation": "LPS"})
    assert np.allclose(volume.affine, np.diag([-2, -3, 5, 1]))


@pytest.mark.parametrize("kind", ["identity", "no codes"])
@pytest.mark.parametrize("missing", ["spacing", "orientation"])
def test_a_blank_nifti_header_without_hints_is_refused(tmp_path, hu, kind, missing):
    path = blank(tmp_path / "a.nii.gz", hu, kind)
    hints = {**NONE, "spacing": "2 3 5", "orientation": "LPS", missing: ""}
    with pytest.raises(InputError, match=rf"a\.nii\.gz: {missing} .*add it"):
        read(path, hints)


def test_a_blank_itk_header_is_refused(tmp_path, hu):
    sitk.WriteImage(sitk.GetImageFromArray(hu.T), str(tmp_path / "a.mhd"))
    with pytest.raises(InputError, match=r"a\.mhd: spacing .*add it"):
        read(tmp_path / "a.mhd", NONE)


def test_a_stated_header_holds_against_hints(tmp_path, hu):
    path = nifti(tmp_path / "a.nii.gz", hu)
    volume = read(path, {**NONE, "spacing": "9 9 9", "orientation": "RAS"})
    assert np.allclose(volume.affine, LAS)


@pytest.mark.parametrize(
    "hints",
    [
        {"spacing": "0 1 1"},
        {"spacing": "1 -1 1"},
        {"spacing": "1 1"},
        {"spacing": "1 one 1"},
        {"spacing": "1 nan 1"},
        {"orientation": "LP"},
        {"orientation": "LRS"},
        {"orientation": "LPX"},
    ],
)
def test_hints_that_state_no_geometry_are_refused(tmp_path, hu, hints):
    np.savez_compressed(tmp_path / "a.npz", ct=hu)
    with pytest.raises(InputError, match=r"a\.npz: .*(metadata)"):
        read(tmp_path / "a.npz", {**HINTS, **hints})


def test_slices_of_another_size_are_refused(tmp_path):
    for number, edge in enumerate((4, 4, 5)):
        Image.fromarray(np.zeros((4, edge), np.uint8)).save(tmp_path / f"{number}.png")
    with pytest.raises(InputError, match=r"2\.png: .*does not belong"):
        read(tmp_path, HINTS)


def test_a_bit_mask_keeps_its_bits_and_ignores_scaling(tmp_path, hu):
    bits = np.zeros(hu.shape, np.int32)
    bits[1, 2, 3] = 1 << 30 | 1
    image = nibabel.Nifti1Image(bits, LAS)
    image.header.set_slope_inter(3, 7)
    nibabel.save(image, tmp_path / "a.nii.gz")
    mask = read_mask(tmp_path / "a.nii.gz", Volume(hu, LAS))
    assert mask.array.dtype == np.int32
    assert np.array_equal(mask.array, bits)
    assert np.allclose(mask.affine, LAS)


def test_a_compressed_mhd_mask_reads(tmp_path, hu):
    codes = np.arange(120, dtype=np.uint8).reshape(6, 5, 4) % 6
    image = sitk.GetImageFromArray(codes.T)
    image.SetSpacing(SPACING.tolist())
    sitk.WriteImage(image, str(tmp_path / "a.mhd"), useCompression=True)
    assert (tmp_path / "a.zraw").exists()
    scan = Volume(hu, np.diag([-2.0, -3.0, 5.0, 1.0]))
    mask = read_mask(tmp_path / "a.mhd", scan)
    assert np.array_equal(mask.array, codes)
    assert np.allclose(mask.affine, scan.affine)


def test_a_mask_with_a_blank_header_lies_where_its_scan_does(tmp_path, hu):
    path = nifti(tmp_path / "a.nii.gz", np.ones((6, 5, 4), np.uint8), np.eye(4))
    assert np.allclose(read_mask(path, Volume(hu, LAS)).affine, LAS)
    with pytest.raises(InputError, match=r"a\.nii\.gz: blank header"):
        read_mask(path, Volume(hu[1:], LAS))


def test_a_mask_of_fractions_is_refused(tmp_path, hu):
    path = nifti(tmp_path / "a.nii.gz", np.full((6, 5, 4), 0.5, np.float32))
    with pytest.raises(InputError, match=r"a\.nii\.gz: .*integers"):
        read_mask(path, Volume(hu, LAS))


def test_a_mask_that_lies_elsewhere_than_its_scan_is_refused(tmp_path, hu):
    far = LAS.copy()
    far[2, 3] += 60
    path = nifti(tmp_path / "a.nii.gz", np.ones((6, 5, 4), np.uint8), far)
    with pytest.raises(InputError, match=r"a\.nii\.gz: .*outside of its scan"):
        read_mask(path, Volume(hu, LAS))
