"""Everything of a report on one HTML page that needs nothing beside it, filtered by a few lines."""

import base64
from collections import Counter
from pathlib import Path
from typing import Any

import pandas as pd

from simcrop import files, runs
from simcrop.errors import InputError
from simcrop.formats import scores
from simcrop.report import foot
from simcrop.report.costs import costs
from simcrop.report.layout import METRICS, MILLIMETRES, UNTRAINED, number, percent
from simcrop.report.statistics import CONFIDENCE
from simcrop.report.tables import CAPTIONS

_ROWS = 2000


def page(run: runs.Page, out: Path) -> None:
    """Write index.html and costs.csv.

    Raises:
        InputError: a table, a figure, an audit or scores are missing.
    """
    import jinja2

    cost = costs(Path(run.results))
    with files.whole(out / "costs.csv") as temporary:
        cost.to_csv(temporary, index=False, lineterminator="\n", float_format="%.4f")
    read = [(Path(path), scores.read(path)) for path in run.scores]
    untrained = {found["benchmark"] for _, found in read if found["task"] in UNTRAINED}
    aside = pd.concat([_aside(Path(path)) for path in run.audits] or [pd.DataFrame()])
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("simcrop.report", "."), autoescape=True, trim_blocks=True
    )
    text = environment.get_template("page.html").render(
        tables=[_table(Path(path), run, untrained) for path in run.tables],
        figures=[
            {**figure.model_dump(), "caption": _read(figure.caption), "data": _data(figure.file)}
            for figure in run.figures
        ],
        confidence=f"{100 * CONFIDENCE:g}",
        protocol=run.protocol,
        warnings=foot.warnings(run.titles, read),
        provenance=_provenance([found for _, found in read]),
        costs=cost.to_dict("records"),
        total=cost.sum(numeric_only=True).to_dict(),
        aside=aside.head(_ROWS).to_dict("records"),
        left=max(0, len(aside) - _ROWS),
    )
    files.write_text(out / "index.html", text)


def _table(path: Path, run: runs.Page, untrained: set[str]) -> dict[str, Any]:
    """Caption, metrics and rows of a table: a row a benchmark, method and share of the labels.

    Args:
        untrained: the benchmarks that need no labels.
    """
    try:
        table = pd.read_csv(path)
    except FileNotFoundError:
        raise InputError(f"{path}: no such table; make the tables first") from None
    table = table[~table["metric"].str.contains(":")]
    metrics = list(dict.fromkeys(table["metric"]))
    rows = []
    for (benchmark, method, fraction), part in table.groupby(
        ["benchmark", "method", "fraction"], sort=False
    ):
        cells = {row.metric: _cell(row) for row in part.itertuples()}
        names = {"benchmark": run.titles[benchmark], "method": run.titles[method]}
        counts = {"seeds": part["seeds"].iloc[0], "cases": part["cases"].iloc[0]}
        values = [cells.get(metric, ("–", "")) for metric in metrics]
        share = "–" if benchmark in untrained else percent(fraction)
        rows.append({**names, "share": share, **counts, "values": values})
    caption = CAPTIONS[path.stem].format(example=run.titles[run.example])
    unit = "points" if path.stem == "difference" else "%"
    heads = [METRICS[m] if m in MILLIMETRES else f"{METRICS[m]} ({unit})" for m in metrics]
    return {"caption": caption, "heads": heads, "rows": rows}


def _cell(row: Any) -> tuple[str, str]:
    """Mean and interval, as the tables print them."""
    mean, low, high = (number(value, row.metric) for value in (row.mean, row.low, row.high))
    return ("–" if mean == "nan" else mean), ("" if low == "nan" else f"[{low}, {high}]")


def _provenance(read: list[dict[str, Any]]) -> list[tuple[str, str, int]]:
    """What runs were made with: key, value, and how many runs have it."""
    counted = Counter(
        (key, str(value))
        for found in read
        for key, value in found["provenance"].items()
        if value is not None and key != "weights"
    )
    order = list(dict.fromkeys(key for key, _ in counted))
    told = sorted(counted.items(), key=lambda item: order.index(item[0][0]))
    return [(key, value, count) for (key, value), count in told]


def _aside(path: Path) -> pd.DataFrame:
    audit = pd.read_csv(path, dtype=str, keep_default_na=False)
    return audit.loc[audit["reason"] != "", ["case", "reason"]].assign(cohort=path.parent.name)


def _read(path: str) -> str:
    return " ".join(Path(path).read_text(encoding="utf-8").split())


def _data(path: str) -> str:
    try:
        return base64.b64encode(Path(path).read_bytes()).decode()
    except FileNotFoundError:
        raise InputError(f"{path}: no such figure; draw the figures first") from None
