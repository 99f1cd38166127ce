"""What is recorded of every scan, and what a chest CT in HU cannot be."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from nibabel import orientations

from simcrop.errors import InputError
from simcrop.prepare.readers import Volume

#   reason   why the case is set aside; empty where it is usable
#   note     what is odd about a usable case
#   raw_…    of the file; shape and HU are those of the resampled volume
#   content  of the resampled volume, the same for the same voxels
COLUMNS = ("case", "reason", "note", "raw_shape", "raw_spacing", "raw_orientation", "shape")
COLUMNS += ("hu_min", "hu_median", "hu_max", "content")

_EXTENT = (30, 3000)
_SAMPLE = 1000
# Between air and fat, the borders left out: paddings and clipped air stand at -1024 or -1000.
_LUNG = (-980, -400)
_LEAST_LUNG = 0.01
_TISSUE_ABOVE = -300


def raw(scan: Volume, hints: Mapping[str, str]) -> dict[str, str]:
    """The raw columns of a scan's row.

    Notes tell where header and metadata disagree on spacing, where a header is blank, and of greys
    of 8 bits that are no HU.

    Raises:
        InputError: see `check_extent`.
    """
    check_extent(scan)
    stated = hints["spacing"]
    notes = []
    if stated and not _is_spacing(stated, scan.spacing):
        notes.append(f"metadata say spacing {stated}, the header's is used")
    if scan.blank:
        notes.append("blank header, geometry is that of the metadata")
    thinned = scan.array[::4, ::4, ::2]
    if thinned.size > _SAMPLE and len(np.unique(thinned)) <= 256:
        notes.append("8-bit greys and no HU (no more than 256 values)")
    return {
        "raw_shape": _text(scan.array.shape),
        "raw_spacing": _text(scan.spacing),
        "raw_orientation": "".join(orientations.aff2axcodes(scan.affine)),
        "note": "; ".join(notes),
    }


def check_extent(scan: Volume) -> None:
    """Raises InputError where a scan spans less than 30 mm or more than 3 m along an axis."""
    extent = scan.spacing * scan.array.shape
    if extent.min() < _EXTENT[0] or extent.max() > _EXTENT[1]:
        raise InputError(
            f"spans {_text(extent)} mm at a spacing of {_text(scan.spacing)} mm, "
            "which no chest does; mend the spacing"
        )


def resampled(volume: Volume) -> dict[str, str]:
    """The columns of the resampled volume in a scan's row.

    Raises:
        InputError: too few voxels are as dense as lung or as tissue, so it is not in HU.
    """
    low, median, upper, high = np.percentile(volume.array, [0, 50, 99, 100])
    if upper < _TISSUE_ABOVE:
        raise InputError(
            f"99 % of the voxels lie below {upper:.0f}, so not in HU; "
            "was the intercept applied twice? State slope and intercept"
        )
    lung = np.mean((volume.array > _LUNG[0]) & (volume.array < _LUNG[1]))
    if lung < _LEAST_LUNG:
        raise InputError(
            f"{100 * lung:.2g} % of the voxels lie between {_LUNG[0]} and {_LUNG[1]}, as lungs do, "
            "so not in HU, or no chest; state slope and intercept, or exclude the case"
        )
    return {
        "shape": _text(volume.array.shape),
        "hu_min": f"{low:.0f}",
        "hu_median": f"{median:.0f}",
        "hu_max": f"{high:.0f}",
        "content": hashlib.blake2b(np.ascontiguousarray(volume.array), digest_size=8).hexdigest(),
    }


def swapped_sides(mask: np.ndarray, structures: Mapping[int, str]) -> Iterator[str]:
    """Notes of paired structures whose left one lies to the right of the right one.

    Args:
        mask: (X, Y, Z) structure ids in RAS, so that x grows to the right.
    """
    ids = {name: number for number, name in structures.items()}
    for name, left in ids.items():
        right = ids.get(name.replace("left ", "right "))
        if not name.startswith("left ") or right is None:
            continue
        places = [np.flatnonzero((mask == number).any(axis=(1, 2))) for number in (left, right)]
        if all(map(len, places)) and np.mean(places[0]) > np.mean(places[1]):
            yield f"{name} lies to the right of the right one, look at the codes of the mask"


def _is_spacing(stated: str, spacing: np.ndarray) -> bool:
    """Whether `stated` gives `spacing` to 1 %; metadata need not know the order of stored axes."""
    try:
        numbers = sorted(map(float, stated.split()))
    except ValueError:
        return False
    return len(numbers) == 3 and np.allclose(numbers, sorted(spacing), rtol=0.01)


def _text(numbers: Sequence[float]) -> str:
    return " ".join(f"{number:.4g}" for number in numbers)
