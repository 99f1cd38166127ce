"""A folder with one DICOM series reads as the scanner laid its slices, or says what is wrong."""

import locale
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from PIL import Image
from scans import NONE

from simcrop.errors import InputError
from simcrop.prepare.readers import read

SPACING = (2.0, 3.0, 5.0)


def dicom(
    folder: Path,
    hu: np.ndarray,
    series: str = "1.2.3",
    tilt: float = 0,
    spacing: tuple[float, float, float] = SPACING,
    origin: tuple[float, float, float] = (10, -20, -30),
) -> None:
    """A CT series, a file a slice, in the axes of LPS; each is shifted back by `tilt` mm."""
    image = sitk.GetImageFromArray(hu.T)
    image.SetSpacing(spacing)
    image.SetOrigin(origin)
    writer = sitk.ImageFileWriter()
    writer.KeepOriginalImageUIDOn()
    before = locale.setlocale(locale.LC_ALL)
    for number in range(image.GetDepth()):
        part = image[:, :, number]
        position = np.add(
            image.TransformIndexToPhysicalPoint((0, 0, number)), (0, number * tilt, 0)
        )
        for tag, value in {
            "0008|0060": "CT",
            "0020|000e": series,
            "0020|000d": "1.2",
            "0008|0018": f"{series}.{number}",
            "0020|0032": "\\".join(map(str, position)),
            "0020|0037": "1\\0\\0\\0\\1\\0",
            "0020|0013": str(number),
            "0028|1052": "-1024",
            "0028|1053": "1",
        }.items():
            part.SetMetaData(tag, value)
        writer.SetFileName(str(folder / f"{series}-{number}.dcm"))
        writer.Execute(part)
    locale.setlocale(locale.LC_ALL, before)  # which writing DICOM leaves at C


def test_a_dicom_series_reads_in_hu_and_ras(tmp_path, hu):
    dicom(tmp_path, hu)
    volume = read(tmp_path, NONE)
    assert np.array_equal(volume.array, hu)
    affine = np.diag([-2.0, -3.0, 5.0, 1.0])
    affine[:3, 3] = [-10, 20, -30]
    assert np.allclose(volume.affine, affine)


def test_the_shift_of_a_tilted_gantry_is_kept(tmp_path, hu):
    dicom(tmp_path, hu, tilt=1.5)
    volume = read(tmp_path, NONE)
    assert np.array_equal(volume.array, hu)
    # Voxel (1, 2, 3) in LPS: 10 + 2, -20 + 2 * 3 + 3 * 1.5, -30 + 3 * 5.
    assert np.allclose(volume.affine @ [1, 2, 3, 1], [-12, 9.5, -15, 1])


def test_a_series_that_lacks_a_slice_is_refused(tmp_path, hu):
    dicom(tmp_path, np.concatenate([hu, hu + 1], axis=2))
    (tmp_path / "1.2.3-5.dcm").unlink()
    with pytest.raises(InputError, match=r"slices lie 5 to 10 mm apart, .*complete the series"):
        read(tmp_path, NONE)


def test_a_lost_slice_of_a_thin_series_is_seen(tmp_path, hu):
    dicom(tmp_path, np.concatenate([hu, hu + 1], axis=2), spacing=(0.5, 0.5, 1))
    (tmp_path / "1.2.3-5.dcm").unlink()
    with pytest.raises(InputError, match=r"slices lie 1 to 2 mm apart, .*complete the series"):
        read(tmp_path, NONE)


def test_a_folder_of_two_series_is_refused_by_their_names(tmp_path, hu):
    for series in ("1.2.3", "1.2.4"):
        dicom(tmp_path, hu, series)
    with pytest.raises(InputError, match=r"holds 2 DICOM series .*1\.2\.3.*leave one"):
        read(tmp_path, NONE)


@pytest.mark.parametrize("number", [0, 3, 7])
@pytest.mark.parametrize(("name", "kept"), [("{}.dcm", 0), ("{}.dcm", -20), ("IM{}", 150)])
def test_a_series_with_a_damaged_slice_is_refused_by_its_name(tmp_path, hu, number, kept, name):
    dicom(tmp_path, np.concatenate([hu, hu + 1], axis=2))
    path = tmp_path / name.format(number)
    (tmp_path / f"1.2.3-{number}.dcm").rename(path)
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(InputError, match=rf"/{path.name}: damaged"):
        read(tmp_path, NONE)


def test_what_else_lies_in_the_folder_of_a_series_is_passed_over(tmp_path, hu):
    dicom(tmp_path, hu)
    for name in ("notes.txt", "._1.2.3-0.dcm", ".DS_Store"):
        (tmp_path / name).write_bytes(b"no slice")
    (tmp_path / "DICOMDIR").write_bytes(bytes(128) + b"DICM")
    (tmp_path / "older.dcm").mkdir()
    for number in range(3):
        Image.fromarray(np.full((9, 9), number, np.uint8)).save(tmp_path / f"preview{number}.jpg")
    assert np.array_equal(read(tmp_path, NONE).array, hu)


# The tag, and one which stands at the same place of a file and means something else.
@pytest.mark.parametrize(
    ("tag", "other"),
    [
        ("0020|0032", "0020|0031"),
        ("0020|0037", "0020|0038"),
        ("0028|0030", "0028|0031"),
        ("0028|1052", "0028|1051"),
        ("0028|1053", "0028|1054"),
    ],
)
def test_a_slice_that_does_not_state_its_place_or_scale_is_refused(tmp_path, hu, tag, other):
    dicom(tmp_path, hu)
    path = tmp_path / "1.2.3-2.dcm"
    raw = path.read_bytes()
    assert raw.count(encoded(tag)) == 1
    path.write_bytes(raw.replace(encoded(tag), encoded(other)))
    with pytest.raises(InputError, match=rf"1\.2\.3-2\.dcm: lacks {tag[:4]}\|{tag[5:]} .*export"):
        read(tmp_path, NONE)


def encoded(tag: str) -> bytes:
    """A tag as it stands in a file."""
    return b"".join(int(part, 16).to_bytes(2, "little") for part in tag.split("|"))


def test_a_series_of_1_mm_from_the_origin_states_its_geometry(tmp_path, hu):
    dicom(tmp_path, hu, spacing=(1, 1, 1), origin=(0, 0, 0))
    assert np.array_equal(read(tmp_path, NONE).affine, np.diag([-1, -1, 1, 1]))


def test_a_multi_frame_file_is_told_to_be_unsupported(tmp_path, hu):
    frames = sitk.GetImageFromArray((hu.T + 1024).astype(np.uint16))
    sitk.WriteImage(frames, str(tmp_path / "all.dcm"))
    with pytest.raises(InputError, match=r"all\.dcm: multi-frame DICOM, .*convert it"):
        read(tmp_path, NONE)


@pytest.mark.parametrize("name", ["0.dcm", "IM0"])
def test_of_a_single_file_the_folder_is_asked_for(tmp_path, hu, name):
    dicom(tmp_path, hu)
    (tmp_path / "1.2.3-0.dcm").rename(tmp_path / name)
    with pytest.raises(InputError, match=f"{name}: one file of a DICOM series; give its folder"):
        read(tmp_path / name, NONE)
