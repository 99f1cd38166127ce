"""What stands below a table: how its numbers came about, and what is not in them."""

from typing import Any

import pandas as pd

from simcrop import runs
from simcrop.report.estimates import Read, chosen_on_test
from simcrop.report.layout import counts
from simcrop.report.statistics import CONFIDENCE, LEVEL


def sentences(run: runs.Table, read: Read, estimates: pd.DataFrame) -> list[str]:
    """All but provenance and published sources, a paragraph each."""
    told = [_explained(run), f"Protocol: {run.protocol}."]
    if len(estimates):
        told += [counts(estimates, run.titles), _tested(run, estimates)]
    if estimates["metric"].isin(("nsd", "hd95")).any():
        told.append(_distances(read))
    return [*filter(None, told), *warnings(run.titles, read)]


def _explained(run: runs.Table) -> str:
    settings = run.settings
    return (
        "Values are percentages: the mean over seeds and, in brackets, the "
        f"{100 * CONFIDENCE:g} % interval of a bootstrap over test patients "
        f"({settings.resamples} resamples, shared by all methods of a benchmark; seeds are "
        "averaged within each resample)."
        + ("" if run.table == "difference" else " Best in bold, second underlined.")
    )


def _tested(run: runs.Table, estimates: pd.DataFrame) -> str:
    compared = int(estimates["p"].notna().sum())
    if not compared:
        return ""
    example = run.titles[run.settings.example]
    found = f"{example} differs from no method"
    if (estimates["p_holm"] < LEVEL).any():
        found = f"† {example} differs from this method"
    return (
        f"{found} (p < {LEVEL:g}): two-sided test of the difference paired by patient, in each "
        f"benchmark's main metric, corrected by Holm's method for the {compared} comparisons of "
        "this table."
    )


def _distances(read: Read) -> str:
    tolerances = {
        f"{found['settings']['settings']['tolerance']:g}"
        for _, found in read
        if found["task"] == "segmentation"
    }
    return (
        f"Surface Dice at a tolerance of {' or '.join(sorted(tolerances))} mm. HD95: the lower the "
        "better; where prediction or mask alone lacks a structure, the volume's diagonal."
    )


def warnings(titles: dict[str, str], read: Read) -> list[str]:
    """What is left out, and what touches training because the protocol asks for it."""
    undefined = _by_benchmark(titles, read, "undefined", ", ".join)
    leaks = _by_benchmark(titles, read, "leaks", lambda cases: f"{len(cases)} cases")
    chosen = [
        titles[name] for name in dict.fromkeys(f["benchmark"] for _, f in read if chosen_on_test(f))
    ]
    told = [
        undefined and f"Left out of every mean, for want of test cases that show it: {undefined}.",
        leaks
        and "Tested on cases of patients who are in training too, as the published lists have it: "
        f"{leaks} (named in scores.json).",
        chosen
        and "State chosen on the test cases, as published, so that scores are too high: "
        f"{', '.join(chosen)}.",
    ]
    return [sentence for sentence in told if sentence]


def _by_benchmark(titles: dict[str, str], read: Read, key: str, told: Any) -> str:
    found: dict[str, list[str]] = {}
    for _, scores in read:
        if scores.get(key):
            found.setdefault(scores["benchmark"], scores[key])
    return "; ".join(f"{titles[name]}: {told(values)}" for name, values in found.items())
