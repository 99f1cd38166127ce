"""A table as a paper prints it: methods down, benchmarks and fractions across, best ones marked."""

import math
import re
from dataclasses import dataclass

import pandas as pd

from simcrop.formats.scores import RECALL_DEPTHS

METRICS = {
    "auroc": "AUROC",
    "average_precision": "Average precision",
    "accuracy": "Accuracy",
    "dice": "Dice",
    "pointing": "Pointing",
    "chance": "Chance",
    **{f"recall_{k}": f"R@{k}" for k in RECALL_DEPTHS},
    **{f"chance_{k}": f"R@{k} by chance" for k in RECALL_DEPTHS},
}
UNTRAINED = ("localisation", "retrieval")
_MISSING = "–"
_LATEX = {
    **{character: f"\\{character}" for character in "&%$#_{}"},
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "–": "--",
}


@dataclass(frozen=True)
class Cell:
    """What is printed of one estimate; `rank` is 1 for the best of its column, 2 for the second."""

    mean: str = _MISSING
    interval: str = ""
    rank: int | None = None


@dataclass(frozen=True)
class Grid:
    """Headers are (benchmark, metric, fraction) titles, one a column; rows are titled methods."""

    headers: list[tuple[str, str, str]]
    rows: list[tuple[str, list[Cell]]]


def grid(table: pd.DataFrame, titles: dict[str, str], ranked: bool = True) -> Grid:
    """Lay out the main metric of every benchmark; of those without training, all metrics.

    Args:
        table: estimates, the main metric of a benchmark first; see `simcrop.report.estimates`.
        titles: printed names of benchmarks and methods.
        ranked: whether the best and the second of a column are marked.
    """
    main = table.groupby("benchmark", sort=False)["metric"].transform("first")
    shown = table[(table["metric"] == main) | table["task"].isin(UNTRAINED)]
    columns = list(
        dict.fromkeys(shown[["benchmark", "metric", "fraction"]].itertuples(index=False, name=None))
    )
    methods = sorted(shown["method"].unique(), key=list(titles).index)
    untrained = set(shown["benchmark"][shown["task"].isin(UNTRAINED)])
    headers = [
        (titles[benchmark], METRICS[metric], "" if benchmark in untrained else percent(fraction))
        for benchmark, metric, fraction in columns
    ]
    cells = [_column(shown, column, methods, ranked) for column in columns]
    return Grid(
        headers, [(titles[m], [column[i] for column in cells]) for i, m in enumerate(methods)]
    )


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


def markdown(grid: Grid, caption: str, foot: list[str]) -> str:
    """The grid as a Markdown table under its caption, with `foot` below it."""
    lines = [f"### {_plain(caption)}", ""]
    if grid.rows:
        headers = ["<br>".join(_plain(part) for part in header if part) for header in grid.headers]
        lines.append(_line(["Method", *headers]))
        lines.append(_line(["---", *["---:"] * len(headers)]))
        marks = {None: "{}", 1: "**{}**", 2: "<u>{}</u>"}
        for method, cells in grid.rows:
            texts = [f"{marks[c.rank].format(c.mean)} {c.interval}".strip() for c in cells]
            lines.append(_line([_plain(method), *texts]))
    else:
        lines.append("No runs.")
    for sentence in foot:
        lines += ["", _plain(sentence)]
    return "\n".join(lines) + "\n"


def latex(grid: Grid, caption: str, foot: list[str], label: str) -> str:
    """The grid as a LaTeX float, intervals below their means; it needs the package booktabs."""
    if not grid.rows:
        return f"% {caption}: no runs.\n"
    marks = {None: "{}", 1: r"\textbf{{{}}}", 2: r"\underline{{{}}}"}
    lines = [
        r"% Needs \usepackage{booktabs}.",
        r"\begin{table*}",
        r"\centering",
        rf"\caption{{{escaped(caption)}.}}",
        rf"\label{{tab:{label}}}",
        r"\setlength{\tabcolsep}{2pt}",
        rf"\begin{{tabular}}{{l{'c' * len(grid.headers)}}}",
        r"\toprule",
        *_latex_headers(grid.headers),
        r"\midrule",
    ]
    for method, cells in grid.rows:
        means = [marks[cell.rank].format(escaped(cell.mean)) for cell in cells]
        lines.append(" & ".join([escaped(method), *means]) + r" \\")
        intervals = [rf"{{\scriptsize {cell.interval}}}" if cell.interval else "" for cell in cells]
        lines.append(" & ".join(["", *intervals]).strip() + r" \\")
    lines += [r"\bottomrule", r"\end{tabular}", "", r"\smallskip", r"\footnotesize"]
    lines += [r"\parbox{\textwidth}{%"]
    lines += [escaped(sentence) for sentence in foot]
    return "\n".join([*lines, "}", r"\end{table*}"]) + "\n"


def escaped(text: str) -> str:
    """`text` with the characters that mean something to LaTeX made harmless."""
    text = "".join(_LATEX.get(character, character) for character in text)
    return re.sub(r"(?<=\d) \\%", r"\\,\\%", text)


def _column(
    table: pd.DataFrame, column: tuple[str, str, float], methods: list[str], ranked: bool
) -> list[Cell]:
    benchmark, metric, fraction = column
    rows = table[
        (table["benchmark"] == benchmark)
        & (table["metric"] == metric)
        & (table["fraction"] == fraction)
    ].set_index("method")
    means = {
        m: f"{100 * rows['mean'][m]:.1f}" for m in rows.index if not math.isnan(rows["mean"][m])
    }
    order = sorted({*means.values()}, key=float, reverse=True)
    cells = []
    for method in methods:
        if method not in means:
            cells.append(Cell())
            continue
        mean, low, high = means[method], rows["low"][method], rows["high"][method]
        # Chance is a property of the masks: no method is better at it.
        compared = ranked and not metric.startswith("chance") and len(means) > 1
        rank = order.index(mean) + 1 if compared and mean in order[:2] else None
        interval = "" if math.isnan(low) else f"[{100 * low:.1f}, {100 * high:.1f}]"
        cells.append(Cell(mean, interval, rank))
    return cells


def _latex_headers(headers: list[tuple[str, str, str]]) -> list[str]:
    groups: list[list[int]] = []
    for index, header in enumerate(headers):
        if groups and headers[groups[-1][0]][0] == header[0]:
            groups[-1].append(index)
        else:
            groups.append([index])
    titles = [rf"\multicolumn{{{len(g)}}}{{c}}{{{escaped(headers[g[0]][0])}}}" for g in groups]
    rules = [rf"\cmidrule(lr){{{g[0] + 2}-{g[-1] + 2}}}" for g in groups]
    metrics = [escaped(header[1]) for header in headers]
    lines = [" & ".join(["", *titles]).strip() + r" \\", " ".join(rules)]
    lines.append(" & ".join(["Method", *metrics]) + r" \\")
    if any(header[2] for header in headers):
        lines.append(" & ".join(["", *(escaped(h[2]) for h in headers)]).strip() + r" \\")
    return lines


def _line(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _plain(text: str) -> str:
    return re.sub(r"([\\`*_<>|\[\]])", r"\\\1", text)
