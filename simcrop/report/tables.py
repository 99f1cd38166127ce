"""A table of the paper: every estimate as CSV, the main ones as Markdown, LaTeX and HTML."""

from pathlib import Path
from typing import Any

import pandas as pd

from simcrop import files, runs
from simcrop.provenance import digest
from simcrop.report import foot, layout, published, typeset
from simcrop.report.estimates import COLUMNS, difference, estimate, read_scores

CAPTIONS = {
    "classification": "Classification by a linear probe on frozen features",
    "segmentation": "Segmentation by a fine-tuned UNETR",
    "localisation": "Localisation of lesions by the similarity of their sentence",
    "retrieval": "Retrieval of a report's volume",
    "difference": "What {example} is ahead of each other method, in percentage points",
    "ablation": "Ablation",
}


def table(run: runs.Table, out: Path) -> None:
    """Write one table as .csv, .md, .tex and .html, each named by it.

    The CSV holds every metric, `auroc:<label>` and `dice:<structure>` among them, in shares of one
    or in mm; the others lay out the main metrics of each benchmark in percent or in mm, with the
    published figures beside them.

    Raises:
        InputError: scores or predictions are missing or do not fit together, or a published figure
            has no source.
    """
    read = read_scores(run)
    estimates = (difference if run.table == "difference" else estimate)(run, read)
    with files.whole(out / f"{run.table}.csv") as temporary:
        estimates.to_csv(
            temporary,
            columns=list(COLUMNS),
            index=False,
            lineterminator="\n",
            float_format="%.6f",
        )
    theirs = _published(run, layout.columns(estimates))
    grid = layout.grid(
        estimates,
        run.titles,
        ranked=run.table != "difference",
        published=theirs,
    )
    below = foot.sentences(run, read, estimates)
    if grid.published:
        below.append(published.sources(theirs))
    if read:
        below.append(_provenance(run, [found for _, found in read]))
    caption = CAPTIONS[run.table].format(example=run.titles[run.settings.example])
    files.write_text(out / f"{run.table}.md", typeset.markdown(grid, caption, below))
    files.write_text(out / f"{run.table}.tex", typeset.latex(grid, caption, below, run.table))
    files.write_text(out / f"{run.table}.html", typeset.html(grid, caption, below))


def _published(run: runs.Table, columns: list[tuple[str, str, float]]) -> pd.DataFrame | None:
    """The published figures that have a column in this table."""
    if run.published is None:
        return None
    found = published.read(run.published, run.table)
    places = found[["benchmark", "metric", "fraction"]].itertuples(index=False, name=None)
    known = pd.Series([place in columns for place in places], index=found.index, dtype=bool)
    for row in found[~known].itertuples():
        print(
            f"{run.published}: {run.table} has no column of {row.benchmark}, {row.metric} at "
            f"fraction {row.fraction:g}; this value of {row.method} is left out"
        )
    return found[known]


def _provenance(run: runs.Table, read: list[dict[str, Any]]) -> str:
    """What all runs were made with; their settings and weights, which are many, by one digest."""
    every = [dict(found["provenance"]) for found in read]
    weights = [one.pop("weights", None) for one in every]
    parts = []
    for key in dict.fromkeys(key for one in every for key in one):
        values = sorted({str(one[key]) for one in every if one.get(key) is not None})
        if values:
            parts.append(f"{key} {' and '.join(values)}")
    ours = run.model_dump(mode="json", exclude={"scores", "published"})
    settings = [ours, *(found["settings"] for found in read)]
    parts += [f"settings {digest(settings)}", f"weights {digest(weights)}"]
    return f"Made with {', '.join(parts)}."
