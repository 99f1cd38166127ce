"""Archives from outside: nothing of them is written outside of the folder they belong into."""

import shutil
import stat
import tarfile
import tempfile
import zipfile
import zlib
from pathlib import Path, PurePosixPath

from simcrop.errors import DISK_FULL, InputError

_DAMAGED = (zipfile.BadZipFile, tarfile.TarError, zlib.error, EOFError)
_UNPACKING = ".unpacking-"
_TAR = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")


def is_archive(name: str) -> bool:
    """Whether a file is unpacked after it came."""
    return name.lower().endswith((".zip", *_TAR))


def clear(folder: Path) -> None:
    """Remove what an unpacking that was killed has left in `folder`."""
    for left in folder.glob(f"{_UNPACKING}*"):
        shutil.rmtree(left)


def unpack(archive: Path, folder: Path) -> list[str]:
    """Unpack a zip or tar into `folder`; returns the files' names below it, in order.

    Everything is unpacked beside `folder` and checked before the first file is put into it.

    Raises:
        InputError: the archive is damaged or encrypted, holds links or names that lead elsewhere,
            or more than the disk has room for.
        OSError: the disk is full all the same.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=_UNPACKING) as temporary:
        try:
            if zipfile.is_zipfile(archive):
                _zip(archive, Path(temporary))
            else:
                _tar(archive, Path(temporary))
        except (*_DAMAGED, OSError, RuntimeError) as error:
            if isinstance(error, OSError) and error.errno in DISK_FULL:
                raise
            raise InputError(
                f"{archive}: cannot be unpacked ({error}); remove it, to fetch it again"
            ) from error
        found = sorted(path for path in Path(temporary).rglob("*") if path.is_file())
        names = [path.relative_to(temporary).as_posix() for path in found]
        for path, name in zip(found, names, strict=True):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            path.replace(folder / name)
    return names


def _zip(archive: Path, folder: Path) -> None:
    with zipfile.ZipFile(archive) as opened:
        entries = opened.infolist()
        _fits(archive, folder, sum(entry.file_size for entry in entries))
        for entry in entries:
            _check(archive, entry.filename)
            if stat.S_ISLNK(entry.external_attr >> 16):
                raise InputError(f"{archive}: '{entry.filename}' is a link; unpack it by hand")
        opened.extractall(folder)


def _tar(archive: Path, folder: Path) -> None:
    with tarfile.open(archive) as opened:
        entries = opened.getmembers()
        _fits(archive, folder, sum(entry.size for entry in entries))
        for entry in entries:
            _check(archive, entry.name)
            if not (entry.isfile() or entry.isdir()):
                raise InputError(f"{archive}: '{entry.name}' is a link or a device; unpack by hand")
        # Older Pythons lack the filter; the checks above do not lean on it.
        known = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}
        opened.extractall(folder, **known)


def _check(archive: Path, name: str) -> None:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\\" in name or ":" in name.split("/")[0]:
        raise InputError(
            f"{archive}: '{name}' leads out of the folder it is unpacked into; it is not trusted, "
            "and nothing of it was unpacked"
        )


def _fits(archive: Path, folder: Path, needed: int) -> None:
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise InputError(
            f"{archive}: unpacks to {needed / 1e9:.1f} GB, and {folder} has {free / 1e9:.1f} GB "
            "left; make room"
        )
