"""Image reconstruction: a light decoder rebuilds the voxels that the encoder never saw."""

from typing import Literal

import torch
from torch import Tensor, nn

from simcrop.models.masking import hidden_patches
from simcrop.models.patches import patchify, put, take
from simcrop.models.positions import Kind
from simcrop.models.positions import positions as fixed
from simcrop.models.together import share
from simcrop.models.vit import EPS, Block

Triple = tuple[int, int, int]


class ImageReconstruction(nn.Module):
    """Masked autoencoding (He et al. 2022) in 3D.

    The target is the voxels of the scaled input as they are; patches are not normalised one by one.

    Args:
        grid, patch: of the encoder's input.
        encoder_width: of the tokens that come in.
        width, depth, heads: of the decoder.
        mean_over: what the error of the masked voxels is divided by: their number, or that of all.
        positions: as of `simcrop.models.positions`.
    """

    def __init__(
        self,
        grid: Triple,
        patch: Triple,
        encoder_width: int,
        width: int,
        depth: int,
        heads: int,
        mean_over: Literal["masked", "all"] = "masked",
        positions: Kind = "axes",
    ) -> None:
        super().__init__()
        self.mean_over = mean_over
        self.patch = tuple(patch)
        self.embed = nn.Linear(encoder_width, width)
        self.mask_token = nn.Parameter(torch.zeros(1, 1, width))
        self.blocks = nn.ModuleList(Block(width, heads) for _ in range(depth))
        self.norm = nn.LayerNorm(width, eps=EPS)
        self.head = nn.Linear(width, patch[0] * patch[1] * patch[2])
        place = fixed(grid, width, positions).to(torch.get_default_dtype())
        self.register_buffer("positions", place, persistent=False)

    def forward(self, tokens: Tensor, visible: Tensor, volume: Tensor) -> Tensor:
        """Mean squared error over the voxels of the masked patches.

        Args:
            tokens: (B, 1 + V, encoder_width), class token first.
            visible: (B, V) long.
            volume: (B, 1, X, Y, Z), what the encoder was shown a part of.
        """
        masked = hidden_patches(visible, len(self.positions))
        target = take(patchify(volume, self.patch), masked)
        error = share((self.predict(tokens, visible) - target).square().mean(), len(volume))
        if self.mean_over == "all":
            return error * (masked.shape[1] / len(self.positions))
        return error

    def predict(self, tokens: Tensor, visible: Tensor) -> Tensor:
        """The voxels of the masked patches, in ascending order of patch: (B, N - V, P)."""
        count = len(self.positions)
        seen = self.embed(tokens).to(self.mask_token.dtype)
        full = put(self.mask_token.expand(len(seen), count, -1), visible, seen[:, 1:])
        full = torch.cat([seen[:, :1], full + self.positions], dim=1)
        for block in self.blocks:
            full = block(full)
        masked = hidden_patches(visible, count)
        return self.head(self.norm(take(full[:, 1:], masked)))
