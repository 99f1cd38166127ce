"""Segmentation: UNETR around the encoder, fine-tuned at every fraction; Dice and distances."""

import shutil
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pandas as pd

from simcrop import processes, runs
from simcrop.benchmark import outcome
from simcrop.benchmark.batches import read_mask
from simcrop.benchmark.finetune import fine_tune, predictions
from simcrop.benchmark.metrics import defined, dice, mean, surface
from simcrop.benchmark.partition import fraction_of, require, splits
from simcrop.formats.volumes import VolumeStore, VolumeWriter

METRICS = ("dice", "nsd", "hd95")


def segmentation(run: runs.Segment, out: Path) -> None:
    """Fine-tune and score → scores.json, predictions.csv, masks.zip of the largest fraction.

    While it runs, `checkpoints/` lets a killed run go on where it was, to the same result.

    Raises:
        InputError: a split is empty, a mask holds an unknown structure, or the loss is no number or
            explodes.
        Stopped: SIGTERM has come; the state is saved.
    """
    parts = splits(run, needs="mask")
    require(parts, run, "train", "test")
    volumes, masks = VolumeStore(run.volumes), VolumeStore(run.masks)
    test = parts["test"]
    classes = max(run.structures) + 1
    shown: set[int] = set()
    records, tables = [], []
    for fraction in sorted(run.settings.fractions):
        subset = fraction_of(parts["train"], fraction, run.seed)
        selection = test if run.settings.select_on == "test" else parts["val"]
        cases = [list(part["case"]) for part in (subset, selection)]
        net = fine_tune(run, fraction, *cases, volumes, masks, out)
        if processes.rank() > 0:  # the first one tests
            continue
        values = np.full((3, len(test), classes), np.nan)
        largest = fraction == max(run.settings.fractions)
        with VolumeWriter(out / "masks.zip") if largest else nullcontext() as store:
            found = predictions(net, run, list(test["case"]), volumes)
            for row, (case, predicted) in enumerate(found):
                truth, affine = read_mask(masks, case, run), volumes.affine(case)
                values[0, row] = dice(predicted, truth, classes)
                for id_ in run.structures:
                    values[1:, row, id_] = surface(
                        predicted == id_,
                        truth == id_,
                        np.linalg.norm(affine[:3, :3], axis=0),
                        run.settings.tolerance,
                    )
                shown |= {*np.unique(truth).tolist()}
                if store is not None:
                    store.add(case, predicted, affine)
        undefined = {id_: name for id_, name in run.structures.items() if id_ not in shown}
        values[:, :, [*undefined]] = np.nan
        records.append(
            {
                "fraction": fraction,
                "metrics": measure(values, run.structures, run.settings.background),
                "train_cases": len(subset),
                "test_cases": len(test),
            }
        )
        columns = {
            f"{metric}:{name}": part[:, id_]
            for metric, part in zip(METRICS, values, strict=True)
            for id_, name in run.structures.items()
        }
        columns["dice_background"] = values[0, :, 0]
        names = {"fraction": fraction, "case": test["case"], "patient": test["patient"]}
        tables.append(pd.DataFrame(names | columns))
    if processes.rank() > 0:
        return
    outcome.write(run, out, records, pd.concat(tables), undefined=list(undefined.values()))
    shutil.rmtree(out / "checkpoints")


def measure(
    values: np.ndarray, structures: dict[int, str], background: bool = False
) -> dict[str, float]:
    """Means over the structures of each case, then over cases; and of each structure.

    Args:
        values: (METRICS, cases, classes), NaN where neither prediction nor mask holds the class,
            and for a structure that no mask holds.
        structures: names of the classes that are averaged, by id.
        background: whether Dice with the background comes first, as in the published code.
    """
    ids = list(structures)
    dice = {
        "dice": _mean(values[0][:, ids]),
        "dice_with_background": _mean(values[0][:, [0, *ids]]),
    }
    result = dict(sorted(dice.items(), reverse=background))
    for metric, part in zip(METRICS[1:], values[1:], strict=True):
        result[metric] = _mean(part[:, ids])
    for metric, part in zip(METRICS, values, strict=True):
        result |= {f"{metric}:{name}": mean(part[:, id_]) for id_, name in structures.items()}
    return defined(result)


def _mean(values: np.ndarray) -> float:
    return mean(np.array([mean(case) for case in values]))
