"""Random crop, flips and intensity shift of a training volume, all drawn from one generator."""

import numpy as np
import torch
from torch import Tensor

from simcrop.models import inputs
from simcrop.sections import Recipe

Triple = tuple[int, int, int]
Region = tuple[slice, slice, slice]


def region(edges: Triple, shape: Triple, crop: float, rng: np.random.Generator) -> Region:
    """What is read of a volume: at a random place, a random share of each edge, at most `shape`.

    Args:
        edges: voxels of the volume.
        shape: voxels of the input.
        crop: the smallest share of an edge that is kept.
    """
    slices = []
    for edge, wanted in zip(edges, shape, strict=True):
        kept = min(max(1, round(edge * rng.uniform(crop, 1))), wanted)
        start = int(rng.integers(edge - kept + 1))
        slices.append(slice(start, start + kept))
    return tuple(slices)


def augmented(hu: np.ndarray, shape: Triple, recipe: Recipe, rng: np.random.Generator) -> Tensor:
    """A region of a volume as input: padded, flipped, scaled to [-1, 1] and shifted.

    Args:
        hu: (X, Y, Z) in RAS; an edge that is shorter than the input's is padded.
        recipe: `flip` is along y and z (front-back, head-foot), `flip_left_right` along x, and
            `intensity_shift` in units of the scaled input.

    Returns:
        (1, *shape) float32.
    """
    if recipe.padding == "reflect":
        missing = [max(0, wanted - edge) for edge, wanted in zip(hu.shape, shape, strict=True)]
        hu = np.pad(hu, [(short - short // 2, short // 2) for short in missing], mode="reflect")
    volume = inputs.to_input(hu, shape)
    chances = (recipe.flip_left_right, recipe.flip, recipe.flip)
    axes = [axis for axis, p in enumerate(chances, start=1) if rng.random() < p]
    if axes:
        volume = torch.flip(volume, axes)
    if rng.random() < recipe.intensity_shift_probability:
        volume = volume + rng.uniform(-recipe.intensity_shift, recipe.intensity_shift)
    return volume
