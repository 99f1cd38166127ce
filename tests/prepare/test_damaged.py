"""Files that are damaged or no scan are refused by name."""

import gzip
from pathlib import Path

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk
from PIL import Image
from scans import LAS, NONE, nifti

from simcrop.errors import InputError
from simcrop.prepare.readers import read

HINTS = {**NONE, "spacing": "5 3 2", "orientation": "IPL"}


def broken_voxels(value: float) -> np.ndarray:
    array = np.arange(120, dtype=np.float32).reshape(6, 5, 4)
    array[3, 2, 1] = value
    return array


@pytest.mark.parametrize(
    ("array", "reason"),
    [
        (broken_voxels(np.nan), "NaN"),
        (broken_voxels(np.inf), "infinite"),
        (np.full((6, 5, 4), -1024, np.int16), "every voxel is -1024"),
        (np.zeros((6, 5, 4), np.int16), "every voxel is 0"),
        (np.arange(240, dtype=np.int16).reshape(6, 5, 4, 2), "4-dimensional"),
        (np.arange(60, dtype=np.int16).reshape(6, 5, 2), "6 x 5 x 2"),
    ],
)
def test_voxels_that_are_no_scan_are_refused(tmp_path, array, reason):
    with pytest.raises(InputError, match=rf"a\.nii\.gz: .*{reason}"):
        read(nifti(tmp_path / "a.nii.gz", array), NONE)


@pytest.mark.parametrize("column", [[0, 0, 0], [np.nan, 0, 0], [0, 3.0, 0]])
def test_an_affine_without_three_axes_is_refused(tmp_path, hu, column):
    image = nibabel.Nifti1Image(hu, LAS)
    image.header.set_sform(np.column_stack([LAS[:, 0], LAS[:, 1], [*column, 0], LAS[:, 3]]), 1)
    image.to_filename(tmp_path / "a.nii")
    raw = nibabel.Nifti1Header.from_fileobj((tmp_path / "a.nii").open("rb"))
    raw["sform_code"], raw["qform_code"] = 1, 0
    for row, name in enumerate(("srow_x", "srow_y", "srow_z")):
        raw[name][:] = [LAS[row, 0], LAS[row, 1], column[row], LAS[row, 3]]
    with (tmp_path / "a.nii").open("r+b") as file:
        file.write(raw.binaryblock)
    with pytest.raises(InputError, match=r"a\.nii: .*(mend the header)"):
        read(tmp_path / "a.nii", NONE)


@pytest.mark.parametrize("edge", [0.0, -5.0])
def test_a_spacing_that_is_zero_or_negative_is_refused_and_not_mended_by_a_guess(
    tmp_path, hu, edge
):
    image = nibabel.Nifti1Image(hu, None)
    image.header.set_qform(LAS, 1)
    raw = bytearray(image.to_bytes())
    raw[88:92] = np.float32(edge).tobytes()  # pixdim[3]
    (tmp_path / "a.nii").write_bytes(raw)
    with pytest.raises(InputError, match=r"a\.nii: spacing .*mend the header"):
        read(tmp_path / "a.nii", NONE)
    sitk.WriteImage(sitk.GetImageFromArray(hu.T), str(tmp_path / "a.mhd"))
    text = (tmp_path / "a.mhd").read_text()
    (tmp_path / "a.mhd").write_text(
        text.replace("ElementSpacing = 1 1 1", "ElementSpacing = 2 3 0")
    )
    with pytest.raises(InputError, match=r"a\.mhd: cannot be read .*spacing"):
        read(tmp_path / "a.mhd", NONE)


def damaged(folder: Path, kind: str, hu: np.ndarray) -> Path:
    """A file of `kind`, cut to half of its bytes or filled with other ones."""
    noise = np.random.default_rng(0).integers(-1000, 1000, (40, 40, 20)).astype(np.int16)
    path = nifti(folder / "a.nii.gz", noise)
    if kind == "gzip cut":
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    elif kind == "nifti cut":
        path = nifti(folder / "a.nii", noise)
        path.write_bytes(path.read_bytes()[:-100])
    elif kind == "no gzip":
        path.write_bytes(b"<html>404 not found</html>" * 40)
    elif kind == "gzip of nothing":
        path.write_bytes(gzip.compress(b""))
    elif kind == "empty":
        path.write_bytes(b"")
    elif kind == "gzip corrupt":
        data = bytearray(path.read_bytes())
        data[len(data) // 2 : len(data) // 2 + 400] = bytes(400)
        path.write_bytes(bytes(data))
    elif kind == "raw cut":
        path = folder / "a.mhd"
        image = sitk.GetImageFromArray(noise.T)
        image.SetSpacing([2, 3, 5])
        sitk.WriteImage(image, str(path))
        raw = path.with_suffix(".raw")
        raw.write_bytes(raw.read_bytes()[:1000])
    elif kind == "raw missing":
        path = damaged(folder, "raw cut", hu)
        path.with_suffix(".raw").unlink()
    elif kind == "npz cut":
        path = folder / "a.npz"
        np.savez_compressed(path, ct=noise)
        path.write_bytes(path.read_bytes()[:1000])
    elif kind == "npz without ct":
        path = folder / "a.npz"
        np.savez_compressed(path, volume=noise)
    elif kind == "npz with objects":
        path = folder / "a.npz"
        np.savez_compressed(path, ct=np.array([[[print] * 3] * 3] * 3, dtype=object))
    elif kind == "png cut":
        path = folder / "slices"
        path.mkdir()
        for number in range(4):
            Image.fromarray(noise[..., number].astype(np.uint8)).save(path / f"{number}.png")
        (path / "2.png").write_bytes((path / "2.png").read_bytes()[:300])
    return path


@pytest.mark.parametrize(
    "kind",
    [
        "gzip cut",
        "nifti cut",
        "no gzip",
        "gzip of nothing",
        "empty",
        "gzip corrupt",
        "raw cut",
        "raw missing",
        "npz cut",
        "npz without ct",
        "npz with objects",
        "png cut",
    ],
)
def test_a_damaged_file_is_refused_by_name(tmp_path, hu, kind):
    path = damaged(tmp_path, kind, hu)
    with pytest.raises(InputError, match=r"cannot be read .*fetch it again") as caught:
        read(path, HINTS)
    assert str(path) in str(caught.value)


def test_what_is_not_there_is_refused(tmp_path):
    for name in ("a.nii.gz", "b.mhd", "folder"):
        with pytest.raises(InputError, match=rf"{name}: no such file"):
            read(tmp_path / name, NONE)
    with pytest.raises(InputError, match="without pictures or a DICOM series"):
        read(tmp_path, HINTS)
    (tmp_path / "a.raw").write_bytes(b"")
    with pytest.raises(InputError, match=r"a\.raw: unknown format"):
        read(tmp_path / "a.raw", NONE)


@pytest.mark.parametrize("suffix", [".mha", ".nrrd"])
@pytest.mark.parametrize("shape", [(40, 50, 3), (10, 40, 50, 3)])
def test_colours_are_no_volume(tmp_path, suffix, shape):
    image = sitk.GetImageFromArray(np.ones(shape, np.uint8), isVector=True)
    sitk.WriteImage(image, str(tmp_path / f"a{suffix}"))
    told = rf"a\{suffix}: {len(shape) - 1}-dimensional with 3 to a voxel"
    with pytest.raises(InputError, match=told):
        read(tmp_path / f"a{suffix}", NONE)


def test_a_nifti_without_voxels_is_refused_whatever_its_scale(tmp_path, hu):
    header = nibabel.Nifti1Image(hu, LAS).header
    header["dim"][3], header["vox_offset"], header["magic"] = 0, 352, b"n+1"
    header["scl_slope"], header["scl_inter"] = 1, -1024
    (tmp_path / "a.nii").write_bytes(header.binaryblock + bytes(4))
    with pytest.raises(InputError, match=r"a\.nii: 6 x 5 x 0 voxels"):
        read(tmp_path / "a.nii", NONE)


@pytest.mark.parametrize("number", ["nan", "inf", "none"])
@pytest.mark.parametrize("name", ["slope", "intercept"])
def test_a_scale_of_the_metadata_that_is_no_number_is_refused(tmp_path, hu, name, number):
    np.savez(tmp_path / "a.npz", ct=hu)
    with pytest.raises(InputError, match=rf"a\.npz: {name} '{number}' .*mend it there"):
        read(tmp_path / "a.npz", {**HINTS, name: number})
