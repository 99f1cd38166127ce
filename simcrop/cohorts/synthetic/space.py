"""Voxel grids in RAS millimetres, and the simple solids that a chest is made of."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

# The voxels of a bounding box, and which of them lie inside the solid.
Solid = tuple[tuple[slice, slice, slice], np.ndarray]


def generator(seed: int, name: str) -> np.random.Generator:
    """Random numbers that depend on `seed` and `name` alone."""
    digest = hashlib.sha256(f"{seed}/{name}".encode()).digest()
    return np.random.default_rng(int.from_bytes(digest[:16]))


@dataclass(frozen=True)
class Grid:
    """Voxels along x (to the right), y (to the front) and z (upwards); lengths in mm."""

    spacing: tuple[float, float, float]
    shape: tuple[int, int, int]
    centre: tuple[float, float, float] = (0.0, 0.0, 0.0)

    @property
    def affine(self) -> np.ndarray:
        """(4, 4), voxel index → RAS mm."""
        affine = np.diag([*self.spacing, 1.0])
        affine[:3, 3] = [axis[0] for axis in self.axes]
        return affine

    @property
    def axes(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The coordinates of the voxel centres along each axis."""
        return tuple(
            c + s * (np.arange(n) - (n - 1) / 2)
            for c, s, n in zip(self.centre, self.spacing, self.shape, strict=True)
        )


@dataclass(frozen=True)
class Space:
    """A grid as seen in a patient's own millimetres: the grid's, moved and scaled to a mean body.

    x: (X, 1, 1), y: (1, Y, 1), z: (1, 1, Z), float32 and rising.
    """

    x: np.ndarray
    y: np.ndarray
    z: np.ndarray

    @property
    def shape(self) -> tuple[int, int, int]:
        """Voxels along x, y and z."""
        return self.x.size, self.y.size, self.z.size

    def box(self, low: Sequence[float], high: Sequence[float]) -> tuple[slice, slice, slice]:
        """The voxels whose centres lie between two corners."""
        return tuple(
            slice(*np.searchsorted(axis.ravel(), (a, b)))
            for axis, a, b in zip((self.x, self.y, self.z), low, high, strict=True)
        )

    def within(self, box: tuple[slice, slice, slice]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The coordinates of a box's voxels, one array an axis."""
        return self.x[box[0]], self.y[:, box[1]], self.z[..., box[2]]

    def ellipsoid(
        self, centre: Sequence[float], radii: Sequence[float], power: float = 2.0
    ) -> Solid:
        """An ellipsoid along the axes; a `power` above 2 makes it a rounded box."""
        centre, radii = np.float32(centre), np.float32(radii)
        box = self.box(centre - radii, centre + radii)
        parts = [
            np.abs((axis - c) / r) ** np.float32(power)
            for axis, c, r in zip(self.within(box), centre, radii, strict=True)
        ]
        return box, parts[0] + parts[1] + parts[2] < 1

    def capsule(self, start: Sequence[float], end: Sequence[float], radius: float) -> Solid:
        """A tube with round ends."""
        start, end = np.float32(start), np.float32(end)
        box = self.box(np.minimum(start, end) - radius, np.maximum(start, end) + radius)
        x, y, z = (axis - s for axis, s in zip(self.within(box), start, strict=True))
        u, v, w = end - start
        along = np.clip((x * u + y * v + z * w) / (u * u + v * v + w * w), 0, 1)
        away = (x - along * u) ** 2 + (y - along * v) ** 2 + (z - along * w) ** 2
        return box, away < np.float32(radius) ** 2

    def nearest(self, point: Sequence[float]) -> tuple[int, int, int]:
        """The index of the voxel whose centre is closest to a point."""
        return tuple(
            int(np.abs(axis.ravel() - p).argmin())
            for axis, p in zip((self.x, self.y, self.z), point, strict=True)
        )


def field_like(
    rng: np.random.Generator, spacing: Sequence[float], centre: Sequence[float] = (0, 0, 0)
) -> Grid:
    """A grid as scanners vary it: spacing, matrix and position drawn about the ones wanted.

    It covers about 340 mm along each axis; in-plane spacing is one number, as in CT.
    """
    plane, through = rng.uniform(0.92, 1.08, 2)
    actual = np.round(np.multiply(spacing, (plane, plane, through)), 4)
    shape = np.rint(rng.uniform(332, 350, 3) / actual).astype(int)
    shape[1] = shape[0] if spacing[0] == spacing[1] else shape[1]
    moved = np.round(np.add(centre, rng.uniform(-5, 5, 3)), 2)
    return Grid(tuple(actual.tolist()), tuple(shape.tolist()), tuple(moved.tolist()))
