"""The volume store gives back what was put in, and appears whole or not at all."""

import zipfile
import zlib

import numpy as np
import pytest

from simcrop.errors import InputError
from simcrop.formats.volumes import VolumeStore, VolumeWriter

AFFINE = np.array([[1.5, 0, 0, -9], [0, 1.5, 0, 4.25], [0, 0, 3, 7], [0, 0, 0, 1]])


def noise(shape=(70, 33, 40), dtype=np.int16, seed=0) -> np.ndarray:
    limits = np.iinfo(dtype)
    return np.random.default_rng(seed).integers(limits.min, limits.max, shape, dtype, True)


def stored(path, **volumes: np.ndarray) -> VolumeStore:
    with VolumeWriter(path) as writer:
        for case, volume in volumes.items():
            writer.add(case, volume, AFFINE)
    return VolumeStore(path)


@pytest.mark.parametrize("dtype", [np.int16, np.uint8, np.int32])
def test_a_volume_reads_as_written(tmp_path, dtype):
    volume = noise(dtype=dtype)
    store = stored(tmp_path / "v.zip", a=volume)
    read = store.read("a")
    assert read.dtype == dtype
    assert np.array_equal(read, volume)
    assert np.array_equal(store.affine("a"), AFFINE)
    assert store.shape("a") == volume.shape


@pytest.mark.parametrize("shape", [(1, 1, 1), (3, 200, 5), (64, 64, 32), (65, 65, 33)])
def test_any_shape_fits(tmp_path, shape):
    volume = noise(shape)
    assert np.array_equal(stored(tmp_path / "v.zip", a=volume).read("a"), volume)


def test_arrays_in_any_memory_order_are_stored_as_they_are_indexed(tmp_path):
    volume = noise().transpose(2, 0, 1)[::-1, :, ::2]
    assert np.array_equal(stored(tmp_path / "v.zip", a=volume).read("a"), volume)


def test_a_region_is_the_same_part_of_the_whole(tmp_path):
    volume = noise()
    store = stored(tmp_path / "v.zip", a=volume)
    for region in (np.s_[0:1, 0:1, 0:1], np.s_[60:70, 5:33, 30:40], np.s_[3:68, :, 31:33]):
        assert np.array_equal(store.read("a", region), volume[region])


def test_several_files_read_as_one_and_cases_keep_their_order(tmp_path):
    first, second, third = (noise(seed=seed) for seed in range(3))
    stored(tmp_path / "1.zip", z=first, a=second)
    stored(tmp_path / "2.zip", m=third)
    store = VolumeStore([tmp_path / "1.zip", tmp_path / "2.zip"])
    assert store.cases == ["z", "a", "m"]
    for case, volume in zip(store.cases, (first, second, third), strict=True):
        assert np.array_equal(store.read(case), volume)


def test_case_names_with_folders_and_umlauts_are_kept(tmp_path):
    volumes = {"p1/scan 2": noise(seed=1), "Müller.b2nd": noise(seed=2)}
    store = stored(tmp_path / "v.zip", **volumes)
    assert store.cases == list(volumes)
    for case, volume in volumes.items():
        assert np.array_equal(store.read(case), volume)


def test_equal_volumes_give_equal_bytes(tmp_path):
    for name in ("1.zip", "2.zip"):
        stored(tmp_path / name, a=noise(), b=noise(seed=1))
    assert (tmp_path / "1.zip").read_bytes() == (tmp_path / "2.zip").read_bytes()


def test_an_empty_store_has_no_cases(tmp_path):
    assert stored(tmp_path / "v.zip").cases == []


def test_smooth_volumes_are_compressed(tmp_path):
    stored(tmp_path / "v.zip", a=np.full((128, 128, 64), -1000, np.int16))
    assert (tmp_path / "v.zip").stat().st_size < 128 * 128 * 64 * 2 / 50


def test_a_store_appears_only_when_it_is_whole(tmp_path):
    with pytest.raises(KeyboardInterrupt), VolumeWriter(tmp_path / "v.zip") as writer:
        writer.add("a", noise(), AFFINE)
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("volume", [np.zeros((4, 4, 4)), np.zeros((4, 4), np.int16)])
def test_what_is_no_integer_volume_is_refused(tmp_path, volume):
    with pytest.raises(InputError, match=r"a: .*3D integers"):
        stored(tmp_path / "v.zip", a=volume)


def test_an_unknown_case_is_named(tmp_path):
    with pytest.raises(InputError, match="b: not in the volume store"):
        stored(tmp_path / "v.zip", a=noise()).read("b")


def test_a_missing_or_damaged_store_is_named(tmp_path):
    with pytest.raises(InputError, match=r"v\.zip: no readable volume store"):
        VolumeStore(tmp_path / "v.zip")
    stored(tmp_path / "v.zip", a=noise())
    (tmp_path / "v.zip").write_bytes((tmp_path / "v.zip").read_bytes()[:1000])
    with pytest.raises(InputError, match=r"v\.zip: no readable volume store"):
        VolumeStore(tmp_path / "v.zip")


def test_a_store_is_a_plain_zip_of_one_entry_a_case(tmp_path):
    stored(tmp_path / "v.zip", a=noise(), b=noise())
    with zipfile.ZipFile(tmp_path / "v.zip") as archive:
        assert archive.namelist() == ["a.b2nd", "b.b2nd"]
        assert archive.testzip() is None


def test_a_checksum_tells_one_content_from_another(tmp_path):
    first = stored(tmp_path / "1.zip", a=noise(seed=0), b=noise(seed=1))
    second = stored(tmp_path / "2.zip", b=noise(seed=0), a=noise(seed=0))
    assert first.checksum("a") == second.checksum("a") == second.checksum("b")
    assert first.checksum("b") != first.checksum("a")
    with zipfile.ZipFile(tmp_path / "1.zip") as archive:
        assert first.checksum("a") == zlib.crc32(archive.read("a.b2nd"))
