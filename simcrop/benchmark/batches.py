"""The batches of fine-tuning: crops of a few volumes, which several processes divide."""

import numpy as np
import torch
from torch import Tensor

from simcrop import processes, runs
from simcrop.benchmark.crops import random_crops
from simcrop.benchmark.partition import digest
from simcrop.errors import InputError
from simcrop.formats.volumes import VolumeStore


def order(cases: list[str], run: runs.Segment, fraction: float, epoch: int) -> list[str]:
    """The cases in an order of this epoch's own."""
    rng = np.random.default_rng(digest(run.seed, fraction, epoch))
    return rng.permutation(cases).tolist()


def own_crops(
    cases: list[str],
    run: runs.Segment,
    place: tuple[float, int],
    volumes: VolumeStore,
    masks: VolumeStore,
) -> tuple[int, Tensor, Tensor]:
    """This process's share of the crops of some cases.

    Args:
        cases: of the batch.
        run: gives seed and settings.
        place: fraction and epoch, which the crops follow from.
        volumes, masks: their stores.

    Returns:
        The number of crops, image and mask as of `random_crops`. Where the number is 0, one crop is
        given all the same, which is to count nothing.
    """
    crops = run.settings.crops
    share = np.array_split(np.arange(len(cases) * crops), processes.size())[processes.rank()]
    rows = share if len(share) else np.zeros(1, int)
    cut = {
        number: random_crops(
            volumes.read(cases[number]),
            read_mask(masks, cases[number], run),
            run.settings,
            digest(run.seed, *place, cases[number]),
        )
        for number in np.unique(rows // crops)
    }
    image, mask = (
        torch.stack([cut[row // crops][which][row % crops] for row in rows]) for which in (0, 1)
    )
    return len(share), image, mask


def read_mask(masks: VolumeStore, case: str, run: runs.Segment) -> np.ndarray:
    """The mask of a case; raises InputError if it holds an id that has no name."""
    mask = masks.read(case)
    unknown = set(np.unique(mask).tolist()) - {0, *run.structures}
    if unknown:
        raise InputError(
            f"{case}: its mask holds {min(unknown)}, which is none of the structures "
            f"{dict(run.structures)} of cohort '{run.settings.cohort}'; mend the mask or exclude it"
        )
    return mask
