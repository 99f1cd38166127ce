"""Files that appear whole or not at all."""

import errno
import os
import time

import pytest

from simcrop import files


def test_a_file_takes_the_place_of_another_only_when_it_is_whole(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text("old")
    with pytest.raises(RuntimeError), files.whole(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert path.read_text() == "old"
    with files.whole(path) as temporary:
        assert temporary.name.endswith("table.csv")
        temporary.write_text("new")
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


def test_an_error_of_the_disk_names_the_file_that_was_to_be(tmp_path):
    with pytest.raises(OSError) as error, files.whole(tmp_path / "table.csv"):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert error.value.filename == str(tmp_path / "table.csv")


def test_what_a_killed_process_left_is_cleared_a_day_later(tmp_path):
    old, young, other = (
        tmp_path / f".{name}-table.csv" for name in ("abcdefgh", "bcdefghi", "a_much_longer_name")
    )
    for path in (old, young, other):
        path.write_text("half")
    for path in (old, other):
        os.utime(path, (time.time() - 90_000,) * 2)
    files.write_text(tmp_path / "table.csv", "whole")
    assert sorted(tmp_path.iterdir()) == sorted([tmp_path / "table.csv", young, other])
