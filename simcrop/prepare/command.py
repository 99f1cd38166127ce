"""One's own CT at another spacing: the command `simcrop resample`."""

from collections.abc import Sequence
from pathlib import Path

from simcrop import files
from simcrop.errors import InputError
from simcrop.prepare import readers
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
        InputError: `source` cannot be read or states no geometry, `target` is no .nii or .nii.gz,
            or a spacing is not above 0.
    """
    import nibabel

    if not target.name.lower().endswith((".nii", ".nii.gz")):
        raise InputError(f"{target}: is written as NIfTI; name it .nii.gz or .nii")
    if min(spacing) <= 0:
        raise InputError(f"--spacing {' '.join(map(str, spacing))}: give three numbers above 0, mm")
    hints = {
        "spacing": " ".join(f"{mm:g}" for mm in input_spacing or ()),
        "orientation": input_orientation or "",
        "slope": "",
        "intercept": "",
    }
    try:
        scan = readers.read(source, hints)
    except readers.UnknownGeometry as error:
        raise InputError(
            f"{source}: states no {error.hint}; give --input-spacing X Y Z and "
            "--input-orientation, such as IPL, of its stored axes"
        ) from None
    volume = resample(scan, spacing)
    image = nibabel.Nifti1Image(volume.array, volume.affine)
    image.header.set_xyzt_units("mm")
    with files.whole(target) as temporary:
        nibabel.save(image, temporary)
    return volume
