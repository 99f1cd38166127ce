"""A folder with one DICOM series: its voxels in HU, and where its slices say that they lie."""

from pathlib import Path

import numpy as np

from simcrop.errors import InputError
from simcrop.prepare.decoding import decoding, from_sitk

_FRAMES = "0028|0008"
_POSITION = "0020|0032"
# Where a slice lacks one of these, the library takes 1 mm, axial, or stored values as HU.
_NEEDED = {
    _POSITION: "ImagePositionPatient",
    "0020|0037": "ImageOrientationPatient",
    "0028|0030": "PixelSpacing",
    "0028|1052": "RescaleIntercept",
    "0028|1053": "RescaleSlope",
}
# How far (mm) slices may be off even distances.
_UNEVEN = 0.1


def is_slice(file: Path) -> bool:
    """Whether a file is to be DICOM, by its suffix or the mark behind its first 128 bytes."""
    if not file.is_file() or file.name.startswith(".") or file.name.upper() == "DICOMDIR":
        return False
    with decoding(file), file.open("rb") as stream:
        return file.suffix.lower() == ".dcm" or stream.read(132)[128:] == b"DICM"


def read(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """The voxels (I, J, K) in HU, and the (4, 4) affine in RAS.

    Raises:
        InputError: the folder holds no series or several, a file that is damaged or of many frames,
            a slice that does not state its place and scale, or too few slices.
    """
    import SimpleITK as sitk

    files = _series(folder)
    with decoding(files[0]):
        first = sitk.ImageFileReader()
        first.SetFileName(str(files[0]))
        first.ReadImageInformation()
    if first.HasMetaDataKey(_FRAMES) and int(first.GetMetaData(_FRAMES)) > 1:
        raise InputError(
            f"{files[0]}: multi-frame DICOM, which is not supported; convert it to .nii.gz"
        )
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames([str(file) for file in files])
    reader.MetaDataDictionaryArrayUpdateOn()
    with decoding(folder):
        image = reader.Execute()
    for number, file in enumerate(files):
        for tag, name in _NEEDED.items():
            if not (reader.HasMetaDataKey(number, tag) and reader.GetMetaData(number, tag).strip()):
                raise InputError(
                    f"{file}: lacks {tag} ({name}), without which its place or HU would be a "
                    "guess; export the series again"
                )
    array, affine = from_sitk(folder, image)
    with decoding(folder):
        places = [
            [float(mm) for mm in reader.GetMetaData(number, _POSITION).split("\\")]
            for number in range(len(files))
        ]
    steps = np.diff(places, axis=0)
    if np.abs(steps - steps.mean(axis=0)).max() > _UNEVEN:
        apart = np.linalg.norm(steps, axis=1)
        raise InputError(
            f"{folder}: slices lie {apart.min():.4g} to {apart.max():.4g} mm apart, so some are "
            "missing or of another scan; complete the series"
        )
    # With a tilted gantry slices are shifted against each other, which the image leaves out.
    affine[:3, 2] = steps.mean(axis=0) * [-1, -1, 1]
    return array, affine


def _series(folder: Path) -> list[Path]:
    """The files of the one series in a folder, as they lie upon each other."""
    from SimpleITK import ImageSeriesReader

    # An empty folder would make the library warn.
    some = any(folder.iterdir())
    series = ImageSeriesReader.GetGDCMSeriesIDs(str(folder)) if some else ()
    if not series:
        raise InputError(f"{folder}: a folder without pictures or a DICOM series; fetch it again")
    if len(series) > 1:
        raise InputError(
            f"{folder}: holds {len(series)} DICOM series ({', '.join(series)}); leave one in it"
        )
    files = list(map(Path, ImageSeriesReader.GetGDCMSeriesFileNames(str(folder), series[0])))
    # The library passes over what it cannot parse, and a damaged slice at an end leaves no gap.
    left = {file.name for file in folder.iterdir() if is_slice(file)} - {f.name for f in files}
    if left:
        raise InputError(
            f"{folder / min(left)}: damaged, so that the series would lack a slice; fetch it again"
        )
    return files
