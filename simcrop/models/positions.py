"""Fixed sine and cosine positions of patches."""

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

Triple = tuple[int, int, int]
Kind = Literal["axes", "rows_columns"]


def positions(grid: Triple, width: int, kind: Kind = "axes") -> Tensor:
    """The positions of a grid of patches.

    `rows_columns` is what SimCroP's public code does, which knows nothing of z: even channels are
    sines of x, odd ones cosines of y, both times frequencies that fall from 1 to nearly 1/10000.

    Of `axes`, the width is divided over x, y and z: `2 * (width // 6)` channels an axis, the first
    half sines and the second cosines of the index times frequencies from 1 down to 1/10000,
    geometric, as in "Attention Is All You Need". What is left of the width, at most five channels,
    is zero.

    Returns:
        (N, width), float64, patches in the order of `patches.patchify`.
    """
    if kind == "rows_columns":
        frequencies = 10000.0 ** -(torch.arange(0, width, 2, dtype=torch.float64) / width)
        x, y, _ = torch.meshgrid(*(torch.arange(edge) for edge in grid), indexing="ij")
        place = torch.empty(x.numel(), width, dtype=torch.float64)
        place[:, 0::2] = (x.reshape(-1, 1) * frequencies).sin()
        place[:, 1::2] = (y.reshape(-1, 1) * frequencies[: width // 2]).cos()
        return place
    count = width // 6
    frequencies = 10000.0 ** -(torch.arange(count, dtype=torch.float64) / max(count, 1))
    axes = []
    for index in torch.meshgrid(*(torch.arange(edge) for edge in grid), indexing="ij"):
        angles = index.reshape(-1, 1) * frequencies
        axes += [angles.sin(), angles.cos()]
    rest = torch.zeros(len(axes[0]), width - 6 * count, dtype=torch.float64)
    return torch.cat([*axes, rest], dim=1)


def interpolated(places: Tensor, grid: Triple, wanted: Triple) -> Tensor:
    """Positions, (N, width), of the patches of `grid`, linearly onto `wanted`: (M, width)."""
    field = places.T.reshape(1, -1, *grid)
    field = F.interpolate(field, wanted, mode="trilinear", align_corners=False)
    return field[0].flatten(1).T.contiguous()
