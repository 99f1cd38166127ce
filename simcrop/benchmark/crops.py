"""Random crops of a volume and its mask, augmented, for training a segmentation."""

import numpy as np
import torch
from monai.transforms import (
    Compose,
    RandCropByPosNegLabeld,
    RandFlipd,
    RandScaleIntensityd,
    RandShiftIntensityd,
    SpatialPadd,
)
from torch import Tensor

from simcrop.models.inputs import scale
from simcrop.tasks import Segmentation


def random_crops(
    hu: np.ndarray, mask: np.ndarray, settings: Segmentation, seed: int
) -> tuple[Tensor, Tensor]:
    """`settings.crops` crops, each around foreground with p 0.5, else around background.

    Args:
        hu: (X, Y, Z); padded with air where it is smaller than the crop.
        mask: (X, Y, Z), structure ids.
        settings: of the crops, flips and intensities.
        seed: everything random follows from it.

    Returns:
        (crops, 1, *settings.crop) float32 in [-1, 1] before the intensities change, and the mask
        likewise, long.
    """
    both = ["image", "mask"]
    axes = (0, 1, 2) if settings.flip_left_right else (1, 2)
    transform = Compose(
        [
            SpatialPadd("image", settings.crop, value=-1),
            SpatialPadd("mask", settings.crop),
            RandCropByPosNegLabeld(both, "mask", settings.crop, num_samples=settings.crops),
            *(RandFlipd(both, settings.flip, axis) for axis in axes),
            RandScaleIntensityd("image", settings.intensity, prob=0.1),
            RandShiftIntensityd("image", settings.intensity, prob=0.1),
        ]
    ).set_random_state(seed=seed % 2**32)
    image = scale(torch.from_numpy(hu).float())[None]
    crops = transform({"image": image, "mask": torch.from_numpy(mask.astype(np.int64))[None]})
    return tuple(torch.stack([crop[key].as_tensor() for crop in crops]) for key in both)
