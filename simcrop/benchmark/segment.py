"""Segmentation: UNETR around the encoder, fine-tuned at every fraction and scored by Dice."""

import shutil
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pandas as pd

from simcrop import processes, runs
from simcrop.benchmark import outcome
from simcrop.benchmark.batches import read_mask
from simcrop.benchmark.finetune import fine_tune, predictions
from simcrop.benchmark.metrics import defined, dice, mean
from simcrop.benchmark.partition import fraction_of, require, splits
from simcrop.formats.volumes import VolumeStore, VolumeWriter


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
    scored = {0: "background", **run.structures} if run.settings.background else run.structures
    records, tables = [], []
    for fraction in sorted(run.settings.fractions):
        subset = fraction_of(parts["train"], fraction, run.seed)
        selection = test if run.settings.select_on == "test" else parts["val"]
        cases = [list(part["case"]) for part in (subset, selection)]
        net = fine_tune(run, fraction, *cases, volumes, masks, out)
        if processes.rank() > 0:  # the first one tests
            continue
        values = np.empty((len(test), classes))
        largest = fraction == max(run.settings.fractions)
        with VolumeWriter(out / "masks.zip") if largest else nullcontext() as store:
            found = predictions(net, run, list(test["case"]), volumes)
            for row, (case, predicted) in enumerate(found):
                values[row] = dice(predicted, read_mask(masks, case, run), classes)
                if store is not None:
                    store.add(case, predicted, volumes.affine(case))
        records.append(
            {
                "fraction": fraction,
                "metrics": measure(values, scored),
                "train_cases": len(subset),
                "test_cases": len(test),
            }
        )
        columns = {f"dice:{name}": values[:, id_] for id_, name in scored.items()}
        names = {"fraction": fraction, "case": test["case"], "patient": test["patient"]}
        tables.append(pd.DataFrame(names | columns))
    if processes.rank() > 0:
        return
    outcome.write(run, out, records, pd.concat(tables))
    shutil.rmtree(out / "checkpoints")


def measure(values: np.ndarray, structures: dict[int, str]) -> dict[str, float]:
    """Dice averaged over the structures of each case, then over cases; and of each structure.

    `dice_with_background` averages over background too, as in the published code.

    Args:
        values: (cases, classes), NaN where neither prediction nor mask holds the class.
        structures: names of the classes that are averaged, by id.
    """
    ids, every = list(structures), sorted({0, *structures})
    return defined(
        {
            "dice": mean(np.array([mean(case[ids]) for case in values])),
            "dice_with_background": mean(np.array([mean(case[every]) for case in values])),
            **{f"dice:{name}": mean(values[:, id_]) for id_, name in structures.items()},
        }
    )
