"""A folder with one DICOM series: its voxels, where its slices say that they lie."""

from pathlib import Path

import numpy as np

from simcrop.errors import InputError
from simcrop.prepare.decoding import decoding, from_sitk

# DICOM's name of a slice's first corner, and how far (mm) slices may be off even distances.
_POSITION = "0020|0032"
_UNEVEN = 0.1


def read(path: Path) -> tuple[np.ndarray, np.ndarray]:
    import SimpleITK as sitk

    # An empty folder would make the library warn.
    some = any(path.iterdir())
    series = sitk.ImageSeriesReader.GetGDCMSeriesIDs(str(path)) if some else ()
    if not series:
        raise InputError(f"{path}: a folder without pictures or a DICOM series; fetch it again")
    if len(series) > 1:
        raise InputError(
            f"{path}: holds {len(series)} DICOM series ({', '.join(series)}); leave one in it"
        )
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(path), series[0]))
    reader.MetaDataDictionaryArrayUpdateOn()
    with decoding(path):
        image = reader.Execute()
        places = [
            [float(mm) for mm in reader.GetMetaData(number, _POSITION).split("\\")]
            for number in range(len(reader.GetFileNames()))
        ]
    array, affine = from_sitk(path, image)
    steps = np.diff(places, axis=0)
    if not len(steps):
        return array, affine
    if np.abs(steps - steps.mean(axis=0)).max() > _UNEVEN:
        apart = np.linalg.norm(steps, axis=1)
        raise InputError(
            f"{path}: slices lie {apart.min():.4g} to {apart.max():.4g} mm apart, so some are "
            "missing or of another scan; complete the series"
        )
    # With a tilted gantry slices are shifted against each other, which the image leaves out.
    affine[:3, 2] = steps.mean(axis=0) * [-1, -1, 1]
    return array, affine
