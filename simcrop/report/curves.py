"""Curves over settings and time: the training of each method, and ablations of one number."""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from simcrop import runs
from simcrop.report import style
from simcrop.report.layout import METRICS
from simcrop.report.plots import reach

# Column of history.csv → title of its panel, what is on its axis, and the factor to that unit.
TRACES = {
    "image_reconstruction": ("Image reconstruction", "Squared error (10⁶ HU²)", 1),
    "report_reconstruction": ("Report reconstruction", "Cross-entropy (nats)", 1),
    "sentence_alignment": ("Sentence alignment", "Cross-entropy (nats)", 1),
    "global_contrast": ("Global contrast", "Cross-entropy (nats)", 1),
    "lr": ("Learning rate", "Learning rate (10⁻³)", 1000),
}


def training_curves(histories: pd.DataFrame, methods: list[str], titles: dict[str, str]) -> Figure:
    """Every loss and the learning rate by epoch: a line a method, a band from least to most seed.

    Args:
        histories: rows of history.csv of all runs, with their `method`.
        methods: all that are compared; their order is that of the legend and of the colours.
        titles: printed names of methods.
    """
    names = [name for name in TRACES if name in histories and histories[name].notna().any()]
    figure, panels = style.panels(len(names), 2.1)
    for panel, name in zip(panels, names, strict=True):
        heading, unit, factor = TRACES[name]
        for position, method in enumerate(methods):
            part = histories[(histories["method"] == method) & histories[name].notna()]
            if not len(part):
                continue
            look = style.method_style(position)
            seeds = (factor * part[name]).groupby(part["epoch"])
            mean = seeds.mean()
            panel.plot(
                mean.index,
                mean,
                label=titles[method],
                markevery=max(1, len(mean) // 6),
                **look,
            )
            panel.fill_between(
                mean.index, seeds.min(), seeds.max(), color=look["color"], alpha=0.15, linewidth=0
            )
        panel.set_title(heading)
        panel.set_ylabel(unit)
        panel.set_xlabel("Epoch")
        panel.xaxis.get_major_locator().set_params(integer=True)
    style.legend(figure, panels[names.index("lr")] if "lr" in names else panels[0])
    return figure


def ablation_sweeps(
    table: pd.DataFrame,
    sweeps: list[runs.Sweep],
    example: str,
    titles: dict[str, str],
) -> Figure:
    """Scores by the value of one setting: a column a setting, a row a benchmark.

    A ring marks the method's own value, from which the others differ in this setting alone.

    Args:
        table: rows of ablation.csv.
        sweeps: the settings, and each method's value of them.
        example: the method itself.
        titles: printed names of benchmarks and methods.
    """
    main = table.groupby("benchmark", sort=False)["metric"].transform("first")
    chance = table[table["metric"] == "chance"]
    table = table[(table["metric"] == main) & (table["fraction"] > 0)]
    benchmarks = list(dict.fromkeys(table["benchmark"]))
    figure = style.figure(2.1 * len(benchmarks) + 0.5)
    grid = figure.subplots(len(benchmarks), len(sweeps), squeeze=False, sharey="row", sharex="col")
    for row, benchmark in zip(grid, benchmarks, strict=True):
        part = table[table["benchmark"] == benchmark]
        for panel, sweep in zip(row, sweeps, strict=True):
            _sweep(panel, part, sweep, example, titles[example])
            panel.set_title(titles[benchmark])
            panel.set_xlabel(sweep.axis)
            for level in chance["mean"][chance["benchmark"] == benchmark].unique():
                panel.axhline(100 * level, color="#555555", linestyle=":", linewidth=0.8)
        row[0].set_ylabel(f"{METRICS[part['metric'].iloc[0]]} (%)")
    for panel in grid[:-1].flat:
        panel.set_xlabel("")
    style.legend(figure, *grid[:, 0])
    return figure


def _sweep(panel: Axes, table: pd.DataFrame, sweep: runs.Sweep, example: str, title: str) -> None:
    fractions = sorted(table["fraction"].unique())
    for position, fraction in enumerate(fractions):
        line = table[(table["fraction"] == fraction) & table["method"].isin(sweep.values)]
        line = line.assign(value=line["method"].map(sweep.values)).sort_values("value")
        trained = table["metric"].iloc[0] != "pointing"
        look = style.method_style(position if trained else 6)
        name = f"{100 * fraction:g} % of the labels" if trained else "without training"
        panel.errorbar(
            line["value"],
            100 * line["mean"],
            reach(line),
            capsize=2,
            elinewidth=0.9,
            label=name,
            **look,
        )
        own = line[line["method"] == example]
        panel.plot(
            own["value"],
            100 * own["mean"],
            "o",
            markersize=10,
            label=f"{title} itself",
            markerfacecolor="none",
            markeredgecolor="black",
            markeredgewidth=0.8,
        )
    values = sorted(set(sweep.values.values()))
    if sweep.log:
        panel.set_xscale("log")
        panel.minorticks_off()
    panel.set_xticks(values, [f"{value:g}" for value in values])
