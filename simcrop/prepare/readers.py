"""Raw volumes and masks of every format into one: an array in HU and its affine.

What a file does not say is taken from the hints of the case table, and never guessed.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from simcrop.errors import InputError
from simcrop.formats import pictures
from simcrop.prepare import dicom
from simcrop.prepare.decoding import check_shape, decoding, from_sitk

# A larger one would be decompressed beside the array, and copied.
_PIECE = 2**20
_SITK = (".mhd", ".mha", ".nrrd")
# NIfTI's codes of metres and micrometres; headers that state no unit mean millimetres.
_MILLIMETRES = {1: 1000, 3: 0.001}
_AXES = {"R": (0, 1), "L": (0, -1), "A": (1, 1), "P": (1, -1), "S": (2, 1), "I": (2, -1)}


class UnknownGeometry(InputError):
    """Neither the file nor the hints say how its voxels lie; `hint` is what is missing."""

    def __init__(self, path: Path, hint: str) -> None:
        super().__init__(
            f"{path}: {hint} is stated neither in the file nor in the dataset's metadata; "
            "add it to the metadata or exclude the case"
        )
        self.hint = hint


@dataclass(frozen=True)
class Volume:
    """A scan or a mask.

    array: (I, J, K); HU as int16 or float32, masks of an integer type
    affine: (4, 4) float64, voxel index → RAS mm; may be oblique or left-handed
    blank: the file has a header, which says nothing of its geometry
    """

    array: np.ndarray
    affine: np.ndarray
    blank: bool = False

    @property
    def spacing(self) -> np.ndarray:
        """(3,) mm between voxel centres along the stored axes."""
        return np.linalg.norm(self.affine[:3, :3], axis=0)


def read(path: Path, hints: Mapping[str, str]) -> Volume:
    """Read a CT: .nii, .nii.gz, .mhd, .mha, .nrrd, .npz (key `ct`), or a folder of slices.

    A folder holds one DICOM series, or else pictures (PNG, JPEG).

    `hints` holds the strings `spacing`, `orientation`, `slope`, `intercept` of the case table. They
    describe .npz files and folders of pictures, both of them arrays of [slice, row, column], and
    files whose header is blank. Where a header states its geometry, it holds, and so do the slope
    and intercept in it: a volume in HU is never rescaled again. Pictures in a folder are taken in
    natural order of their names.

    Raises:
        InputError: the file is missing or damaged, its geometry is unknown, or it cannot be a CT.
    """
    if not path.exists():
        raise InputError(f"{path}: no such file; fetch it again or take the case out of the index")
    if path.is_dir():
        files = pictures.slices(path)
        # Pictures that lie beside a series are previews of it.
        shown = files and not any(map(dicom.is_slice, path.iterdir()))
        array, affine = (_read_pictures(files), None) if shown else dicom.read(path)
    elif path.name.lower().endswith((".nii", ".nii.gz")):
        array, affine = _read_nifti(path, hints)
    elif path.suffix.lower() in _SITK:
        array, affine = _read_sitk(path)
    elif path.suffix.lower() == ".npz":
        array, affine = _read_npz(path), None
    elif dicom.is_slice(path):
        raise InputError(f"{path}: one file of a DICOM series; give its folder")
    else:
        raise InputError(f"{path}: unknown format; convert it to .nii.gz")
    check_shape(path, array)
    blank = affine is None and path.is_file() and path.suffix.lower() != ".npz"
    if affine is None:
        affine = _hinted_affine(path, hints)
        array = _rescaled(path, array, hints)
    _check_affine(path, affine)
    return Volume(_compact(path, array), affine, blank)


def read_mask(path: Path, like: Volume) -> Volume:
    """Read a voxel mask (.nii, .nii.gz, .mhd, .mha, .nrrd) as int32, ignoring any scaling.

    A mask with a blank header takes the affine of `like`, its scan, where their shapes are equal.

    Raises:
        InputError: the file is missing or damaged, holds other than integers, has no geometry or
            lies elsewhere than its scan.
    """
    if not path.exists():
        raise InputError(f"{path}: no such mask; fetch it again or take it out of the index")
    if path.suffix.lower() in _SITK:
        array, affine = _read_sitk(path)
    else:
        array, affine = _read_nifti(path, None)
    check_shape(path, array)
    if affine is None and array.shape == like.array.shape:
        affine = like.affine
    if affine is None:
        raise InputError(f"{path}: blank header, and not of its scan's shape; mend the header")
    _check_affine(path, affine)
    centre = affine @ [*(np.array(array.shape) - 1) / 2, 1]
    voxel = (np.linalg.inv(like.affine) @ centre)[:3]
    if (voxel < 0).any() or (voxel > like.array.shape).any():
        raise InputError(f"{path}: its middle lies outside of its scan; mend the header")
    whole = array.astype(np.int32)
    if not np.array_equal(whole, array):
        raise InputError(f"{path}: holds values that are no 32-bit integers; give a label mask")
    return Volume(whole, affine)


def _read_nifti(
    path: Path, hints: Mapping[str, str] | None
) -> tuple[np.ndarray, np.ndarray | None]:
    """The array, scaled by the header unless `hints` replace that, and the affine it states.

    Without hints the array stays as it is stored.
    """
    import nibabel
    from isal import igzip

    open_ = igzip.open if path.suffix.lower() == ".gz" else open
    with decoding(path), open_(path, "rb") as stream:
        # As it stands: reading an image mends spacings that are zero or negative, by a guess.
        edges = nibabel.Nifti1Header.from_fileobj(stream, check=False)["pixdim"][1:4]
        stream.seek(0)
        image = nibabel.Nifti1Image.from_stream(stream)
        proxy = image.dataobj
        array = np.empty(proxy.shape, proxy.dtype, order="F")
        stream.seek(proxy.offset)
        flat = memoryview(array.reshape(-1, order="F")).cast("B")
        done = 0
        while done < len(flat) and (count := stream.readinto(flat[done : done + _PIECE])):
            done += count
        if done < len(flat):
            raise EOFError(f"ends after {done} of {len(flat)} bytes of voxels")
        stream.read()  # gzip compares its checksum only at the end
    # Some writers add axes of time or channels to a volume.
    while array.ndim > 3 and array.shape[-1] == 1:
        array = array[..., 0]
    check_shape(path, array)
    if image.header["sform_code"] == 0 < image.header["qform_code"] and edges.min() <= 0:
        raise InputError(f"{path}: spacing {edges} mm; mend the header")
    stated = image.header["qform_code"] > 0 or image.header["sform_code"] > 0
    affine = None if not stated or _is_blank(image.affine) else image.affine
    if affine is not None:
        affine[:3] *= _MILLIMETRES.get(int(image.header["xyzt_units"]) % 8, 1)
    replaced = affine is None and hints and (hints["slope"] or hints["intercept"])
    if hints is not None and not replaced:
        array = _scaled(array, float(proxy.slope), float(proxy.inter))
    return array, affine


def _read_sitk(path: Path) -> tuple[np.ndarray, np.ndarray | None]:
    import SimpleITK as sitk

    with decoding(path):
        image = sitk.ReadImage(str(path))
    array, affine = from_sitk(path, image)
    return array, None if _is_blank(affine) else affine


def _read_npz(path: Path) -> np.ndarray:
    with decoding(path), np.load(path, allow_pickle=False) as archive:
        return archive["ct"]


def _read_pictures(files: list[Path]) -> np.ndarray:
    from PIL import Image

    slices = []
    for file in files:
        with decoding(file), Image.open(file) as image:
            grey = image.mode == "L" or image.mode.startswith("I")
            slices.append(np.asarray(image if grey else image.convert("L")))
        if slices[-1].shape != slices[0].shape:
            raise InputError(
                f"{file}: {slices[-1].shape} pixels, but {slices[0].shape} in the first slice; "
                "remove what does not belong to the series"
            )
    return np.stack(slices)


def _is_blank(affine: np.ndarray) -> bool:
    """Whether an affine is what libraries write when they know nothing: 1 mm, from the origin."""
    return np.array_equal(np.abs(affine), np.eye(4))


def _hinted_affine(path: Path, hints: Mapping[str, str]) -> np.ndarray:
    """The affine of an array whose axes run as `orientation` says, its first voxel at 0."""
    for hint in ("spacing", "orientation"):
        if not hints[hint]:
            raise UnknownGeometry(path, hint)
    spacing = [_number(path, "spacing", part) for part in hints["spacing"].split()]
    axes = [_AXES.get(code) for code in hints["orientation"]]
    affine = np.diag([0.0, 0.0, 0.0, 1.0])
    if len(spacing) == len(axes) == 3 and None not in axes and min(spacing) > 0:
        for stored, (axis, sign) in enumerate(axes):
            affine[axis, stored] = sign * spacing[stored]
    if not affine.any(axis=0).all() or not affine.any(axis=1).all():
        raise InputError(
            f"{path}: spacing '{hints['spacing']}' and orientation '{hints['orientation']}' in the "
            "dataset's metadata; state three numbers above 0 in mm and axis codes such as LPS"
        )
    return affine


def _number(path: Path, name: str, text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = np.nan
    if not np.isfinite(number):
        raise InputError(
            f"{path}: {name} '{text}' in the dataset's metadata is no number; mend it there"
        )
    return number


def _rescaled(path: Path, array: np.ndarray, hints: Mapping[str, str]) -> np.ndarray:
    slope = _number(path, "slope", hints["slope"] or "1")
    return _scaled(array, slope, _number(path, "intercept", hints["intercept"] or "0"))


def _scaled(array: np.ndarray, slope: float, intercept: float) -> np.ndarray:
    """slope · array + intercept, in place of int16 where the result fits into it."""
    if (slope, intercept) == (1, 0):
        return array
    limits = np.iinfo(np.int16)
    if array.dtype == np.int16 and slope == 1 and intercept == round(intercept):
        low, high = int(array.min()) + intercept, int(array.max()) + intercept
        if limits.min <= low and high <= limits.max:
            array += np.int16(intercept)
            return array
    return array * np.float32(slope) + np.float32(intercept)


def _compact(path: Path, array: np.ndarray) -> np.ndarray:
    """HU as int16 where they are whole numbers that fit, as float32 otherwise.

    Raises:
        InputError: a voxel is not finite, or all are equal.
    """
    low, high = array.min(), array.max()
    if not np.isfinite([low, high]).all():
        raise InputError(
            f"{path}: holds NaN or infinite voxels; fetch it again or exclude the case"
        )
    if low == high:
        raise InputError(f"{path}: every voxel is {low}; fetch it again or exclude the case")
    limits = np.iinfo(np.int16)
    if array.dtype.kind in "iu" and limits.min <= low and high <= limits.max:
        return array.astype(np.int16, copy=False)
    return array.astype(np.float32, copy=False)


def _check_affine(path: Path, affine: np.ndarray) -> None:
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    if not np.isfinite(affine).all() or spacing.min() <= 0:
        raise InputError(f"{path}: spacing {spacing} mm; mend the header or the metadata")
    if abs(np.linalg.det(affine[:3, :3])) < 1e-6 * spacing.prod():
        raise InputError(f"{path}: two of its axes run in one direction; mend the header")
