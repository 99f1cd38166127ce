"""What one method is ahead of each other one in the AUROC of every label, paired by patient."""

from pathlib import Path

import numpy as np
import pandas as pd

from simcrop import runs
from simcrop.formats import scores
from simcrop.report.measures import auroc
from simcrop.report.statistics import CONFIDENCE, expanded, resample_weights, summary

ALL = "All labels (mean)"


def of_labels(run: runs.Figures) -> list[str]:
    """The benchmarks of several labels, in order of the scores."""
    return list(_runs(run))


def differences(run: runs.Figures) -> dict[str, pd.DataFrame]:
    """A table a benchmark of several labels, at its largest fraction.

    Both methods are scored on the same resamples of the test patients and seeds are averaged, as in
    the table `difference`. A label with no positive or no negative test case has NaN.

    Returns:
        benchmark → method (the other one), fraction, label, mean, low, high, in shares of one;
        the label ALL is the mean over labels. Benchmarks without the example method are left out.
    """
    return {
        benchmark: _against(run, benchmark, methods)
        for benchmark, methods in _runs(run).items()
        if run.settings.example in methods and len(methods) > 1
    }


def _runs(run: runs.Figures) -> dict[str, dict[str, list[Path]]]:
    """benchmark → method → the predictions of every seed."""
    found: dict[str, dict[str, list[Path]]] = {}
    for path in run.scores:
        told = scores.read(path)
        if told["settings"]["settings"].get("kind") == "multilabel":
            methods = found.setdefault(told["benchmark"], {})
            methods.setdefault(told["method"], []).append(Path(path).with_name("predictions.csv"))
    return found


def _read(path: Path) -> list[pd.DataFrame]:
    """The predictions at the largest fraction, a table a probe, in order of the cases."""
    table = scores.read_predictions(path)
    table = table[table["fraction"] == table["fraction"].max()].sort_values("case", kind="stable")
    return [part for _, part in table.groupby("probe")]


def _against(run: runs.Figures, benchmark: str, methods: dict[str, list[Path]]) -> pd.DataFrame:
    first = _read(methods[run.settings.example][0])[0]
    patients = first["patient"].fillna(first["case"]).to_numpy(str)
    confidence = expanded(CONFIDENCE, len(np.unique(patients)))
    weights = resample_weights(patients, run.settings.resamples, benchmark, run.seed)
    names = [column.removeprefix("score:") for column in first.filter(regex="^score:")]
    areas = {
        method: np.mean(
            [_areas(part, names, weights) for path in seeds for part in _read(path)], axis=0
        )
        for method, seeds in methods.items()
    }
    rows = []
    for method in methods:
        if method == run.settings.example:
            continue
        ahead = areas[run.settings.example] - areas[method]
        parts = dict(zip(names, ahead, strict=True))
        known = ahead[~np.isnan(ahead[:, 0])]
        if len(known):
            parts[ALL] = np.nanmean(known, axis=0)
        for label, values in parts.items():
            triple = summary([values], confidence)
            rows.append((method, first["fraction"].iloc[0], label, *triple))
    return pd.DataFrame(rows, columns=["method", "fraction", "label", "mean", "low", "high"])


def _areas(table: pd.DataFrame, names: list[str], weights: np.ndarray) -> np.ndarray:
    """(L, 1 + resamples)"""
    return np.stack(
        [
            auroc(*(table[f"{part}:{n}"].to_numpy(float) for part in ("score", "label")), weights)
            for n in names
        ]
    )
