"""A scan as a folder of pictures, one a slice."""

import re
from pathlib import Path

_SUFFIXES = (".png", ".jpg", ".jpeg")


def slices(folder: Path) -> list[Path]:
    """The pictures (PNG, JPEG) of a folder in natural order of their names, slice2 before slice10.

    Files whose names begin with a full stop are none: some systems put one beside every file.
    """
    files = [file for file in folder.iterdir() if file.suffix.lower() in _SUFFIXES]
    return sorted((file for file in files if not file.name.startswith(".")), key=_natural)


def _natural(file: Path) -> list[tuple[int, str]]:
    parts = re.findall(r"\d+|\D+", file.stem)
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in parts]
