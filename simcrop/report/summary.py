"""What DVC compares between two runs, and what every number of this one was made with."""

import json
from pathlib import Path

import pandas as pd

from simcrop import files, runs
from simcrop.formats import scores
from simcrop.provenance import digest
from simcrop.report.layout import percent

PLOTTED = ("auroc", "dice")


def summary(run: runs.Summary, out: Path) -> None:
    """Write metrics.json (benchmark → method → fraction → metric: the tables' means, without
    those of single labels and of chance), auroc.csv and dice.csv (run, value) of the
    same numbers, and provenance.csv, a row a run.

    Raises:
        InputError: scores are missing.
    """
    means = _means(run.tables)
    nested: dict[str, dict[str, dict[str, dict[str, float]]]] = {}
    for row in means.itertuples():
        methods = nested.setdefault(row.benchmark, {})
        methods.setdefault(row.method, {}).setdefault(row.share, {})[row.metric] = row.mean
    files.write_text(out / "metrics.json", json.dumps(nested, indent=1) + "\n")
    for metric in PLOTTED:
        part = means[means["metric"] == metric]
        names = part["benchmark"] + " " + part["method"] + " " + part["share"]
        _write(pd.DataFrame({"run": names, metric: part["mean"]}), out / f"{metric}.csv")
    _write(pd.DataFrame(map(_made_with, run.scores)), out / "provenance.csv")


def _means(tables: list[str]) -> pd.DataFrame:
    """benchmark, method, share (text), metric, mean; what stands in two tables is taken once."""
    keys = ["benchmark", "method", "fraction", "metric"]
    table = pd.concat([pd.read_csv(path) for path in tables]).drop_duplicates(keys)
    single = table["metric"].str.contains(":") | table["metric"].str.startswith("chance")
    table = table[~single & table["mean"].notna()].reset_index(drop=True)
    return table.assign(share=table["fraction"].map(percent))


def _made_with(path: str) -> dict[str, str]:
    found = scores.read(path)
    keys = {key: str(found[key]) for key in ("benchmark", "method", "seed")}
    return {**keys, **found["provenance"], "settings": digest(found["settings"])}


def _write(table: pd.DataFrame, path: Path) -> None:
    with files.whole(path) as temporary:
        table.to_csv(temporary, index=False, lineterminator="\n")
