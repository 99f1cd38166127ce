"""Slices: patient's left on the right, true proportions, maps at the right place."""

import numpy as np
import pytest

from simcrop.formats.maps import on_volume
from simcrop.report import style
from simcrop.report.images import (
    Segmented,
    _outline,
    fullest,
    reconstruction,
    segmentation,
    similarity,
)

# 30 × 20 × 10 voxels of 2 × 3 × 8 mm: 60 mm wide, 60 mm deep, 80 mm high.
SHAPE = (30, 20, 10)
AFFINE = np.array([[2.0, 0, 0, -29], [0, 3.0, 0, -28.5], [0, 0, 8.0, -36], [0, 0, 0, 1]])


@pytest.fixture(scope="module")
def made():
    """Each kind of figure, of a volume whose patient's left, front and head are bright."""
    volume = np.full(SHAPE, -1000, np.int16)
    volume[:10, 15:, 7:] = 400
    ids = np.zeros(SHAPE, np.uint8)
    ids[3:8, 16:19, 8:] = 1
    grid = np.diag([20.0, 20.0, 16.0, 1])
    grid[:3, 3] = (-20, -20, -32)
    cosines = np.zeros((3, 3, 5))
    with style.styled():
        figures = {
            "segmentation": segmentation(
                [Segmented(f"case {i}", volume, AFFINE, ids, ids) for i in (1, 2)],
                {1: "organ"},
                "title",
            ),
            "reconstruction": reconstruction(
                [("case", dict.fromkeys(("original", "masked", "rebuilt"), volume), AFFINE)]
            ),
            "similarity": similarity(volume, AFFINE, ids == 1, (cosines, grid), "Sentence."),
        }
        for figure in figures.values():
            figure.canvas.draw()
    return figures


def _picture(panel) -> np.ndarray:
    """Grey values of what is drawn within the panel's frame, top row first."""
    pixels = np.asarray(panel.figure.canvas.buffer_rgba())[..., :3].mean(axis=-1)
    box = panel.get_window_extent()
    height = pixels.shape[0]
    rows = slice(round(height - box.y1) + 2, round(height - box.y0) - 2)
    return pixels[rows, round(box.x0) + 2 : round(box.x1) - 2]


@pytest.mark.parametrize("name", ["segmentation", "similarity"])
def test_left_is_right_front_is_up_or_left_and_head_is_up(made, name):
    panels = [panel for panel in made[name].axes if panel.images and panel.texts]
    assert len(panels) == {"segmentation": 8, "similarity": 6}[name]
    for panel in panels:
        picture = _picture(panel)
        rows, columns = picture.shape
        top, bottom = picture[: rows // 3], picture[-rows // 3 :]
        assert top.mean() > 2 * bottom.mean()
        sides = [text.get_text() for text in panel.texts if text.get_text() in ("R", "L", "A", "P")]
        right_is_bright = picture[:, -columns // 3 :].mean() > picture[:, : columns // 3].mean()
        assert (sides, right_is_bright) in ((["R", "L"], True), (["A", "P"], False))


@pytest.mark.parametrize("name", ["segmentation", "reconstruction", "similarity"])
def test_proportions_are_those_of_the_body(made, name):
    seen = set()
    for panel in made[name].axes:
        if panel.images and panel.texts:
            box = panel.get_window_extent()
            x, y = np.abs(np.diff([panel.get_xlim(), panel.get_ylim()])).ravel()
            assert box.height / box.width == pytest.approx(y / x, rel=1e-3)
            seen.add((round(x), round(y)))
    assert seen == {(60, 60), (60, 80)}


def test_nothing_that_is_written_overlaps_a_picture(made):
    for figure in made.values():
        frames = [panel.get_window_extent() for panel in figure.axes]
        for legend in figure.legends:
            assert not any(legend.get_window_extent().overlaps(frame) for frame in frames)
        for panel in figure.axes:
            title = panel.title
            if title.get_text():
                box = title.get_window_extent()
                assert not any(box.overlaps(frame) for frame in frames)


def test_hidden_patches_differ_from_air():
    volume = np.full(SHAPE, -1030, np.int16)
    masked = np.full(SHAPE, -1000, np.int16)
    masked[:15] = -1024
    with style.styled():
        figure = reconstruction(
            [("case", {"original": volume, "masked": masked, "rebuilt": volume}, AFFINE)]
        )
        figure.canvas.draw()
        original, hidden, _ = (_picture(panel) for panel in figure.axes[:3])
    columns = hidden.shape[1] // 3
    assert original[20:].max() == hidden[20:, :columns].max() == 0
    assert hidden[20:, -columns:].min() > 60


def test_a_map_is_interpolated_linearly_in_millimetres_and_ends_with_its_patches():
    grid_affine = np.diag([10.0, 12.0, 16.0, 1])
    grid_affine[:3, 3] = (-15, -18, -24)  # centres at -15 to 15, -18 to 18, -24 to 24 mm
    index = np.indices((4, 4, 4)).reshape(3, -1).T
    weights = np.array([0.3, -0.2, 0.05])
    centres = index * (10, 12, 16) + (-15, -18, -24)
    found = on_volume((centres @ weights).reshape(4, 4, 4), grid_affine, AFFINE, SHAPE)
    place = np.indices(SHAPE).reshape(3, -1).T @ AFFINE[:3, :3].T + AFFINE[:3, 3]
    lows, highs = np.array((-15, -18, -24)), np.array((15, 18, 24))
    inside = ((place >= lows) & (place <= highs)).all(axis=1)
    half = np.array((5, 6, 8))
    beyond = ((place < lows - half) | (place > highs + half)).any(axis=1)
    assert inside.sum() > 500
    assert found.ravel()[inside] == pytest.approx((place @ weights)[inside])
    assert (np.isnan(found.ravel()) == beyond).all()


def test_the_fullest_slice_has_most_structures_and_then_most_voxels():
    mask = np.zeros(SHAPE, np.uint8)
    mask[:, :, 2] = 1
    mask[0, :2, 5] = (1, 2)
    mask[0, :3, 6] = (1, 2, 2)
    assert fullest(mask, "axial", AFFINE).index == 6
    assert fullest(mask > 0, "axial", AFFINE).index == 2


def test_outlines_run_along_the_voxel_edges_and_are_short_to_tell():
    mask = np.zeros((6, 8), bool)
    mask[1:4, 2:7] = True
    figure = style.figure(2)
    panel = figure.subplots()
    _outline(panel, mask, (0.0, 16.0, 0.0, 18.0), "black", "-")  # voxels of 2 × 3 mm
    (line,) = panel.collections[0].get_segments()
    assert len(line) < 14  # four corners, each cut
    sixth = (2 / 6, 3 / 6)
    for point in line:
        to_edges = [
            np.abs(point[axis] - edges).min() for axis, edges in ((0, (4, 14)), (1, (3, 12)))
        ]
        assert any(gap < 1e-6 for gap in to_edges)
    assert line.min(axis=0) == pytest.approx([4, 3])
    assert line.max(axis=0) == pytest.approx([14, 12])
    assert all(np.abs(np.diff(line, axis=0)).max(axis=1) >= np.min(sixth) - 1e-6)
