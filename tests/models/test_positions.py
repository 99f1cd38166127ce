import math

import torch

from simcrop.models.positions import positions


def test_positions_follow_the_formula_on_every_axis():
    grid, width = (3, 4, 5), 26
    table = positions(grid, width)
    count = 4  # 26 // 6
    assert table.shape == (60, width)
    for number, (x, y, z) in enumerate(
        (x, y, z) for x in range(3) for y in range(4) for z in range(5)
    ):
        row = []
        for index in (x, y, z):
            angles = [index / 10000 ** (i / count) for i in range(count)]
            row += [math.sin(a) for a in angles] + [math.cos(a) for a in angles]
        row += [0.0] * (width - 6 * count)
        assert torch.allclose(table[number], torch.tensor(row, dtype=torch.float64), atol=1e-12)


def test_a_step_along_any_axis_changes_the_position():
    table = positions((14, 14, 14), 768).view(14, 14, 14, 768)
    for axis in range(3):
        step = table.diff(dim=axis).norm(dim=-1)
        assert step.min() > 1
    assert len(table.reshape(-1, 768).unique(dim=0)) == 14**3


def test_rows_and_columns_follow_the_public_code_and_know_nothing_of_depth():
    table = positions((3, 4, 5), 8, "rows_columns").view(3, 4, 5, 8)
    for x, y, z, channel in [(2, 3, 0, 0), (2, 3, 4, 1), (1, 2, 3, 4), (2, 1, 2, 7)]:
        frequency = 10000 ** (-2 * (channel // 2) / 8)
        expected = math.cos(y * frequency) if channel % 2 else math.sin(x * frequency)
        assert abs(table[x, y, z, channel].item() - expected) < 1e-12
    assert torch.equal(table[:, :, 0], table[:, :, 4])
