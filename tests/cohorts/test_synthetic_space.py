"""Grids and solids against their formulas."""

import numpy as np
import pytest

from simcrop.cohorts.synthetic import space

GRID = space.Grid((2.0, 2.0, 2.0), (41, 31, 21), (10.0, 0.0, -4.0))


def whole(solid):
    mask = np.zeros(GRID.shape, bool)
    box, inside = solid
    mask[box] = inside
    return mask


@pytest.fixture
def body():
    x, y, z = (axis.astype(np.float32) for axis in GRID.axes)
    return space.Space(x[:, None, None], y[None, :, None], z[None, None, :])


def positions():
    index = np.indices(GRID.shape).reshape(3, -1)
    return (GRID.affine[:3, :3] @ index + GRID.affine[:3, 3:]).T.reshape(*GRID.shape, 3)


def test_the_affine_puts_the_middle_voxel_at_the_centre():
    middle = (np.array(GRID.shape) - 1) / 2
    assert GRID.affine @ [*middle, 1] == pytest.approx([*GRID.centre, 1])


def test_an_ellipsoid_holds_what_its_equation_holds(body):
    centre, radii = np.array((14.0, -3.0, -4.0)), np.array((18.0, 9.0, 13.0))
    expected = (((positions() - centre) / radii) ** 2).sum(-1) < 1
    assert np.array_equal(whole(body.ellipsoid(centre, radii)), expected)


def test_a_solid_reaching_beyond_the_grid_is_cut(body):
    centre, radii = np.array((50.0, 30.0, 16.0)), np.array((30.3, 29.1, 30.7))
    expected = (((positions() - centre) / radii) ** 2).sum(-1) < 1
    assert expected.any()
    assert np.array_equal(whole(body.ellipsoid(centre, radii)), expected)


def test_a_capsule_holds_what_is_near_its_axis(body):
    start, end = np.array((-10.0, -8.0, -15.0)), np.array((31.0, 12.0, 9.0))
    steps = np.linspace(0, 1, 2001)[:, None]
    axis = start + steps * (end - start)
    sample = positions()[::3, ::3, ::3]
    distance = np.linalg.norm(sample[..., None, :] - axis, axis=-1).min(-1)
    expected = distance < 7.0
    assert np.array_equal(whole(body.capsule(start, end, 7.0))[::3, ::3, ::3], expected)


def test_random_numbers_depend_on_seed_and_name():
    drawn = {
        (seed, name): space.generator(seed, name).random() for seed in (0, 1) for name in ("a", "b")
    }
    assert len(set(drawn.values())) == 4
    assert drawn[0, "a"] == space.generator(0, "a").random()


def test_grids_vary_about_the_wanted_spacing_and_cover_a_chest():
    for seed in range(20):
        grid = space.field_like(np.random.default_rng(seed), (7, 7, 14), (0, 0, -120))
        assert np.abs(np.divide(grid.spacing, (7, 7, 14)) - 1).max() <= 0.08
        assert grid.spacing[0] == grid.spacing[1]
        extent = np.multiply(grid.spacing, grid.shape)
        assert (extent > 320).all()
        assert (extent < 360).all()
        assert np.abs(np.subtract(grid.centre, (0, 0, -120))).max() <= 5
