"""A 3D vision transformer that embeds and sees only the patches it is given."""

from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from simcrop.models.patches import grid_of, patchify, take
from simcrop.models.positions import Kind, interpolated
from simcrop.models.positions import positions as fixed

Triple = tuple[int, int, int]
EPS = 1e-6


class ViT(nn.Module):
    """The image encoder (Dosovitskiy et al. 2021, in 3D): pre-norm blocks, fixed positions.

    A volume is (B, 1, X, Y, Z) float, HU scaled to [-1, 1]; its edges may be any multiples of the
    patch, since positions are computed for the grid at hand.

    Args:
        volume: voxels of the usual input.
        patch: voxels of a patch.
        width, depth, heads: of the transformer.
        positions: `axes` encodes the index along every axis, `rows_columns` along x and y alone;
            `stored` is part of the state, for weights from elsewhere, and is interpolated on other
            grids.
        norm: whether the last block is followed by a norm.
    """

    def __init__(
        self,
        volume: Triple,
        patch: Triple,
        width: int,
        depth: int,
        heads: int,
        positions: Literal["axes", "rows_columns", "stored"] = "axes",
        norm: bool = True,
    ) -> None:
        super().__init__()
        self.grid = tuple(edge // size for edge, size in zip(volume, patch, strict=True))
        self.width = width
        self.patch_embed = PatchEmbedding(tuple(patch), width)
        self.cls_token = nn.Parameter(torch.zeros(1, 1, width))
        self.blocks = nn.ModuleList(Block(width, heads) for _ in range(depth))
        self.norm = nn.LayerNorm(width, eps=EPS) if norm else nn.Identity()
        self.stored = positions == "stored"
        self.kind: Kind = "axes" if self.stored else positions
        place = fixed(self.grid, width, self.kind).to(torch.get_default_dtype())
        self.register_buffer("positions", place, persistent=self.stored)

    def forward(self, volume: Tensor, visible: Tensor | None = None) -> Tensor:
        """Encode the patches `visible`, (B, V) long, or all.

        Returns:
            (B, 1 + V, width), the class token first.
        """
        tokens = self._embed(volume, visible)
        for block in self.blocks:
            tokens = block(tokens)
        return self.norm(tokens)

    def features(self, volume: Tensor) -> Tensor:
        """The mean of all patch tokens: (B, width)."""
        return self(volume)[:, 1:].mean(dim=1)

    def hidden(self, volume: Tensor, blocks: Sequence[int]) -> list[Tensor]:
        """The patch tokens, (B, N, width), after each of `blocks` (1-based).

        As in UNETR, what the last block gives passes the final norm, and the others do not.
        """
        tokens = self._embed(volume, None)
        outputs = []
        for block in self.blocks:
            tokens = block(tokens)
            outputs.append(tokens)
        outputs[-1] = self.norm(tokens)
        return [outputs[number - 1][:, 1:] for number in blocks]

    def set_drop_path(self, rate: float) -> None:
        """Skip, in train mode, branches of a block for whole volumes at random.

        The rate grows from 0 at the first block to `rate` at the last (stochastic depth, Huang et
        al. 2016), drawn from torch's global generator.
        """
        for block, own in zip(
            self.blocks, torch.linspace(0, rate, len(self.blocks)).tolist(), strict=True
        ):
            block.drop_path = own

    def _embed(self, volume: Tensor, visible: Tensor | None) -> Tensor:
        tokens = self.patch_embed(volume, visible)
        grid = grid_of(volume, self.patch_embed.patch)
        place = self.positions
        if grid != self.grid:
            if self.stored:
                place = interpolated(place, self.grid, grid)
            else:
                place = fixed(grid, self.width, self.kind).to(place)
        tokens = tokens + (place if visible is None else place[visible])
        return torch.cat([self.cls_token.expand(len(tokens), -1, -1), tokens], dim=1)


class PatchEmbedding(nn.Module):
    """A linear map of each visible patch; equals a Conv3d whose stride is its kernel."""

    def __init__(self, patch: Triple, width: int) -> None:
        super().__init__()
        self.patch = patch
        self.proj = nn.Linear(patch[0] * patch[1] * patch[2], width)

    def forward(self, volume: Tensor, visible: Tensor | None = None) -> Tensor:
        """(B, 1, X, Y, Z), (B, V) long or None for all -> (B, V, width)."""
        patches = patchify(volume, self.patch)
        return self.proj(patches if visible is None else take(patches, visible))


class Block(nn.Module):
    """Self-attention and MLP, each after a norm and beside a residual."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width, eps=EPS)
        self.attn = Attention(width, heads)
        self.norm2 = nn.LayerNorm(width, eps=EPS)
        self.mlp = MLP(width)
        self.drop_path = 0.0

    def forward(self, tokens: Tensor) -> Tensor:
        """(B, N, width) -> (B, N, width)."""
        tokens = tokens + self._kept(self.attn(self.norm1(tokens)))
        return tokens + self._kept(self.mlp(self.norm2(tokens)))

    def _kept(self, branch: Tensor) -> Tensor:
        if not (self.training and self.drop_path):
            return branch
        share = 1 - self.drop_path
        return branch * (branch.new_empty(len(branch), 1, 1).bernoulli_(share) / share)


class Attention(nn.Module):
    """Multi-head self-attention with biases on query, key and value."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, tokens: Tensor) -> Tensor:
        """(B, N, width) -> (B, N, width)."""
        batch, count, width = tokens.shape
        qkv = self.qkv(tokens).view(batch, count, 3, self.heads, width // self.heads)
        qkv = qkv.permute(2, 0, 3, 1, 4)
        if qkv.device.type == "cpu" and qkv.dtype == torch.bfloat16:
            # On short sequences the fused kernel takes up to twice as long in bfloat16:
            # benchmarks/attention.py
            qkv = qkv.float()
        query, key, value = qkv
        mixed = F.scaled_dot_product_attention(query, key, value)
        return self.proj(mixed.transpose(1, 2).reshape(batch, count, width))


class MLP(nn.Module):
    """Linear, GELU, Linear, with a hidden layer of four times the width."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, 4 * width)
        self.fc2 = nn.Linear(4 * width, width)

    def forward(self, tokens: Tensor) -> Tensor:
        """(B, N, width) -> (B, N, width)."""
        return self.fc2(F.gelu(self.fc1(tokens)))
