"""Slices of volumes in mm, in the radiological convention: patient's left on the right.

Volumes are RAS: x grows towards the patient's right, y to the front, z to the head.
"""

import textwrap
from dataclasses import dataclass

import matplotlib.patheffects as effects
import numpy as np
from contourpy import contour_generator
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import ListedColormap, to_rgb
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MultipleLocator
from scipy.ndimage import distance_transform_edt

from simcrop.formats import maps
from simcrop.report import style

WINDOW = (-1000, 400)  # HU shown from black to white: lung and soft tissue
PLANES = {"axial": (2, 0, 1), "coronal": (1, 0, 2), "sagittal": (0, 1, 2)}  # across, right, up
_SIDES = {"axial": "RL", "coronal": "RL", "sagittal": "AP"}
_LETTERS = ((0.93, 0.06), (0.93, 0.94))  # of the sides: upwards and across, in shares of a panel
_HIDDEN = "#3B6E8F"
_STROKE = [effects.withStroke(linewidth=1.5, foreground="black")]


@dataclass(frozen=True)
class Slice:
    """One plane through a volume: its name, its place along the axis that it cuts, the affine."""

    plane: str
    index: int
    affine: np.ndarray

    def of(self, volume: np.ndarray) -> np.ndarray:
        """(rows, columns) of a volume (X, Y, Z), with the second axis of the plane upwards."""
        return volume.take(self.index, PLANES[self.plane][0]).T

    def extent(self, shape: tuple[int, ...]) -> tuple[float, ...]:
        """Outer edges in mm: of the columns, then of the rows."""
        edges = []
        for axis in PLANES[self.plane][1:]:
            spacing, origin = self.affine[axis, axis], self.affine[axis, 3]
            edges += [origin - spacing / 2, origin + (shape[axis] - 0.5) * spacing]
        return tuple(edges)


def fullest(mask: np.ndarray, plane: str, affine: np.ndarray) -> Slice:
    """The slice with the most structures of `mask` (X, Y, Z) and, among those, most voxels."""
    axis = PLANES[plane][0]
    slices = np.moveaxis(mask, axis, 0)
    kinds = [(len(np.unique(part[part > 0])), int((part > 0).sum())) for part in slices]
    return Slice(plane, max(range(len(kinds)), key=kinds.__getitem__), affine)


@dataclass(frozen=True)
class Segmented:
    """One case: its name and score, HU (X, Y, Z), the (4, 4) affine, true and predicted ids."""

    title: str
    volume: np.ndarray
    affine: np.ndarray
    truth: np.ndarray
    predicted: np.ndarray


def segmentation(cases: list[Segmented], structures: dict[int, str], title: str) -> Figure:
    """True and predicted structures on the CT: a row a case, an axial and a coronal slice.

    Args:
        cases: from top to bottom.
        structures: text of the legend, by id.
        title: above the figure.
    """
    tall = [_tall(case.volume, case.affine, ("axial", "coronal")) for case in cases]
    lines = -(-len(structures) // 2)
    figure = style.figure(1.2 + 0.17 * lines + sum(0.3 + 1.38 * each for each in tall))
    figure.suptitle(title)
    panels = figure.subplots(len(cases), 4, squeeze=False)
    shown: set[int] = set()
    for row, case in zip(panels, cases, strict=True):
        for pair, plane in zip((row[:2], row[2:]), ("axial", "coronal"), strict=True):
            cut = fullest(case.truth, plane, case.affine)
            for panel, ids in zip(pair, (case.truth, case.predicted), strict=True):
                _ct(panel, case.volume, cut)
                shown |= _structures(panel, ids, cut, structures)
            pair[1].set_ylabel("")
            pair[1].tick_params(labelleft=False)
            for panel in pair:
                panel.xaxis.set_major_locator(MultipleLocator(100))
        row[0].set_ylabel(f"{case.title}\n{row[0].get_ylabel()}")
    for panel in panels[:-1].flat:
        panel.set_xlabel("")
    names = ("Truth, axial", "Prediction, axial", "Truth, coronal", "Prediction, coronal")
    for panel, name in zip(panels[0], names, strict=True):
        panel.set_title(name)
    handles = [Patch(**_look(i, structures), label=structures[i]) for i in sorted(shown)]
    legend = "Structures and their Dice (%) in the whole volume, in the order of the rows"
    figure.legend(handles=handles, loc="outside lower center", ncols=2, title=legend)
    return figure


def reconstruction(cases: list[tuple[str, dict[str, np.ndarray], np.ndarray]]) -> Figure:
    """Original, masked and rebuilt volumes: an axial and a coronal slice through the middle.

    Args:
        cases: name; HU (X, Y, Z) by "original", "masked" (below -1000 where hidden) and
            "rebuilt"; and the (4, 4) affine.
    """
    tall = [
        _tall(volumes["original"], affine, (plane,))
        for _, volumes, affine in cases
        for plane in ("axial", "coronal")
    ]
    figure = style.figure(0.7 + sum(0.12 + 2.0 * each for each in tall))
    panels = figure.subplots(2 * len(cases), 3)
    for number, (case, volumes, affine) in enumerate(cases):
        for row, plane in zip(panels[2 * number :], ("axial", "coronal"), strict=False):
            shape = volumes["original"].shape
            cut = Slice(plane, shape[PLANES[plane][0]] // 2, affine)
            for panel, name in zip(row, ("original", "masked", "rebuilt"), strict=True):
                _ct(panel, volumes[name], cut, _HIDDEN if name == "masked" else "black")
        panels[2 * number, 0].set_ylabel(f"{case}\n{panels[2 * number, 0].get_ylabel()}")
    _label_edges(panels)
    for panel, name in zip(panels[0], ("Original", "Masked", "Rebuilt"), strict=True):
        panel.set_title(name)
    return figure


def similarity(
    volume: np.ndarray,
    affine: np.ndarray,
    lesion: np.ndarray,
    cosines: tuple[np.ndarray, np.ndarray],
    sentence: str,
) -> Figure:
    """A lesion on the CT, and above it how similar each place is to the sentence that tells of it.

    Args:
        volume: (X, Y, Z) HU in RAS.
        affine: (4, 4) from voxels to mm.
        lesion: (X, Y, Z) bool, not empty.
        cosines: (GX, GY, GZ) on the patches, and the (4, 4) affine of their centres.
        sentence: above the figure.
    """
    figure = style.figure(1.6 + 2 * 1.5 * _tall(volume, affine, tuple(PLANES)))
    figure.suptitle("\n".join(textwrap.wrap(f"“{sentence}”", 95)))
    panels = figure.subplots(2, 3)
    overlay = maps.on_volume(*cosines, affine, volume.shape)
    for column, plane in zip(panels.T, PLANES, strict=True):
        cut = fullest(lesion, plane, affine)
        for panel in column:
            _ct(panel, volume, cut)
        image = column[1].imshow(
            cut.of(overlay),
            cmap=_fading(),
            vmin=cosines[0].min(),
            vmax=cosines[0].max(),
            extent=cut.extent(volume.shape),
            origin="lower",
            interpolation="nearest",
        )
        for panel in column:
            _outline(panel, cut.of(lesion), cut.extent(volume.shape), style.COLOURS[5], "-")
        column[0].set_title(plane.capitalize())
        column[0].tick_params(labelbottom=False)
        column[0].set_xlabel("")
    bar = figure.colorbar(image, ax=list(panels[1]), label="Cosine similarity", pad=0.02)
    bar.ax.set_facecolor("black")
    outline = Line2D([], [], color=style.COLOURS[5], label="Lesion that the sentence tells of")
    figure.legend(handles=[outline], loc="outside lower center")
    return figure


def _tall(volume: np.ndarray, affine: np.ndarray, planes: tuple[str, ...]) -> float:
    """How tall the tallest of some planes is, against its width."""
    edges = [Slice(plane, 0, affine).extent(volume.shape) for plane in planes]
    return max((top - bottom) / (right - left) for left, right, bottom, top in edges)


def _ct(panel: Axes, volume: np.ndarray, cut: Slice, under: str = "black") -> None:
    extent = cut.extent(volume.shape)
    panel.imshow(
        cut.of(volume),
        cmap=colormaps["gray"].with_extremes(under=under),
        vmin=WINDOW[0],
        vmax=WINDOW[1],
        extent=extent,
        origin="lower",
        interpolation="nearest",
    )
    # Set, not inverted: what is drawn later would turn an inverted axis back.
    panel.set_xlim(extent[1], extent[0])
    panel.set_ylim(extent[2], extent[3])
    panel.grid(visible=False)
    across, up = ("xyz"[axis] for axis in PLANES[cut.plane][1:])
    panel.set_xlabel(f"{across} (mm)")
    panel.set_ylabel(f"{up} (mm)")
    for side, (y, x) in zip(_SIDES[cut.plane], _LETTERS, strict=True):
        panel.text(
            *(x, y, side),
            transform=panel.transAxes,
            color="white",
            ha="center",
            va="center",
            fontweight="bold",
            path_effects=_STROKE,
        )


def _label_edges(panels: np.ndarray) -> None:
    """Keep axis labels at the left and at the bottom only."""
    for panel in panels.flat:
        panel.label_outer()


def _look(id_: int, structures: dict[int, str]) -> dict[str, object]:
    place = list(structures).index(id_)
    colour = style.COLOURS[place % 6]
    return {
        "facecolor": (*to_rgb(colour), 0.45),
        "edgecolor": colour,
        "linestyle": style.LINES[place // 6 % 4],
    }


def _structures(panel: Axes, ids: np.ndarray, cut: Slice, structures: dict[int, str]) -> set[int]:
    """Draw the structures of a slice, numbered at their thickest places; returns their ids."""
    flat, extent = cut.of(ids), cut.extent(ids.shape)
    colours = np.zeros((*flat.shape, 4))
    present = [id_ for id_ in structures if (flat == id_).any()]
    places: list[np.ndarray] = []
    for id_ in sorted(present, key=lambda id_: -(flat == id_).sum()):
        look = _look(id_, structures)
        colours[flat == id_] = look["facecolor"]
        _outline(panel, flat == id_, extent, look["edgecolor"], look["linestyle"])
        depth = distance_transform_edt(np.pad(flat == id_, 1))[1:-1, 1:-1]
        inside = (np.argwhere(depth == depth.max())[0] + 0.5) / flat.shape
        # A number that would lie on another or on a side's letter is left out.
        taken = [*places, *_LETTERS]
        if any((np.abs(inside - other) < (0.08, 0.1)).all() for other in taken):
            continue
        places.append(inside)
        x = np.interp(inside[1], (0, 1), extent[:2])
        y = np.interp(inside[0], (0, 1), extent[2:])
        panel.text(
            *(x, y, str(id_)),
            color="white",
            ha="center",
            va="center",
            fontsize=6,
            path_effects=_STROKE,
        )
    panel.imshow(colours, extent=extent, origin="lower", interpolation="nearest")
    return set(present)


def _fading() -> ListedColormap:
    """Inferno, the more see-through the lower, so that the CT stays visible where little is."""
    colours = colormaps["inferno"](np.linspace(0, 1, 256))
    colours[:, 3] = 0.85 * np.linspace(0, 1, 256) ** 1.5
    return ListedColormap(colours)


def _outline(
    panel: Axes, mask: np.ndarray, extent: tuple[float, ...], colour: object, line: str
) -> None:
    """Trace the voxel edges of a 2D mask."""
    # Contours of a mask three times as fine cut its corners by a sixth of a voxel.
    fine = np.pad(mask.repeat(3, 0).repeat(3, 1), 1)
    steps = [(extent[2 * i + 1] - extent[2 * i]) / (fine.shape[1 - i] - 2) for i in (0, 1)]
    x, y = (extent[2 * i] + (np.arange(fine.shape[1 - i]) - 0.5) * steps[i] for i in (0, 1))
    traced = contour_generator(x, y, fine).lines(0.5)
    lines = [_bends(points) for points in traced]
    panel.add_collection(
        LineCollection(lines, colors=[colour], linestyles=[line], linewidths=1.2), autolim=False
    )


def _bends(points: np.ndarray) -> np.ndarray:
    """The ends of a line (N, 2) and the points at which it bends."""
    before, after = np.diff(points, axis=0)[:-1], np.diff(points, axis=0)[1:]
    turn = before[:, 0] * after[:, 1] - before[:, 1] * after[:, 0]
    bends = np.abs(turn) > 1e-6 * np.abs(before).max() ** 2
    return points[np.concatenate([[True], bends, [True]])]
