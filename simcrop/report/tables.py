"""A table of the paper: every estimate as CSV, the main ones as Markdown and LaTeX."""

from pathlib import Path
from typing import Any

from simcrop import files, runs
from simcrop.report import layout
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
    """Write one table as .csv, .md and .tex, each named by it.

    The CSV holds every metric, `auroc:<label>` and `dice:<structure>` among them, in shares of one;
    the others lay out the main metric of each benchmark in percent.

    Raises:
        InputError: scores or predictions are missing or do not fit together.
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
    grid = layout.grid(estimates, run.titles, ranked=run.table != "difference")
    foot = [_explained(run), f"Protocol: {run.protocol}."]
    if read:
        foot += [
            layout.counts(estimates, run.titles),
            _provenance([s["provenance"] for _, s in read]),
        ]
    caption = CAPTIONS[run.table].format(example=run.titles[run.settings.example])
    files.write_text(out / f"{run.table}.md", layout.markdown(grid, caption, foot))
    files.write_text(out / f"{run.table}.tex", layout.latex(grid, caption, foot, run.table))


def _explained(run: runs.Table) -> str:
    settings = run.settings
    return (
        "Values are percentages: the mean over seeds and, in brackets, the "
        f"{100 * settings.confidence:g} % interval of a bootstrap over test patients "
        f"({settings.resamples} resamples, shared by all methods of a benchmark; seeds are "
        "averaged within each resample)."
        + ("" if run.table == "difference" else " Best in bold, second underlined.")
    )


def _provenance(every: list[dict[str, Any]]) -> str:
    parts = []
    for key in dict.fromkeys(key for one in every for key in one):
        values = sorted({str(one[key]) for one in every if one.get(key) is not None})
        if values:
            parts.append(f"{key} {' and '.join(values)}")
    return f"Made with {', '.join(parts)}."
