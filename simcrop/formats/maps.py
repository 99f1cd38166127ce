"""Similarity maps: cosines on the patch grid (maps.zip), and what each tells of (maps.csv)."""

from pathlib import Path

import numpy as np
import pandas as pd

from simcrop import files
from simcrop.formats.volumes import VolumeStore, VolumeWriter

# The store holds round(SCALE · cosine) as int16; affines lead from patches to RAS mm.
SCALE = 10_000

#   map      its name in the store
#   lesion, label   what the sentence tells of; empty where that is not known
COLUMNS = ("map", "case", "lesion", "label", "sentence")


class MapWriter:
    """Writes maps.zip and maps.csv in a folder; they appear when the `with` block ends well."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._rows: list[tuple[str, ...]] = []
        self._store = VolumeWriter(folder / "maps.zip")

    def __enter__(self) -> "MapWriter":
        self._store.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self._store.__exit__(*error)
        if error[0] is None:
            with files.whole(self._folder / "maps.csv") as temporary:
                table = pd.DataFrame(self._rows, columns=list(COLUMNS))
                table.to_csv(temporary, index=False, lineterminator="\n")

    def add(
        self,
        case: str,
        name: str,
        cosines: np.ndarray,
        affine: np.ndarray,
        sentence: str,
        lesion: str = "",
        label: str = "",
    ) -> None:
        """Append the map `case`.`name`: (GX, GY, GZ), with its affine from patches to mm."""
        self._store.add(f"{case}.{name}", np.round(cosines * SCALE).astype(np.int16), affine)
        self._rows.append((f"{case}.{name}", case, lesion, label, sentence))


def read(folder: Path) -> tuple[pd.DataFrame, VolumeStore]:
    """The table, all columns str, and the store; cosines are what it holds divided by SCALE."""
    table = pd.read_csv(folder / "maps.csv", dtype=str, keep_default_na=False)
    return table, VolumeStore(folder / "maps.zip")


def on_volume(
    grid: np.ndarray, grid_affine: np.ndarray, affine: np.ndarray, shape: tuple[int, ...]
) -> np.ndarray:
    """A map interpolated linearly at the voxels of a volume; NaN beyond the patches.

    Args:
        grid: (GX, GY, GZ) cosines on the patches.
        grid_affine: (4, 4) from patches to RAS mm.
        affine, shape: of the volume; both grids are RAS and upright.
    """
    from scipy.ndimage import affine_transform

    to_grid = np.linalg.inv(grid_affine) @ affine
    values = affine_transform(
        grid.astype(float), to_grid[:3, :3], to_grid[:3, 3], shape, order=1, mode="nearest"
    )
    for axis, edge in enumerate(grid.shape):
        at = to_grid[axis, axis] * np.arange(shape[axis]) + to_grid[axis, 3]
        np.moveaxis(values, axis, 0)[(at < -0.5) | (at > edge - 0.5)] = np.nan
    return values
