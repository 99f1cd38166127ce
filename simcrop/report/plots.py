"""The curves and dots: scores by fraction of the labels, by label, and what is ahead by label."""

import textwrap

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from simcrop.report import style
from simcrop.report.differences import ALL
from simcrop.report.layout import METRICS


def label_efficiency(table: pd.DataFrame, methods: list[str], titles: dict[str, str]) -> Figure:
    """The main metric by the fraction of the training labels: a panel a benchmark, a line a method.

    Args:
        table: rows of classification.csv and segmentation.csv.
        methods: all that are compared; their order is that of the legend and of the colours.
        titles: printed names of benchmarks and methods.
    """
    main = table.groupby("benchmark", sort=False)["metric"].transform("first")
    table = table[(table["metric"] == main) & (table["fraction"] > 0)]
    benchmarks = list(dict.fromkeys(table["benchmark"]))
    figure, panels = style.panels(len(benchmarks), 2.2)
    apart = 1.05 ** min(1, 8 / len(methods))
    for panel, benchmark in zip(panels, benchmarks, strict=True):
        part = table[table["benchmark"] == benchmark]
        for position, method in enumerate(methods):
            line = part[part["method"] == method].sort_values("fraction")
            if not len(line):
                continue
            # Set a little apart, so that intervals of methods do not hide one another.
            x = 100 * line["fraction"] * apart ** (position - (len(methods) - 1) / 2)
            panel.errorbar(
                x,
                100 * line["mean"],
                reach(line),
                capsize=2,
                elinewidth=0.9,
                label=titles[method],
                **style.method_style(position),
            )
        _share_axis(panel, table["fraction"].unique())
        panel.set_title(titles[benchmark])
        panel.set_ylabel(f"{METRICS[part['metric'].iloc[0]]} (%)")
        panel.set_xlabel("Labelled training cases (%)")
    style.legend(figure, figure.axes[0])
    return figure


def per_label_auroc(
    table: pd.DataFrame, benchmark: str, methods: list[str], titles: dict[str, str]
) -> Figure:
    """AUROC of each label of one benchmark at its largest fraction, a dot a method.

    Labels are sorted by the mean over methods, the best on top; the broken line is chance. Those
    that have no AUROC, since no test case or every one has them, are named below.

    Args:
        table: rows of classification.csv.
        benchmark: its key.
        methods: all that are compared; their order is that of the legend and of the colours.
        titles: printed names of benchmarks and methods.
    """
    table = table[(table["benchmark"] == benchmark) & table["metric"].str.startswith("auroc:")]
    table = table[table["fraction"] == table["fraction"].max()]
    table = table.assign(label=table["metric"].str.removeprefix("auroc:"))
    figure, panel = _by_label(table, methods, titles)
    panel.axvline(50, color="#555555", linestyle="--", linewidth=0.8)
    panel.set_xlabel("AUROC (%); broken line: chance")
    fraction = 100 * table["fraction"].max()
    panel.set_title(f"{titles[benchmark]}, {fraction:g} % of the training cases")
    return figure


def per_label_difference(
    table: pd.DataFrame, benchmark: str, example: str, methods: list[str], titles: dict[str, str]
) -> Figure:
    """What one method is ahead of each other one, label by label: a forest plot.

    Args:
        table: of `simcrop.report.differences`, the mean over all labels among its rows.
        benchmark: its key.
        example: the method that is ahead where a value is positive.
        methods: all that are compared, `example` among them.
        titles: printed names of benchmarks and methods.
    """
    figure, panel = _by_label(table, methods, titles, last=ALL)
    panel.axvline(0, color="#555555", linestyle="--", linewidth=0.8)
    panel.set_xlabel("Difference of AUROC (percentage points); broken line: none")
    fraction = 100 * table["fraction"].max()
    panel.set_title(
        f"{titles[example]} minus each other method\n"
        f"{titles[benchmark]}, {fraction:g} % of the training cases"
    )
    return figure


def reach(rows: pd.DataFrame) -> np.ndarray:
    """(2, N): how far the interval reaches below and above the mean, in percent."""
    below_and_above = np.stack([rows["mean"] - rows["low"], rows["high"] - rows["mean"]])
    # A percentile interval may, seldom, lie beside its mean; a bar cannot reach backwards.
    return 100 * np.maximum(below_and_above, 0)


def _by_label(
    table: pd.DataFrame, methods: list[str], titles: dict[str, str], last: str | None = None
) -> tuple[Figure, Axes]:
    """Dots with intervals, a row a label; the row `last` stands at the bottom, below a line."""
    means = table.groupby("label", sort=False)["mean"].mean().sort_values(kind="stable")
    order = [label for label in means.dropna().index if label != last]
    missing = list(means.index[means.isna()])
    rows = ([last] if last in means.index else []) + order
    shown = [method for method in methods if method in set(table["method"])]
    figure = style.figure(1.2 + (0.14 + 0.06 * len(shown)) * len(rows))
    panel = figure.subplots()
    for place in range(0, len(rows), 2):
        panel.axhspan(place - 0.5, place + 0.5, color="#F4F4F4", linewidth=0)
    if len(rows) > len(order):
        panel.axhline(0.5, color="#555555", linewidth=0.8)
    for position, method in enumerate(shown):
        dots = table[table["method"] == method].set_index("label").reindex(rows)
        shift = 0.6 * ((len(shown) - 1) / 2 - position) / max(1, len(shown) - 1)
        panel.errorbar(
            100 * dots["mean"],
            np.arange(len(rows)) + shift,
            xerr=reach(dots),
            capsize=1.5,
            elinewidth=0.9,
            label=titles[method],
            **{**style.method_style(methods.index(method)), "linestyle": "none"},
        )
    panel.grid(axis="y", visible=False)
    panel.set_yticks(range(len(rows)), rows)
    panel.tick_params(axis="y", length=0, labelsize=8)
    panel.set_ylim(-0.5, len(rows) - 0.5)
    panel.set_ylabel("Label")
    told = f"Without a positive or without a negative test case: {', '.join(missing)}"
    style.legend(figure, panel, title="\n".join(textwrap.wrap(told, 100)) if missing else None)
    return figure, panel


def _share_axis(panel: Axes, fractions: np.ndarray) -> None:
    shares = sorted(100 * fractions)
    panel.set_xscale("log")
    panel.set_xlim(shares[0] / 1.6, shares[-1] * 1.6)
    panel.set_xticks(shares, [f"{share:g}" for share in shares])
    panel.minorticks_off()
