"""Localisation: does a lesion's sentence find the patches in which the lesion lies?"""

from pathlib import Path

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F

from simcrop import runs
from simcrop.benchmark import outcome
from simcrop.benchmark.metrics import auroc, defined, mean
from simcrop.benchmark.partition import require, splits
from simcrop.benchmark.similarity import Matcher
from simcrop.errors import InputError
from simcrop.formats.maps import MapWriter
from simcrop.formats.volumes import VolumeStore
from simcrop.models.inputs import offset
from simcrop.models.patches import patchify
from simcrop.progress import progress

HIT_SHARE = 1 / 8  # of a patch's voxels


def localisation(run: runs.Locate, out: Path) -> None:
    """Score each lesion of the test cases → scores.json, predictions.csv, maps.zip, maps.csv.

    A lesion with no voxel in the centre crop that the encoder sees is left out and counted under
    `outside` in scores.json.

    Raises:
        InputError: no test case has a lesion in sight, or the weights have no alignment heads.
    """
    lesions = pd.read_csv(run.lesions, dtype=str, keep_default_na=False)
    test = splits(run, needs="mask")["test"]
    test = test[test["case"].isin(lesions["case"])].reset_index(drop=True)
    require({"test": test}, run, "test")
    matcher = Matcher(run.weights, run.text_encoder)
    volumes, masks = VolumeStore(run.volumes), VolumeStore(run.masks)
    shown = set(test["case"][: run.settings.examples])
    rows, outside = [], 0
    with MapWriter(out) as kept:
        pairs = zip(test["case"], test["patient"], strict=True)
        for case, patient in progress(pairs, "cases", total=len(test)):
            found = lesions[lesions["case"] == case]
            hu, bits = volumes.read(case), masks.read(case)
            maps = matcher.maps(matcher.tokens(hu), list(found["sentence"]))
            affine = matcher.affine(volumes.affine(case), hu.shape)
            seen = crop(bits, matcher.shape)
            for lesion, cosines in zip(found.itertuples(), maps, strict=True):
                if case in shown:
                    kept.add(
                        case,
                        lesion.lesion,
                        cosines,
                        affine,
                        lesion.sentence,
                        lesion.lesion,
                        lesion.label,
                    )
                mask = (seen >> (int(lesion.lesion) - 1) & 1).astype(bool)
                if not mask.any():
                    outside += 1
                    continue
                rows.append(
                    {
                        "fraction": 1.0,
                        "case": case,
                        "patient": patient,
                        "lesion": lesion.lesion,
                        "label": lesion.label,
                        "sentence": lesion.sentence,
                        **measure(cosines, mask, matcher.patch),
                    }
                )
    if not rows:
        raise InputError(
            f"{run.benchmark}: no test case has a lesion inside what the encoder sees; "
            f"look at {run.lesions} and at the masks of cohort '{run.settings.cohort}'"
        )
    table = pd.DataFrame(rows)
    columns = {"pointing": "hit", "chance": "chance", "auroc": "auroc", "dice": "dice"}
    metrics = {name: mean(table[column].to_numpy(float)) for name, column in columns.items()}
    record = {
        "fraction": 1.0,
        "metrics": defined(metrics),
        "train_cases": 0,
        "test_cases": len(test),
    }
    outcome.write(run, out, [record], table, outside=outside)


def measure(cosines: np.ndarray, mask: np.ndarray, patch: tuple[int, int, int]) -> dict[str, float]:
    """How well one similarity map fits one lesion.

    A patch counts as on the lesion if the lesion fills an eighth of its voxels or more, or as
    much of it as of any other patch (so that a lesion smaller than that can be hit too).

    Args:
        cosines: (GX, GY, GZ).
        mask: (X, Y, Z) bool, X = GX · patch edge and so on; not empty.
        patch: voxels of a patch.

    Returns:
        hit: 1 if the best patch is on the lesion (the pointing game), else 0.
        chance: the share of the patches that are on the lesion.
        auroc: of the cosines against the mask, voxel by voxel, interpolated linearly between
            patch centres; NaN if the lesion fills the volume.
        dice: of the mask and as many voxels, those of the highest interpolated cosines.
    """
    inside = patchify(torch.from_numpy(mask).float()[None, None], patch)[0].mean(dim=1).numpy()
    on_lesion = inside >= min(HIT_SHARE, inside.max())
    voxels = F.interpolate(
        torch.from_numpy(cosines)[None, None], mask.shape, mode="trilinear", align_corners=False
    ).numpy()
    flat, truth = voxels.ravel(), mask.ravel()
    size = int(truth.sum())
    best = np.argsort(-flat, kind="stable")[:size]
    return {
        "hit": int(on_lesion[cosines.argmax()]),
        "chance": float(on_lesion.mean()),
        "auroc": float(auroc(flat, truth)),
        "dice": float(truth[best].sum() / size),
    }


def crop(mask: np.ndarray, shape: tuple[int, int, int]) -> np.ndarray:
    """The centre of a mask, cropped or padded with 0 as `models.inputs.fit` does to its volume."""
    result = np.zeros(shape, mask.dtype)
    starts = offset(mask.shape, shape)
    edges = list(zip(starts, mask.shape, shape, strict=True))
    source = tuple(slice(max(0, at), min(edge, at + wanted)) for at, edge, wanted in edges)
    target = tuple(slice(max(0, -at), min(wanted, edge - at)) for at, edge, wanted in edges)
    result[target] = mask[source]
    return result
