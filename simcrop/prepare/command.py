"""One's own CT at another spacing: the command `simcrop resample`."""

import math
from collections.abc import Sequence
from pathlib import Path

from simcrop import files
from simcrop.errors import DISK_FULL, InputError
from simcrop.formats import cases
from simcrop.prepare import audit, readers
from simcrop.prepare.resample import resample


def resample_file(
    source: Path,
    target: Path,
    spacing: Sequence[float],
    input_spacing: Sequence[float] | None = None,
    input_orientation: str | None = None,
) -> readers.Volume:
    """Write `source` at `spacing` (mm along x, y and z) as NIfTI in RAS, int16 HU.

    Args:
        source: what `readers.read` takes, or a folder with one DICOM series.
        input_spacing, input_orientation: of files that state none: mm along the stored axes, and
            the codes of these axes, such as IPL.

    Raises:
        InputError: `source` cannot be read, states no geometry or no chest's, or states one while
            `input_spacing` or `input_orientation` is given; `target` is no .nii or .nii.gz or
            cannot be written; or a spacing is no number above 0, or far too small.
    """
    import nibabel

    if not target.name.lower().endswith((".nii", ".nii.gz")):
        raise InputError(f"{target}: is written as NIfTI; name it .nii.gz or .nii")
    for option, stated in (("--spacing", spacing), ("--input-spacing", input_spacing or ())):
        if not all(0 < mm < math.inf for mm in stated):
            numbers = " ".join(map(str, stated))
            raise InputError(f"{option} {numbers}: give three numbers above 0, mm")
    scan = _read(source, input_spacing, input_orientation)
    try:
        audit.check_extent(scan)
        volume = resample(scan, spacing)
    except InputError as error:
        raise InputError(f"{source}: {error}") from None
    image = nibabel.Nifti1Image(volume.array, volume.affine)
    image.header.set_xyzt_units("mm")
    try:
        with files.whole(target) as temporary:
            nibabel.save(image, temporary)
    except OSError as error:
        if error.errno in DISK_FULL:
            raise
        raise InputError(
            f"{target}: cannot be written ({error.strerror}); name another place"
        ) from None
    return volume


def _read(source: Path, spacing: Sequence[float] | None, orientation: str | None) -> readers.Volume:
    """`source` with the geometry that it states, or with the given one where it states none."""
    hints = dict.fromkeys(cases.HINTS, "")
    try:
        scan = readers.read(source, hints)
    except readers.UnknownGeometry as error:
        if spacing and orientation:
            given = {"spacing": " ".join(f"{mm:g}" for mm in spacing), "orientation": orientation}
            return readers.read(source, hints | given)
        raise InputError(
            f"{source}: states no {error.hint}; give --input-spacing X Y Z and "
            "--input-orientation, such as IPL, of its stored axes"
        ) from None
    if spacing or orientation:
        raise InputError(
            f"{source}: states its geometry itself; leave out --input-spacing and "
            "--input-orientation, or mend its header"
        )
    return scan
