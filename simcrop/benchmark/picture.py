"""A picture of similarity maps on a scan: three planes through the best patch of each sentence."""

from pathlib import Path

import numpy as np

from simcrop.formats.maps import on_volume

WINDOW = (-1000, 400)  # HU shown from black to white: lung and soft tissue
PLANES = ("sagittal", "coronal", "axial")  # across x, y and z
_SHOWN = (2, 1, 0)


def draw(
    path: Path,
    case: str,
    scan: tuple[np.ndarray, np.ndarray],
    maps: tuple[np.ndarray, np.ndarray],
    sentences: list[str],
) -> None:
    """Write a PNG: a row a sentence; axial, coronal and sagittal planes through its best patch.

    The patient's left is on the right, front is up or left, head is up.

    Args:
        path: of the picture.
        case: named in the title.
        scan: (X, Y, Z) HU in RAS, and its (4, 4) affine.
        maps: (S, GX, GY, GZ) cosines, and the (4, 4) affine of their patch centres.
        sentences: S of them.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    (hu, affine), (cosines, map_affine) = scan, maps
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    lowest, highest = float(cosines.min()), float(cosines.max())
    figure = Figure(figsize=(10, 0.5 + 3.6 * len(sentences)), layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(f"{case}: cosine of each sentence with each patch")
    rows = figure.subfigures(len(sentences), 1, squeeze=False)[:, 0]
    for row, sentence, grid in zip(rows, sentences, cosines, strict=True):
        row.suptitle(sentence, fontsize=10)
        panels = row.subplots(1, 3)
        place = best_voxel(grid, map_affine, affine, hu.shape)
        overlay = on_volume(grid, map_affine, affine, hu.shape)
        for panel, axis in zip(panels, _SHOWN, strict=True):
            across, up = (a for a in range(3) if a != axis)
            style = {"origin": "lower", "aspect": spacing[up] / spacing[across]}
            plane, scan_plane = (v.take(place[axis], axis).T for v in (overlay, hu))
            panel.imshow(scan_plane, cmap="gray", vmin=WINDOW[0], vmax=WINDOW[1], **style)
            image = panel.imshow(
                plane,
                cmap="inferno",
                # Low cosines let the scan through.
                alpha=0.7 * np.nan_to_num((plane - lowest) / max(highest - lowest, 1e-6)),
                vmin=lowest,
                vmax=highest,
                **style,
            )
            panel.plot(place[across], place[up], "+", color="cyan", markersize=12)
            panel.invert_xaxis()
            panel.set(xticks=[], yticks=[], xlabel=PLANES[axis])
            for side, x in zip("AP" if axis == 0 else "RL", (0.03, 0.97), strict=True):
                panel.text(
                    x, 0.5, side, transform=panel.transAxes, color="white", ha="center", va="center"
                )
        row.colorbar(image, ax=list(panels), label="cosine", shrink=0.8)
    figure.savefig(path, dpi=100, metadata={"Software": None})


def best_voxel(
    grid: np.ndarray, map_affine: np.ndarray, affine: np.ndarray, shape: tuple[int, ...]
) -> tuple[int, int, int]:
    """The voxel of a scan, of `affine` and `shape`, nearest to the centre of the best patch."""
    patch = np.unravel_index(grid.argmax(), grid.shape)
    voxel = (np.linalg.inv(affine) @ map_affine @ np.array([*patch, 1]))[:3]
    return tuple(np.clip(np.round(voxel), 0, np.array(shape) - 1).astype(int).tolist())
