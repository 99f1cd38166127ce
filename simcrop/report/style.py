"""One look for all figures, and how they are written: the same bytes every time."""

from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.image import AxesImage

from simcrop import files

# Okabe and Ito's palette, which colour-blind readers can tell apart (jfly.uni-koeln.de/color);
# without its yellow, which is lost on white.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
LINES = ("-", "--", "-.", ":")
WIDTH = 7.2  # inches: the text width of a two-column page
_RC = {
    "axes.grid": True,
    "axes.labelsize": 8,
    "axes.linewidth": 0.6,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlesize": 9,
    "figure.titlesize": 10,
    "font.family": "DejaVu Sans",
    "font.size": 8,
    "grid.color": "#DDDDDD",
    "grid.linewidth": 0.5,
    "image.composite_image": False,
    "legend.fontsize": 8,
    "legend.frameon": False,
    "lines.linewidth": 1.4,
    "lines.markersize": 4.5,
    "pdf.fonttype": 42,
    "savefig.dpi": 150,
    "svg.hashsalt": "simcrop",
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
}


def styled() -> Any:
    """The context in which figures are made and written."""
    return mpl.rc_context({**mpl.rcParamsDefault, **_RC, "backend": "agg"})


def figure(height: float) -> Figure:
    """A figure of the page's width and of `height` inches, laid out so that nothing overlaps."""
    made = Figure(figsize=(WIDTH, height), layout="compressed")
    FigureCanvasAgg(made)
    return made


def panels(count: int, height: float) -> tuple[Figure, list[Axes]]:
    """A figure of so many panels, each of `height` inches, up to three in a row."""
    columns = 2 if count == 4 else min(3, count)
    rows = -(-count // columns)
    made = figure(height * rows + 0.3)
    made_panels = list(made.subplots(rows, columns, squeeze=False).flat)
    for panel in made_panels[count:]:
        panel.remove()
    return made, made_panels[:count]


def method_style(position: int) -> dict[str, str]:
    """Colour, marker and line of the method at `position`; the first 56 are all different."""
    return {
        "color": COLOURS[position % len(COLOURS)],
        "marker": MARKERS[position % len(MARKERS)],
        "linestyle": LINES[position % len(LINES)],
    }


def legend(made: Figure, *panels: Axes, title: str | None = None) -> None:
    """One legend below the figure and no wider, of all that `panels` name, each name once."""
    named: dict[str, object] = {}
    for panel in panels:
        for handle, name in zip(*panel.get_legend_handles_labels(), strict=True):
            named.setdefault(name, handle)
    for columns in range(min(5, len(named)), 0, -1):
        placed = made.legend(
            list(named.values()),
            list(named),
            loc="outside lower center",
            ncols=columns,
            title=title,
        )
        if columns == 1 or placed.get_window_extent().width <= made.bbox.width:
            return
        placed.remove()


def save(made: Figure, folder: Path, name: str) -> None:
    """Write `name`.png (150 dpi), .svg and .pdf, without the date that would change them."""
    # An SVG names images by their content, and equal ones alike, which makes it invalid.
    for number, image in enumerate(made.findobj(AxesImage)):
        image.set_gid(f"image_{number}")
    for suffix, undated in (("png", "Software"), ("svg", "Date"), ("pdf", "CreationDate")):
        with files.whole(folder / f"{name}.{suffix}") as temporary:
            made.savefig(
                temporary,
                format=suffix,
                metadata={undated: None},
                bbox_inches="tight",
                pad_inches=0.05,
            )
