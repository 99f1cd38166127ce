"""Volumes as sequences of patches, for any grid and patch; voxels in a Conv3d kernel's order."""

import torch
from torch import Tensor

Triple = tuple[int, int, int]


def grid_of(volume: Tensor, patch: Triple) -> Triple:
    """Patches along each axis of `volume`, (..., X, Y, Z); raises ValueError where one is cut."""
    edges = tuple(volume.shape[-3:])
    if any(edge % size for edge, size in zip(edges, patch, strict=True)):
        raise ValueError(f"edges {edges} are no multiples of the patch {tuple(patch)}")
    return tuple(edge // size for edge, size in zip(edges, patch, strict=True))


def patchify(volume: Tensor, patch: Triple) -> Tensor:
    """(B, 1, X, Y, Z) -> (B, N, P): patches in the order x, y, z (z fastest), voxels likewise."""
    gx, gy, gz = grid_of(volume, patch)
    px, py, pz = patch
    cells = volume.reshape(len(volume), gx, px, gy, py, gz, pz)
    return cells.permute(0, 1, 3, 5, 2, 4, 6).reshape(len(volume), gx * gy * gz, px * py * pz)


def unpatchify(patches: Tensor, grid: Triple, patch: Triple) -> Tensor:
    """Undo `patchify`: (B, N, P) -> (B, 1, X, Y, Z)."""
    cells = patches.reshape(len(patches), *grid, *patch).permute(0, 1, 4, 2, 5, 3, 6)
    edges = (size * count for size, count in zip(patch, grid, strict=True))
    return cells.reshape(len(patches), 1, *edges)


def take(tokens: Tensor, index: Tensor) -> Tensor:
    """The tokens at `index`: (B, N, W), (B, M) long -> (B, M, W)."""
    return torch.gather(tokens, 1, index[..., None].expand(-1, -1, tokens.shape[-1]))


def put(tokens: Tensor, index: Tensor, values: Tensor) -> Tensor:
    """`tokens`, (B, N, W), with `values`, (B, M, W), at `index`, (B, M) long."""
    return tokens.scatter(1, index[..., None].expand(-1, -1, tokens.shape[-1]), values)
