import numpy as np
import pytest
import torch

from simcrop.models import inputs


def test_input_is_the_centre_clipped_and_scaled_with_air_around_it():
    hu = np.array([-2000, -1000, 0, 500, 3000], np.int16).reshape(5, 1, 1)
    volume = inputs.to_input(hu, (3, 1, 3))
    assert volume.shape == (1, 3, 1, 3) and volume.dtype == torch.float32
    assert volume[0, :, 0, 1].tolist() == [-1.0, 0.0, 0.5]
    assert (volume[0, :, :, [0, 2]] == -1).all()
    wide = inputs.to_input(hu, (7, 1, 1))[0, :, 0, 0]
    assert wide.tolist() == [-1.0, -1.0, -1.0, 0.0, 0.5, 1.0, -1.0]


@pytest.mark.parametrize("edge", [3, 4, 5, 6])
@pytest.mark.parametrize("wanted", [2, 3, 4, 5, 7])
def test_offset_says_where_the_first_voxel_came_from(edge, wanted):
    volume = torch.arange(edge).float().view(edge, 1, 1)
    fitted = inputs.fit(volume, (wanted, 1, 1)).flatten()
    start = inputs.offset((edge, 1, 1), (wanted, 1, 1))[0]
    expected = [i if 0 <= i < edge else -1000 for i in range(start, start + wanted)]
    assert fitted.tolist() == expected
    left, right = max(start, 0), max(edge - start - wanted, 0)
    assert abs(left - right) <= 1


def test_scaled_values_go_back_to_hu():
    assert inputs.to_hu(inputs.scale(torch.tensor([-1200.0, -350.0, 900.0]))).tolist() == [
        -1000.0,
        -350.0,
        900.0,
    ]
