import pytest
import torch

from simcrop.models.patches import grid_of, patchify, put, take, unpatchify

PATCH = (2, 3, 4)


def test_patches_lie_where_their_number_says_on_a_grid_that_is_no_cube():
    volume = torch.randn(2, 1, 4, 9, 20)
    patches = patchify(volume, PATCH)
    assert grid_of(volume, PATCH) == (2, 3, 5)
    assert patches.shape == (2, 30, 24)
    for x in range(2):
        for y in range(3):
            for z in range(5):
                block = volume[
                    :, 0, 2 * x : 2 * x + 2, 3 * y : 3 * y + 3, 4 * z : 4 * z + 4
                ].reshape(2, -1)
                assert torch.equal(patches[:, (x * 3 + y) * 5 + z], block)


def test_unpatchify_undoes_patchify():
    volume = torch.randn(2, 1, 4, 9, 20)
    assert torch.equal(unpatchify(patchify(volume, PATCH), (2, 3, 5), PATCH), volume)


def test_an_edge_that_cuts_a_patch_is_refused():
    with pytest.raises(ValueError, match="no multiples"):
        patchify(torch.zeros(1, 1, 4, 9, 21), PATCH)


def test_put_writes_what_take_reads():
    tokens, values = torch.randn(2, 5, 3), torch.randn(2, 2, 3)
    index = torch.tensor([[4, 1], [0, 2]])
    written = put(tokens, index, values)
    assert torch.equal(take(written, index), values)
    assert torch.equal(written[0, [0, 2, 3]], tokens[0, [0, 2, 3]])
