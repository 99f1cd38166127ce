"""From the runs' predictions to estimates: one row a benchmark, method, fraction and metric."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from simcrop import runs
from simcrop.errors import InputError
from simcrop.formats import scores
from simcrop.report.statistics import metrics, resample_weights, summary

COLUMNS = (
    *("benchmark", "method", "fraction", "metric"),
    *("mean", "low", "high", "seeds", "cases"),
)


def read_scores(run: runs.Table) -> list[tuple[Path, dict[str, Any]]]:
    """Each run's scores and the folder they lie in, by benchmark and method in order of titles.

    Raises:
        InputError: a file is missing, or its benchmark or method has no title.
    """
    read = [(Path(path).parent, scores.read(path)) for path in run.scores]
    order = {key: position for position, key in enumerate(run.titles)}
    for folder, found in read:
        for key in ("benchmark", "method"):
            if found[key] not in order:
                raise InputError(f"{folder}: {key} '{found[key]}' is not in the report's titles")
    return sorted(read, key=lambda r: (order[r[1]["benchmark"]], order[r[1]["method"]], r[0]))


def estimate(run: runs.Table, read: list[tuple[Path, dict[str, Any]]]) -> pd.DataFrame:
    """Mean over seeds and bootstrap interval of every metric, in the order of `read`.

    Returns:
        COLUMNS and `task`; values in [0, 1], NaN where a metric is not defined.

    Raises:
        InputError: predictions are missing or not numbers, or runs of one benchmark hold different
            test cases.
    """
    rows = []
    for benchmark, ours in _by_benchmark(read):
        values, cases = _resampled(run, benchmark, ours)
        for (method, fraction, metric), seeds in values.items():
            triple = summary(seeds, run.settings.confidence)
            task = ours[0][1]["task"]
            rows.append((benchmark, method, fraction, metric, *triple, len(seeds), cases, task))
    return pd.DataFrame(rows, columns=[*COLUMNS, "task"])


def difference(run: runs.Table, read: list[tuple[Path, dict[str, Any]]]) -> pd.DataFrame:
    """What the example method is ahead of each other one in the main metric of each benchmark.

    Both are scored on the same resample of the patients before they are subtracted, so that the
    interval is that of the paired difference. Raises as `estimate`.

    Returns:
        COLUMNS and `task`; `method` is the other one, and values lie in [-1, 1].
    """
    rows = []
    for benchmark, ours in _by_benchmark(read):
        values, cases = _resampled(run, benchmark, ours)
        main = next(metric for _, _, metric in values)
        for (method, fraction, metric), seeds in values.items():
            example = values.get((run.settings.example, fraction, metric))
            if metric != main or method == run.settings.example or example is None:
                continue
            ahead = np.mean(example, axis=0) - np.mean(seeds, axis=0)
            triple = summary([ahead], run.settings.confidence)
            count, task = min(len(seeds), len(example)), ours[0][1]["task"]
            rows.append((benchmark, method, fraction, metric, *triple, count, cases, task))
    return pd.DataFrame(rows, columns=[*COLUMNS, "task"])


def _by_benchmark(
    read: list[tuple[Path, dict[str, Any]]],
) -> Iterator[tuple[str, list[tuple[Path, dict[str, Any]]]]]:
    for benchmark in dict.fromkeys(found["benchmark"] for _, found in read):
        yield benchmark, [entry for entry in read if entry[1]["benchmark"] == benchmark]


def _resampled(
    run: runs.Table, benchmark: str, ours: list[tuple[Path, dict[str, Any]]]
) -> tuple[dict[tuple[str, float, str], list[np.ndarray]], int]:
    """(method, fraction, metric) → its values on all resamples, an array a seed; and test cases."""
    values: dict[tuple[str, float, str], list[np.ndarray]] = {}
    expected = weights = None
    for folder, found in ours:
        path = folder / "predictions.csv"
        table = _numbers(scores.read_predictions(path), path)
        kind = found["settings"]["settings"].get("kind", "")
        for fraction, part in table.groupby("fraction"):
            part = part.sort_values(_keys(part), kind="stable")
            if expected is None:
                expected = part[_keys(part)].to_numpy()
                patients = part["patient"].fillna(part["case"]).to_numpy(str)
                weights = resample_weights(patients, run.settings.resamples, benchmark, run.seed)
            elif not np.array_equal(part[_keys(part)].to_numpy(), expected):
                raise InputError(
                    f"{path}: at fraction {fraction:g} the test cases are not those of "
                    f"{ours[0][0]}; methods are compared on the same cases, so run both again"
                )
            for metric, value in metrics(part, found["task"], kind, weights).items():
                values.setdefault((found["method"], fraction, metric), []).append(value)
    return values, len(np.unique(expected[:, 0].astype(str)))


def _keys(table: pd.DataFrame) -> list[str]:
    return [column for column in ("case", "lesion") if column in table]


def _numbers(table: pd.DataFrame, path: Path) -> pd.DataFrame:
    for column in table.filter(regex="^score:"):
        bad = table["case"][table[column].isna()]
        if len(bad):
            raise InputError(
                f"{path}: case '{bad.iloc[0]}' has no number in '{column}'; training diverged: "
                "lower the benchmark's lr and run it again"
            )
    return table
