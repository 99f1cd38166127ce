"""What an encoder with image reconstruction makes of a few unseen volumes, for the figures."""

from pathlib import Path

import numpy as np
import pandas as pd
import torch

from simcrop import runs
from simcrop.formats.volumes import VolumeStore, VolumeWriter
from simcrop.models import inputs
from simcrop.models.masking import hidden_patches, random_visible
from simcrop.models.patches import patchify, put, unpatchify
from simcrop.models.pretrainer import Pretrainer

_EXAMPLES = 2
MASKED = -1024  # HU, below all that an input can hold


def write(path: Path, model: Pretrainer, run: runs.Encoder, table: pd.DataFrame) -> None:
    """Write a store with `<case>.original`, `<case>.masked` and `<case>.rebuilt`, int16 HU.

    The cases are the first of the validation split, or of the training split if that has none.
    Visible patches are the original's; masked ones are -1024 HU, or what the decoder predicts.
    The store is empty where the method has no image reconstruction.
    """
    with VolumeWriter(path) as store:
        if run.method.objectives.image_reconstruction:
            volumes = VolumeStore(run.volumes)
            for number, case in enumerate(_examples(table)):
                hu = volumes.read(case)
                affine = _fitted(volumes.affine(case), hu.shape, run.encoder.volume)
                for name, volume in _rebuilt(model, hu, run, number).items():
                    store.add(f"{case}.{name}", volume, affine)


def _examples(table: pd.DataFrame) -> list[str]:
    table = table[table["path"] != ""]
    validation = table["case"][table["split"] == "val"]
    chosen = validation if len(validation) else table["case"][table["split"] == "train"]
    return list(chosen[:_EXAMPLES])


@torch.no_grad()
def _rebuilt(
    model: Pretrainer, hu: np.ndarray, run: runs.Encoder, number: int
) -> dict[str, np.ndarray]:
    encoder = run.encoder
    device = next(model.parameters()).device
    volume = inputs.to_input(hu, encoder.volume)[None].to(device)
    generator = torch.Generator().manual_seed(number)
    visible = random_visible(1, encoder.tokens, run.method.mask_ratio, generator).to(device)
    hidden = hidden_patches(visible, encoder.tokens)
    tokens = model.encoder(volume, visible)
    predicted = model.image_reconstruction.predict(tokens, visible)
    original = inputs.to_hu(patchify(volume, encoder.patch))
    pictures = {
        "original": original,
        "masked": put(original, hidden, torch.full_like(predicted, MASKED)),
        "rebuilt": put(original, hidden, inputs.to_hu(predicted)),
    }
    return {
        name: unpatchify(patches, encoder.grid, encoder.patch)[0, 0]
        .round()
        .to(torch.int16)
        .cpu()
        .numpy()
        for name, patches in pictures.items()
    }


def _fitted(affine: np.ndarray, edges: inputs.Triple, shape: inputs.Triple) -> np.ndarray:
    """The affine of what `inputs.fit` makes of a volume."""
    moved = affine.copy()
    moved[:3, 3] += affine[:3, :3] @ np.array(inputs.offset(edges, shape))
    return moved
