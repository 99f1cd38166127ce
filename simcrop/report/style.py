"""One look for all figures, and how they are written: PNG and SVG, the same bytes every time."""

from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

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
    "legend.fontsize": 8,
    "legend.frameon": False,
    "lines.linewidth": 1.4,
    "lines.markersize": 4.5,
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


def method_style(position: int) -> dict[str, str]:
    """Colour, marker and line of the method at `position`; the first 56 are all different."""
    return {
        "color": COLOURS[position % len(COLOURS)],
        "marker": MARKERS[position % len(MARKERS)],
        "linestyle": LINES[position % len(LINES)],
    }


def save(made: Figure, folder: Path, name: str) -> None:
    """Write `name`.png (150 dpi) and `name`.svg, without the date that would change them."""
    for suffix, metadata in (("png", {"Software": None}), ("svg", {"Date": None})):
        with files.whole(folder / f"{name}.{suffix}") as temporary:
            made.savefig(
                temporary, format=suffix, metadata=metadata, bbox_inches="tight", pad_inches=0.05
            )
