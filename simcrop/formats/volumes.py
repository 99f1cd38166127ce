"""The volume store: integer volumes in RAS, chunked and compressed, packed many to a file.

A store is an uncompressed zip of blosc2 arrays, one entry a case, so that a crop is read by
decompressing the chunks that it touches and 50,000 volumes are a few hundred files.
"""

import zipfile
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

import blosc2
import numpy as np

from simcrop import files
from simcrop.errors import InputError

CHUNK = (64, 64, 32)
_BLOCK = (32, 32, 16)
_DATE = (1980, 1, 1, 0, 0, 0)


class VolumeWriter:
    """Writes one store file; it appears when the `with` block ends without an error.

    with VolumeWriter("volumes.zip") as store:
        store.add("case", volume, affine)
    """

    def __init__(self, path: str | Path) -> None:
        self._whole = files.whole(path)

    def __enter__(self) -> "VolumeWriter":
        self._zip = zipfile.ZipFile(self._whole.__enter__(), "w", zipfile.ZIP_STORED)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._zip.close()
        self._whole.__exit__(kind, error, trace)

    def add(self, case: str, volume: np.ndarray, affine: np.ndarray) -> None:
        """Append `volume`, (X, Y, Z) integers in RAS, with its (4, 4) affine from voxels to mm."""
        if volume.ndim != 3 or not np.issubdtype(volume.dtype, np.integer):
            raise InputError(f"{case}: {volume.dtype} {volume.shape}; the store takes 3D integers")
        self.add_packed(case, pack(volume, affine))

    def add_packed(self, case: str, packed: bytes) -> None:
        """Append what `pack` made."""
        self._zip.writestr(zipfile.ZipInfo(f"{case}.b2nd", _DATE), packed)


def pack(volume: np.ndarray, affine: np.ndarray) -> bytes:
    """`volume`, (X, Y, Z) integers in RAS, and its (4, 4) affine, as an entry of a store."""
    chunks = tuple(min(c, n) for c, n in zip(CHUNK, volume.shape, strict=True))
    packed = blosc2.asarray(
        np.ascontiguousarray(volume),
        chunks=chunks,
        blocks=tuple(min(b, c) for b, c in zip(_BLOCK, chunks, strict=True)),
        cparams=blosc2.CParams(
            codec=blosc2.Codec.ZSTD, clevel=1, filters=[blosc2.Filter.SHUFFLE], nthreads=1
        ),
    )
    packed.schunk.vlmeta["affine"] = np.asarray(affine, float).tolist()
    return packed.to_cframe()


class VolumeStore:
    """Reads one store or several as one: `store.read(case)`, `store.affine(case)`."""

    def __init__(self, paths: str | Path | Sequence[str | Path]) -> None:
        paths = [paths] if isinstance(paths, str | Path) else paths
        self._entries: dict[str, tuple[Path, int, int]] = {}
        for path in map(Path, paths):
            try:
                self._entries |= _entries(path)
            except (FileNotFoundError, zipfile.BadZipFile) as error:
                raise InputError(
                    f"{path}: no readable volume store ({error}); make it anew"
                ) from None

    @property
    def cases(self) -> list[str]:
        """The cases held, in the order in which they were written."""
        return list(self._entries)

    def read(self, case: str, region: tuple[slice, slice, slice] | None = None) -> np.ndarray:
        """The volume of `case`, or the `region` of it, as an (X, Y, Z) array of its stored type."""
        array = self._open(case)
        return array[:] if region is None else array[region]

    def shape(self, case: str) -> tuple[int, int, int]:
        """The number of voxels along x, y and z."""
        return self._open(case).shape

    def affine(self, case: str) -> np.ndarray:
        """The (4, 4) affine from voxel indices to RAS millimetres."""
        array = self._open(case)
        return np.array(array.schunk.vlmeta["affine"])

    def checksum(self, case: str) -> int:
        """The CRC-32 of the entry of `case`, as the archive states it."""
        return self._entry(case)[2]

    def _entry(self, case: str) -> tuple[Path, int, int]:
        try:
            return self._entries[case]
        except KeyError:
            raise InputError(
                f"{case}: not in the volume store; was it set aside in the audit?"
            ) from None

    def _open(self, case: str) -> blosc2.NDArray:
        path, offset, _ = self._entry(case)
        return blosc2.open(str(path), mode="r", offset=offset)


def _entries(path: Path) -> dict[str, tuple[Path, int, int]]:
    """Where the array of each case begins in a store file, and its checksum."""
    entries = {}
    with zipfile.ZipFile(path) as archive, path.open("rb") as file:
        for entry in archive.infolist():
            # The local header's name and extra field have lengths of their own.
            file.seek(entry.header_offset + 26)
            lengths = np.frombuffer(file.read(4), "<u2")
            offset = entry.header_offset + 30 + int(lengths.sum())
            entries[entry.filename.removesuffix(".b2nd")] = (path, offset, entry.CRC)
    return entries
