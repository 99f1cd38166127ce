"""UNETR around our encoder, for patches of any shape whose edges are powers of two."""

from math import log2

from monai.networks.blocks.dynunet_block import UnetOutBlock
from monai.networks.blocks.unetr_block import UnetrBasicBlock, UnetrPrUpBlock, UnetrUpBlock
from torch import Tensor, nn

from simcrop.models.vit import ViT

Triple = tuple[int, int, int]


class UNETR(nn.Module):
    """Segmentation network of Hatamizadeh et al. 2022, built from MONAI's blocks.

    Its stages double the resolution from patches to voxels (see `strides`); each but the last takes
    in the tokens of an earlier transformer block (see `skip_blocks`), the last the image itself.

    Args:
        encoder: all of its weights are trained.
        classes: output channels, background included.
        features: channels at full resolution; each coarser stage has twice as many.
    """

    def __init__(self, encoder: ViT, classes: int, features: int) -> None:
        super().__init__()
        self.encoder = encoder
        steps = strides(encoder.patch_embed.patch)
        widths = [features * 2 ** (len(steps) - 1 - stage) for stage in range(len(steps))]
        # Deep blocks meet the coarse stages.
        self.taken = [*reversed(skip_blocks(len(encoder.blocks), len(steps))), len(encoder.blocks)]
        self.skips = nn.ModuleList(
            _upsample(encoder.width, widths[stage], steps[: stage + 1])
            for stage in range(len(steps) - 1)
        )
        self.image = UnetrBasicBlock(3, 1, features, 3, 1, "instance", res_block=True)
        self.stages = nn.ModuleList(
            UnetrUpBlock(3, before, after, 3, step, "instance", res_block=True)
            for before, after, step in zip([encoder.width, *widths], widths, steps, strict=False)
        )
        self.out = UnetOutBlock(3, features, classes)

    def forward(self, volume: Tensor) -> Tensor:
        """(B, 1, X, Y, Z) scaled to [-1, 1], of whole patches → logits (B, classes, X, Y, Z)."""
        patch = self.encoder.patch_embed.patch
        grid = [edge // size for edge, size in zip(volume.shape[2:], patch, strict=True)]
        *taken, x = [
            tokens.transpose(1, 2).reshape(len(volume), -1, *grid)
            for tokens in self.encoder.hidden(volume, self.taken)
        ]
        skips = [skip(tokens) for skip, tokens in zip(self.skips, taken, strict=True)]
        for stage, skip in zip(self.stages, [*skips, self.image(volume)], strict=True):
            x = stage(x, skip)
        return self.out(x)


def strides(patch: Triple) -> list[Triple]:
    """The upsampling of each stage, coarse to fine.

    There are as many stages as the longest edge has doublings. An axis with fewer has them first,
    as published: 16 × 16 × 8 gives (2, 2, 2) three times, then (2, 2, 1).

    Raises:
        ValueError: an edge is no power of two, or the patch is a single voxel.
    """
    doublings = [int(log2(edge)) for edge in patch]
    if any(2**count != edge for count, edge in zip(doublings, patch, strict=True)):
        raise ValueError(f"patch {patch}: UNETR needs edges that are powers of two")
    if not any(doublings):
        raise ValueError(f"patch {patch}: UNETR needs patches of more than a voxel")
    return [
        tuple(2 if stage < count else 1 for count in doublings) for stage in range(max(doublings))
    ]


def skip_blocks(depth: int, stages: int) -> list[int]:
    """The blocks (1-based) whose tokens are skip features, evenly spaced: one less than `stages`.

    Block i · depth // stages + 1 for i from 1; depth 12 and 4 stages give 4, 7, 10, as published.
    """
    return [i * depth // stages + 1 for i in range(1, stages)]


def _upsample(width_in: int, width: int, steps: list[Triple]) -> nn.Sequential:
    """Transposed convolutions by `steps`, each but the first with a residual block after it."""
    layers: list[nn.Module] = []
    for step in steps:
        layers.append(
            UnetrPrUpBlock(3, width if layers else width_in, width, 0, 3, 1, step, "instance")
        )
        if len(layers) > 1:
            layers.append(UnetrBasicBlock(3, width, width, 3, 1, "instance", res_block=True))
    return nn.Sequential(*layers)
