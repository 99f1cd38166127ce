"""From the runs' predictions to estimates: one row a benchmark, method, fraction and metric."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from simcrop import runs
from simcrop.errors import InputError
from simcrop.formats import scores
from simcrop.report.measures import metrics
from simcrop.report.statistics import (
    CONFIDENCE,
    expanded,
    holm,
    p_value,
    resample_weights,
    summary,
)

# sd      standard deviation over seeds; empty where there is one, and of a difference where the
#         two methods have not as many
# p       of no difference from the example method, in the benchmark's main metric
# p_holm  the same, corrected for all comparisons of the table
COLUMNS = (
    *("benchmark", "method", "fraction", "metric"),
    *("mean", "low", "high", "seeds", "cases", "sd", "p", "p_holm"),
)

Read = list[tuple[Path, dict[str, Any]]]
Values = dict[tuple[str, float, str], list[np.ndarray]]


def read_scores(run: runs.Table) -> Read:
    """Each run's scores and the folder they lie in, by benchmark and method in order of titles.

    Raises:
        InputError: a file is missing, its benchmark or method has no title, or its state was chosen
            on the test cases though the protocol is sound.
    """
    read = [(Path(path).parent, scores.read(path)) for path in run.scores]
    order = {key: position for position, key in enumerate(run.titles)}
    for folder, found in read:
        for key in ("benchmark", "method"):
            if found[key] not in order:
                raise InputError(f"{folder}: {key} '{found[key]}' is not in the report's titles")
        if run.protocol == "sound" and chosen_on_test(found):
            raise InputError(
                f"{folder}: its state was chosen on the test cases (select_on: test), which a "
                f"sound table cannot show; run {found['benchmark']} again with select_on: "
                "validation, or set protocol: published"
            )
    return sorted(read, key=lambda r: (order[r[1]["benchmark"]], order[r[1]["method"]], r[0]))


def chosen_on_test(found: dict[str, Any]) -> bool:
    """Whether a run's scores are of the state that does best on the very cases scored."""
    return found["settings"]["settings"].get("select_on") == "test"


def estimate(run: runs.Table, read: Read) -> pd.DataFrame:
    """Mean over seeds and bootstrap interval of every metric, in the order of `read`.

    Returns:
        COLUMNS and `task`; values in shares of one, or in mm, NaN where a metric is not defined.

    Raises:
        InputError: predictions are missing or not numbers, or runs of one benchmark hold different
            test cases.
    """
    rows = []
    for benchmark, task, values, counts in _resampled(run, read):
        main = next(metric for _, _, metric in values)
        for (method, fraction, metric), seeds in values.items():
            ahead = _ahead(run, values, method, fraction, metric) if metric == main else None
            p = np.nan if ahead is None else p_value(ahead, counts["patients"])
            told = _row(run, seeds, len(seeds), counts)
            rows.append((benchmark, method, fraction, metric, *told, p, task))
    return _table(rows)


def difference(run: runs.Table, read: Read) -> pd.DataFrame:
    """What the example method is ahead of each other one in the main metric of each benchmark.

    Both are scored on the same resample of the patients before they are subtracted, so that the
    interval is that of the paired difference. Raises as `estimate`.

    Returns:
        COLUMNS and `task`; `method` is the other one, and values lie in [-1, 1].
    """
    rows = []
    for benchmark, task, values, counts in _resampled(run, read):
        main = next(metric for _, _, metric in values)
        for (method, fraction, metric), seeds in values.items():
            ahead = _ahead(run, values, method, fraction, metric) if metric == main else None
            if ahead is None:
                continue
            example = values[run.settings.example, fraction, metric]
            each = [ahead]
            if len(example) == len(seeds):
                each = [one - other for one, other in zip(example, seeds, strict=True)]
            p = p_value(ahead, counts["patients"])
            told = _row(run, each, min(len(seeds), len(example)), counts)
            rows.append((benchmark, method, fraction, metric, *told, p, task))
    return _table(rows)


def _ahead(
    run: runs.Table, values: Values, method: str, fraction: float, metric: str
) -> np.ndarray | None:
    """The example method minus another on every resample; None where either is not there."""
    example = values.get((run.settings.example, fraction, metric))
    if method == run.settings.example or example is None:
        return None
    return np.mean(example, axis=0) - np.mean(values[method, fraction, metric], axis=0)


def _row(
    run: runs.Table, seeds: list[np.ndarray], count: int, counts: dict[str, int]
) -> tuple[Any, ...]:
    """Mean, low, high, seeds, cases, sd."""
    triple = summary(seeds, expanded(CONFIDENCE, counts["patients"]))
    sd = np.std([values[0] for values in seeds], ddof=1) if len(seeds) > 1 else np.nan
    return *triple, count, counts["cases"], sd


def _table(rows: list[tuple[Any, ...]]) -> pd.DataFrame:
    names = [column for column in COLUMNS if column != "p_holm"]
    table = pd.DataFrame(rows, columns=[*names, "task"])
    table["p_holm"] = holm(table["p"].to_numpy(float))
    return table[[*COLUMNS, "task"]]


def _resampled(run: runs.Table, read: Read) -> Iterator[tuple[str, str, Values, dict[str, int]]]:
    """Benchmark, task, (method, fraction, metric) → its values, an array a seed; and its counts.

    A seed is that of an encoder: the values of its probes are averaged.
    """
    for benchmark in dict.fromkeys(found["benchmark"] for _, found in read):
        ours = [entry for entry in read if entry[1]["benchmark"] == benchmark]
        values: Values = {}
        expected = weights = None
        for folder, found in ours:
            path = folder / "predictions.csv"
            table = _numbers(scores.read_predictions(path), path)
            probes: Values = {}
            parts = ["fraction", "probe"] if "probe" in table else ["fraction"]
            for (fraction, *_), part in table.groupby(parts):
                part = part.sort_values(_keys(part), kind="stable")
                if expected is None:
                    expected = part[_keys(part)].to_numpy()
                    patients = part["patient"].fillna(part["case"]).to_numpy(str)
                    weights = resample_weights(
                        patients, run.settings.resamples, benchmark, run.seed
                    )
                elif not np.array_equal(part[_keys(part)].to_numpy(), expected):
                    raise InputError(
                        f"{path}: at fraction {fraction:g} the test cases are not those of "
                        f"{ours[0][0]}; methods are compared on the same cases, so run both again"
                    )
                settings = found["settings"]["settings"]
                for metric, value in metrics(part, found["task"], settings, weights).items():
                    probes.setdefault((found["method"], fraction, metric), []).append(value)
            for key, drawn in probes.items():
                values.setdefault(key, []).append(np.mean(drawn, axis=0))
        cases = len(np.unique(expected[:, 0].astype(str)))
        counts = {"cases": cases, "patients": len(np.unique(patients))}
        yield benchmark, ours[0][1]["task"], values, counts


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
