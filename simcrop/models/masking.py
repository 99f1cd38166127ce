"""Which patches an encoder sees, and which words of a report are hidden from it."""

import torch
from torch import Tensor


def random_visible(
    batch: int, tokens: int, mask_ratio: float, generator: torch.Generator
) -> Tensor:
    """Draw the visible patches of each volume.

    Returns:
        (B, V) long, ascending in each row, V = tokens - round(tokens * mask_ratio).
    """
    visible = tokens - round(tokens * mask_ratio)
    order = torch.rand(batch, tokens, generator=generator).argsort(dim=1)
    return order[:, :visible].sort(dim=1).values


def hidden_patches(visible: Tensor, tokens: int) -> Tensor:
    """The patches that are not in `visible`: (B, V) long -> (B, tokens - V) long, ascending."""
    seen = torch.zeros(len(visible), tokens, dtype=torch.bool, device=visible.device)
    seen.scatter_(1, visible, True)
    order = seen.to(torch.uint8).argsort(dim=1, stable=True)
    return order[:, : tokens - visible.shape[1]]


def random_words(maskable: Tensor, mask_ratio: float, generator: torch.Generator) -> Tensor:
    """Draw the words to hide, each of `maskable` with p = mask_ratio: (B, L) bool, and so is it."""
    return maskable & (torch.rand(maskable.shape, generator=generator) < mask_ratio)
