"""A table as a paper prints it: methods down, benchmarks and fractions across, best ones marked."""

import math
from dataclasses import dataclass, field

import pandas as pd

from simcrop.formats.scores import RECALL_DEPTHS
from simcrop.report.measures import SPECIFICITY
from simcrop.report.statistics import LEVEL

METRICS = {
    "auroc": "AUROC",
    "average_precision": "Average precision",
    "accuracy": "Accuracy",
    "f1": "F1",
    "sensitivity": f"Sensitivity at {100 * SPECIFICITY:g} % specificity",
    "calibration_error": "Calibration error",
    "dice": "Dice",
    "dice_with_background": "Dice with background",
    "nsd": "Surface Dice",
    "hd95": "HD95 (mm)",
    "pointing": "Pointing",
    "chance": "Chance",
    **{f"recall_{k}": f"R@{k}" for k in RECALL_DEPTHS},
    **{f"chance_{k}": f"R@{k} by chance" for k in RECALL_DEPTHS},
}
MILLIMETRES = ("hd95",)  # all others are shares of one
LOWER_IS_BETTER = ("hd95", "calibration_error")
UNTRAINED = ("localisation", "retrieval")
_BESIDE = {"segmentation": ("dice", "nsd", "hd95")}  # printed as well as the main metric
_MISSING = "–"


@dataclass(frozen=True)
class Cell:
    """What is printed of one estimate.

    `rank` is 1 for the best of its column, 2 for the second; `different` says that the example
    method's difference from it is significant.
    """

    mean: str = _MISSING
    interval: str = ""
    rank: int | None = None
    different: bool = False


@dataclass(frozen=True)
class Grid:
    """Headers are (benchmark, metric, fraction) titles, one a column; rows are titled methods."""

    headers: list[tuple[str, str, str]]
    rows: list[tuple[str, list[Cell]]]
    published: list[tuple[str, list[Cell]]] = field(default_factory=list)


def grid(
    table: pd.DataFrame,
    titles: dict[str, str],
    ranked: bool = True,
    published: pd.DataFrame | None = None,
) -> Grid:
    """Lay out the main metric of every benchmark; of those without training, all metrics.

    Args:
        table: estimates, the main metric of a benchmark first; see `simcrop.report.estimates`.
        titles: printed names of benchmarks and methods.
        ranked: whether the best and the second of a column are marked.
        published: rows of `simcrop.report.published` that stand below ours, unranked; each is of
            one of `columns`.
    """
    places = columns(table)
    methods = sorted(table["method"].unique(), key=list(titles).index)
    untrained = set(table["benchmark"][table["task"].isin(UNTRAINED)])
    headers = [
        (titles[benchmark], METRICS[metric], "" if benchmark in untrained else percent(fraction))
        for benchmark, metric, fraction in places
    ]
    cells = [_column(table, place, methods, ranked) for place in places]
    ours = [(titles[m], [column[i] for column in cells]) for i, m in enumerate(methods)]
    return Grid(headers, ours, [] if published is None else _published(published, places))


def columns(table: pd.DataFrame) -> list[tuple[str, str, float]]:
    """The (benchmark, metric, fraction) of each column of a table of estimates."""
    main = table.groupby("benchmark", sort=False)["metric"].transform("first")
    beside = pd.Series(
        [
            m in _BESIDE.get(task, ())
            for task, m in zip(table["task"], table["metric"], strict=True)
        ],
        index=table.index,
        dtype=bool,
    )
    shown = table[(table["metric"] == main) | beside | table["task"].isin(UNTRAINED)]
    keys = shown[["benchmark", "metric", "fraction"]]
    return list(dict.fromkeys(keys.itertuples(index=False, name=None)))


def percent(fraction: float) -> str:
    """A fraction of the labels as text, such as `10 %`; none is `zero-shot`."""
    if not fraction:
        return "zero-shot"
    return f"{100 * fraction:g} %"


def counts(table: pd.DataFrame, titles: dict[str, str]) -> str:
    """Sentences on the number of seeds and of test cases."""
    seeds = " to ".join(
        str(count) for count in sorted({table["seeds"].min(), table["seeds"].max()})
    )
    first = table.drop_duplicates("benchmark")
    cases = [f"{titles[row.benchmark]} {row.cases}" for row in first.itertuples()]
    return f"Seeds: {seeds}. Test cases: {', '.join(cases)}."


def number(value: float, metric: str) -> str:
    """A value as it is printed: in mm, or as a percentage without its sign."""
    # With 0 added, since -0.0 is no value to print.
    return f"{round(value if metric in MILLIMETRES else 100 * value, 1) + 0:.1f}"


def _column(
    table: pd.DataFrame,
    column: tuple[str, str, float],
    methods: list[str],
    ranked: bool,
) -> list[Cell]:
    benchmark, metric, fraction = column
    rows = table[
        (table["benchmark"] == benchmark)
        & (table["metric"] == metric)
        & (table["fraction"] == fraction)
    ].set_index("method")
    means = {
        m: number(rows["mean"][m], metric) for m in rows.index if not math.isnan(rows["mean"][m])
    }
    order = sorted({*means.values()}, key=float, reverse=metric not in LOWER_IS_BETTER)
    cells = []
    for method in methods:
        if method not in means:
            cells.append(Cell())
            continue
        mean, row = means[method], rows.loc[method]
        # Chance is a property of the masks: no method is better at it.
        compared = ranked and not metric.startswith("chance") and len(means) > 1
        rank = order.index(mean) + 1 if compared and mean in order[:2] else None
        ends = [number(row[end], metric) for end in ("low", "high")]
        interval = "" if math.isnan(row["low"]) else f"[{', '.join(ends)}]"
        cells.append(Cell(mean, interval, rank, bool(row["p_holm"] < LEVEL)))
    return cells


def _published(
    table: pd.DataFrame, columns: list[tuple[str, str, float]]
) -> list[tuple[str, list[Cell]]]:
    """A row a published method."""
    rows = []
    for method, theirs in table.groupby("method", sort=False):
        values = theirs.set_index(["benchmark", "metric", "fraction"])["value"]
        cells = [
            Cell(number(values[column], column[1])) if column in values.index else Cell()
            for column in columns
        ]
        rows.append((f"{method} (published)", cells))
    return rows
