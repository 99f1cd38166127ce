import numpy as np
import pytest

from simcrop.formats.volumes import VolumeStore
from simcrop.pretrain import train


@pytest.fixture
def store(make_run, tmp_path):
    run = make_run("image_reconstruction", epochs=1, warmup_epochs=0)
    train.encoder(run, tmp_path)
    return VolumeStore(tmp_path / "reconstruction.zip"), VolumeStore(run.volumes)


def test_two_validation_cases_are_kept_in_three_states(store):
    kept, _ = store
    states = ("original", "masked", "rebuilt")
    assert kept.cases == [f"{case}.{state}" for case in ("c9", "c10") for state in states]


def test_half_of_the_patches_are_masked_and_only_those_are_rebuilt(store):
    kept, volumes = store
    for case in ("c9", "c10"):
        original, masked, rebuilt = (
            kept.read(f"{case}.{state}") for state in ("original", "masked", "rebuilt")
        )
        assert original.dtype == np.int16 and original.shape == (16, 16, 8)
        expected = volumes.read(case)[1:17].clip(-1000, 1000)
        assert np.array_equal(original, expected)
        gone = masked == -1024
        patches = gone.reshape(2, 8, 2, 8, 2, 4).mean(axis=(1, 3, 5)).ravel()
        assert sorted(patches) == [0.0] * 4 + [1.0] * 4
        assert np.array_equal(masked[~gone], original[~gone])
        assert np.array_equal(rebuilt[~gone], original[~gone])
        assert (rebuilt[gone] != original[gone]).mean() > 0.9
        assert rebuilt.min() >= -1000 and rebuilt.max() <= 1000


def test_the_affine_puts_the_crop_where_it_lay_in_the_volume(store):
    kept, volumes = store
    hu = volumes.read("c9").clip(-1000, 1000)
    cropped = kept.read("c9.original")
    place = kept.affine("c9.original") @ [5, 6, 7, 1]
    x, y, z, _ = np.linalg.inv(volumes.affine("c9")) @ place
    assert (x, y, z) == (6, 6, 7)
    assert cropped[5, 6, 7] == hu[6, 6, 7]
