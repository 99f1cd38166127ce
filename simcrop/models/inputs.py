"""From Hounsfield units to what the networks see: fitted to a shape and scaled to [-1, 1]."""

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

AIR = -1000.0  # HU of the padding, and the lower clip
BONE = 1000.0  # HU of the upper clip

Triple = tuple[int, int, int]


def to_input(hu: np.ndarray | Tensor, shape: Triple) -> Tensor:
    """The centre of a volume as a network's input.

    Args:
        hu: (X, Y, Z) of any number type, Hounsfield units.
        shape: voxels of the input along x, y and z.

    Returns:
        (1, *shape) float32, scaled to [-1, 1].
    """
    return scale(fit(hu, shape))[None]


def fit(hu: np.ndarray | Tensor, shape: Triple) -> Tensor:
    """Crop or pad (with air) around the centre: (X, Y, Z) -> `shape`, float32, HU."""
    volume = torch.as_tensor(hu).to(torch.float32)
    pads = []
    for before, edge, wanted in zip(offset(volume.shape, shape), volume.shape, shape, strict=True):
        pads = [-before, wanted - edge + before, *pads]
    return F.pad(volume, pads, value=AIR)


def offset(edges: Triple, shape: Triple) -> Triple:
    """Index in a volume of `edges` of the voxel that `fit` makes its first; negative in padding."""
    return tuple((edge - wanted) // 2 for edge, wanted in zip(edges, shape, strict=True))


def scale(hu: Tensor) -> Tensor:
    """Clip HU to [-1000, 1000] and scale them to [-1, 1]."""
    return hu.clamp(AIR, BONE) / BONE


def to_hu(scaled: Tensor) -> Tensor:
    """Undo `scale`; what lies outside [-1, 1] is clipped."""
    return scaled.clamp(-1, 1) * BONE
