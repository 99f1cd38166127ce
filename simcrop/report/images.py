"""Slices of volumes in mm, in the radiological convention: patient's left on the right.

Volumes are RAS: x grows towards the patient's right, y to the front, z to the head.
"""

import textwrap
from dataclasses import dataclass

import matplotlib.patheffects as effects
import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap, to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from scipy.ndimage import distance_transform_edt

from simcrop.formats import maps
from simcrop.report import style

WINDOW = (-1000, 400)  # HU shown from black to white: lung and soft tissue
PLANES = {"axial": (2, 0, 1), "coronal": (1, 0, 2), "sagittal": (0, 1, 2)}  # across, right, up
_SIDES = {"axial": "RL", "coronal": "RL", "sagittal": "AP"}
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


def segmentation(
    volume: np.ndarray,
    affine: np.ndarray,
    masks: tuple[np.ndarray, np.ndarray],
    structures: dict[int, str],
    title: str,
) -> Figure:
    """CT, true and predicted structures of one case: an axial and a coronal slice.

    Args:
        volume: (X, Y, Z) HU in RAS.
        affine: (4, 4) from voxels to mm.
        masks: truth and prediction, (X, Y, Z) ids of structures.
        structures: text of the legend, by id.
        title: above the figure.
    """
    figure = style.figure(5.0 + 0.18 * -(-len(structures) // 3))
    figure.suptitle(title)
    panels = figure.subplots(2, 3)
    shown: set[int] = set()
    for row, plane in zip(panels, ("axial", "coronal"), strict=True):
        cut = fullest(masks[0], plane, affine)
        for panel, ids in zip(row, (None, *masks), strict=True):
            _ct(panel, volume, cut)
            if ids is not None:
                shown |= _structures(panel, ids, cut, structures)
    _label_edges(panels)
    for panel, name in zip(panels[0], ("CT", "Truth", "Prediction"), strict=True):
        panel.set_title(name)
    handles = [Patch(**_look(i, structures), label=structures[i]) for i in sorted(shown)]
    legend = "Structures and their Dice in the whole volume"
    figure.legend(handles=handles, loc="outside lower center", ncols=3, title=legend)
    return figure


def reconstruction(cases: list[tuple[str, dict[str, np.ndarray], np.ndarray]]) -> Figure:
    """Original, masked and rebuilt volumes: an axial and a coronal slice through the middle.

    Args:
        cases: name; HU (X, Y, Z) by "original", "masked" (below -1000 where hidden) and
            "rebuilt"; and the (4, 4) affine.
    """
    figure = style.figure(0.4 + 4.6 * len(cases))
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
    figure = style.figure(5.2)
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
    return figure


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
    for side, x in zip(_SIDES[cut.plane], (0.06, 0.94), strict=True):
        panel.text(
            *(x, 0.93, side),
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
    """Draw the structures of a slice, each numbered at its thickest place; returns their ids."""
    flat, extent = cut.of(ids), cut.extent(ids.shape)
    colours = np.zeros((*flat.shape, 4))
    present = [id_ for id_ in structures if (flat == id_).any()]
    for id_ in present:
        look = _look(id_, structures)
        colours[flat == id_] = look["facecolor"]
        _outline(panel, flat == id_, extent, look["edgecolor"], look["linestyle"])
        depth = distance_transform_edt(np.pad(flat == id_, 1))[1:-1, 1:-1]
        row, column = np.unravel_index(depth.argmax(), depth.shape)
        x = np.interp(column + 0.5, (0, flat.shape[1]), extent[:2])
        y = np.interp(row + 0.5, (0, flat.shape[0]), extent[2:])
        panel.text(
            *(x, y, str(id_)),
            color="white",
            ha="center",
            va="center",
            fontsize=7,
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
    times = max(1, 400 // max(mask.shape))
    fine = np.pad(mask.repeat(times, 0).repeat(times, 1), 1)
    steps = [(extent[2 * i + 1] - extent[2 * i]) / (fine.shape[1 - i] - 2) for i in (0, 1)]
    x, y = (extent[2 * i] + (np.arange(fine.shape[1 - i]) - 0.5) * steps[i] for i in (0, 1))
    panel.contour(x, y, fine, levels=[0.5], colors=[colour], linestyles=[line], linewidths=1.2)
