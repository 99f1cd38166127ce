"""Scores: one JSON a run, and beside it the per-case predictions behind every number in it."""

import json
from pathlib import Path
from typing import Any

import pandas as pd

from simcrop import files
from simcrop.errors import InputError

RECALL_DEPTHS = (1, 5, 10)  # of retrieval: R@1, R@5, R@10

# scores.json
#   benchmark, method, seed, task ("classification" | "segmentation" | "localisation" | "retrieval")
#   records: one a fraction: {"fraction", "metrics": {name: number}, "train_cases", "test_cases"}
#   undefined: labels or structures that no mean holds, for want of test cases that show them
#   leaks: test cases of patients who are in training too, by published lists (`formats.cases`)
#   settings: the run's full settings; provenance: see `simcrop.benchmark.outcome`
#
# predictions.csv, by task; every row is one test case at one fraction
#   classification: fraction, probe (from 0), case, patient, "score:<label>" (probability; how well
#                   its sentence fits where the fraction is 0), "label:<label>" (0/1)
#   segmentation:   fraction, case, patient, "dice:<structure>", "nsd:<structure>" (surface Dice),
#                   "hd95:<structure>" (mm), dice_background; empty where neither prediction nor
#                   mask holds a voxel, and of structures that no test mask holds
#   localisation:   fraction, case, patient, lesion, label, sentence, hit (0/1), chance, auroc, dice
#                   (a row a lesion; fraction is 1)
#   retrieval:      fraction, case, patient, rank (from 1), chance_1, chance_5, chance_10
#                   (a row a report; fraction is 1)


def write(path: str | Path, scores: dict[str, Any]) -> None:
    """Write a run's scores, whole or not at all."""
    files.write_text(path, json.dumps(scores, indent=1, sort_keys=True) + "\n")


def read(path: str | Path) -> dict[str, Any]:
    """Read a run's scores; raises InputError where there are none."""
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{path}: no such scores; run that benchmark first") from None
    except json.JSONDecodeError as error:
        raise InputError(f"{path}: not readable as JSON ({error}); run it again") from None


def write_predictions(path: str | Path, table: pd.DataFrame) -> None:
    """Write the per-case predictions, whole or not at all."""
    with files.whole(path) as temporary:
        table.to_csv(temporary, index=False, lineterminator="\n")


def read_predictions(path: str | Path) -> pd.DataFrame:
    """Read the per-case predictions; names as str, the rest as numbers.

    Raises:
        InputError: the file or a column that every run's predictions have is missing.
    """
    names = {"case": str, "patient": str, "lesion": str, "label": str, "sentence": str}
    try:
        table = pd.read_csv(path, dtype=names, keep_default_na=False, na_values=[""])
    except FileNotFoundError:
        raise InputError(f"{path}: no such predictions; run that benchmark again") from None
    for column in ("fraction", "case", "patient"):
        if column not in table:
            raise InputError(f"{path}: column '{column}' is missing; run that benchmark again")
    return table
