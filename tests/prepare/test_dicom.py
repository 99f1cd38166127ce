"""A folder with one DICOM series reads as the scanner laid its slices, or says what is wrong."""

import locale
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from simcrop.errors import InputError
from simcrop.prepare.readers import read

NONE = {"spacing": "", "orientation": "", "slope": "", "intercept": ""}
SPACING = np.array([2.0, 3.0, 5.0])


@pytest.fixture
def hu() -> np.ndarray:
    """(I, J, K) = (6, 5, 4), int16, no two voxels alike."""
    return np.arange(-60, 60, dtype=np.int16).reshape(6, 5, 4) * 10


def dicom(folder: Path, hu: np.ndarray, series: str = "1.2.3", tilt: float = 0) -> None:
    """A CT series, a file a slice, in the axes of LPS; each is shifted back by `tilt` mm."""
    image = sitk.GetImageFromArray(hu.T)
    image.SetSpacing(SPACING.tolist())
    image.SetOrigin([10, -20, -30])
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


def test_a_folder_of_two_series_is_refused_by_their_names(tmp_path, hu):
    for series in ("1.2.3", "1.2.4"):
        dicom(tmp_path, hu, series)
    with pytest.raises(InputError, match=r"holds 2 DICOM series .*1\.2\.3.*leave one"):
        read(tmp_path, NONE)
