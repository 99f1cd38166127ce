"""Files that appear whole or not at all, and the numbers that describe them."""

import glob
import hashlib
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_DAY = 86400


@contextmanager
def whole(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path in the folder of `path`; it takes its place when the block succeeds.

    The temporary name keeps the suffixes of `path`, since writers choose their format by them. What
    a killed process left of such names a day ago is cleared.

    Raises:
        OSError: with the name of `path`, where it cannot be written.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    for left in path.parent.glob(f".????????-{glob.escape(path.name)}"):
        with suppress(FileNotFoundError):
            if time.time() - left.stat().st_mtime > _DAY:
                left.unlink()
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".", suffix="-" + path.name)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        temporary.chmod(0o666 & ~_umask())
        temporary.replace(path)
    except OSError as error:
        error.filename = error.filename or str(path)
        raise
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: str | Path, text: str) -> None:
    """Write UTF-8 text to `path`, whole or not at all."""
    with whole(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")


def below(folder: str | Path) -> list[Path]:
    """The paths of all files below a folder, sorted; links to folders are followed.

    No folder is entered twice, so that links may lead back. A link that leads nowhere is listed.
    """
    found, seen = [], set()
    for place, folders, names in os.walk(folder, followlinks=True):
        status = Path(place).stat()
        if (status.st_dev, status.st_ino) in seen:
            folders.clear()
            continue
        seen.add((status.st_dev, status.st_ino))
        folders.sort()
        found += [Path(place, name) for name in names]
    return sorted(found)


def sha256(path: str | Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
