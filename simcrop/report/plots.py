"""The curves and dots: scores by fraction of the labels, and AUROC by label."""

from collections.abc import Iterable

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from simcrop.report import style
from simcrop.report.layout import METRICS


def label_efficiency(table: pd.DataFrame, titles: dict[str, str]) -> Figure:
    """The main metric by the fraction of the training labels: a panel a benchmark, a line a method.

    Args:
        table: rows of classification.csv and segmentation.csv.
        titles: printed names of benchmarks and methods, in the order of the legend.
    """
    main = table.groupby("benchmark", sort=False)["metric"].transform("first")
    table = table[(table["metric"] == main) & (table["fraction"] > 0)]
    benchmarks = list(dict.fromkeys(table["benchmark"]))
    methods = _ordered(table["method"], titles)
    columns = 2 if len(benchmarks) == 4 else min(3, len(benchmarks))
    rows = -(-len(benchmarks) // columns)
    figure = style.figure(2.2 * rows + 0.3)
    panels = list(figure.subplots(rows, columns, squeeze=False).flat)
    for panel in panels[len(benchmarks) :]:
        panel.remove()
    for panel, benchmark in zip(panels, benchmarks, strict=False):
        part = table[table["benchmark"] == benchmark]
        for position, method in enumerate(methods):
            line = part[part["method"] == method].sort_values("fraction")
            # Set a little apart, so that intervals of methods do not hide one another.
            x = 100 * line["fraction"] * 1.05 ** (position - (len(methods) - 1) / 2)
            panel.errorbar(
                x,
                100 * line["mean"],
                _reach(line),
                capsize=2,
                elinewidth=0.9,
                label=titles[method],
                **style.method_style(position),
            )
        _percent_axis(panel, table["fraction"].unique())
        panel.set_title(titles[benchmark])
        panel.set_ylabel(f"{METRICS[part['metric'].iloc[0]]} (%)")
        panel.set_xlabel("Labelled training cases (%)")
    _legend(figure, figure.axes[0], len(methods))
    return figure


def per_label_auroc(table: pd.DataFrame, benchmark: str, titles: dict[str, str]) -> Figure:
    """AUROC of each label of one benchmark at its largest fraction, a dot a method.

    Labels are sorted by the mean over methods, the best on top; the broken line is chance.

    Args:
        table: rows of classification.csv.
        benchmark: its key.
        titles: printed names of benchmarks and methods, in the order of the legend.
    """
    table = table[(table["benchmark"] == benchmark) & table["metric"].str.startswith("auroc:")]
    table = table[table["fraction"] == table["fraction"].max()]
    order = table.groupby("metric", sort=False)["mean"].mean().sort_values(kind="stable").index
    methods = _ordered(table["method"], titles)
    figure = style.figure(0.9 + (0.14 + 0.06 * len(methods)) * len(order))
    panel = figure.subplots()
    for place in range(0, len(order), 2):
        panel.axhspan(place - 0.5, place + 0.5, color="#F4F4F4", linewidth=0)
    for position, method in enumerate(methods):
        dots = table[table["method"] == method].set_index("metric").reindex(order)
        shift = 0.6 * ((len(methods) - 1) / 2 - position) / max(1, len(methods) - 1)
        look = {**style.method_style(position), "linestyle": "none"}
        panel.errorbar(
            100 * dots["mean"],
            np.arange(len(order)) + shift,
            xerr=_reach(dots),
            capsize=1.5,
            elinewidth=0.9,
            label=titles[method],
            **look,
        )
    panel.axvline(50, color="#555555", linestyle="--", linewidth=0.8)
    panel.grid(axis="y", visible=False)
    panel.set_yticks(range(len(order)), [name.removeprefix("auroc:") for name in order])
    panel.tick_params(axis="y", length=0, labelsize=8)
    panel.set_ylim(-0.5, len(order) - 0.5)
    panel.set_xlabel("AUROC (%); broken line: chance")
    fraction = 100 * table["fraction"].max()
    panel.set_title(f"{titles[benchmark]}, {fraction:g} % of the training cases")
    _legend(figure, panel, len(methods))
    return figure


def _ordered(methods: Iterable[str], titles: dict[str, str]) -> list[str]:
    return sorted(set(methods), key=list(titles).index)


def _reach(rows: pd.DataFrame) -> np.ndarray:
    """(2, N): how far the interval reaches below and above the mean, in percent."""
    reach = np.stack([rows["mean"] - rows["low"], rows["high"] - rows["mean"]])
    # A percentile interval may, seldom, lie beside its mean; a bar cannot reach backwards.
    return 100 * np.maximum(reach, 0)


def _percent_axis(panel: Axes, fractions: np.ndarray) -> None:
    shares = sorted(100 * fractions)
    panel.set_xscale("log")
    panel.set_xlim(shares[0] / 1.6, shares[-1] * 1.6)
    panel.set_xticks(shares, [f"{share:g}" for share in shares])
    panel.minorticks_off()


def _legend(figure: Figure, panel: Axes, count: int) -> None:
    handles, names = panel.get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=min(5, count))
