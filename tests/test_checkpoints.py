import os
import signal
import time

import pytest
import torch

from simcrop import checkpoints
from simcrop.checkpoints import Checkpoints
from simcrop.errors import Stopped


def state(value):
    return {"model": {"weight": torch.full((3,), float(value))}, "history": [{"epoch": value}]}


def kept(folder, fingerprint="run", minutes=60.0):
    return Checkpoints(folder, fingerprint, minutes)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture
def two(tmp_path):
    """A folder with the checkpoints of steps 1 and 2, and the newer one's path and content."""
    for step in (1, 2):
        kept(tmp_path).save(step, state(step))
    newest = tmp_path / "step-000000002.pt"
    return tmp_path, newest, newest.read_bytes()


def test_the_last_two_are_kept_and_the_newest_is_taken(tmp_path):
    for step in (8, 9, 10):
        kept(tmp_path).save(step, state(step))
    assert names(tmp_path) == ["step-000000009.pt", "step-000000010.pt"]
    found = kept(tmp_path).latest()
    assert found["step"] == 10 and found["history"] == [{"epoch": 10}]
    assert found["model"]["weight"].tolist() == [10.0] * 3


def test_a_checkpoint_cut_at_any_byte_is_not_taken_for_whole(two):
    folder, newest, content = two
    for length in [*range(0, len(content), 7), len(content) - 1]:
        newest.write_bytes(content[:length])
        assert kept(folder).latest()["step"] == 1
        assert not newest.exists()
    newest.write_bytes(content)
    assert kept(folder).latest()["step"] == 2


def test_a_checkpoint_with_any_byte_flipped_is_not_taken_for_whole(two):
    folder, newest, content = two
    for place in range(0, len(content), 7):
        newest.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
        assert kept(folder).latest()["step"] == 1
        assert not newest.exists()


@pytest.mark.parametrize("damage", ["longer", "zeros", "other", "pickle"])
def test_what_is_no_checkpoint_is_told_and_skipped(two, damage, capsys):
    folder, newest, content = two
    if damage == "longer":
        newest.write_bytes(content + b"\0")
    elif damage == "zeros":
        newest.write_bytes(bytes(len(content)))
    elif damage == "other":
        torch.save([1, 2], newest)
    else:
        kept(folder).save(2, {"path": folder})
    assert kept(folder).latest()["step"] == 1
    assert "step-000000002.pt is damaged" in capsys.readouterr().err
    assert not newest.exists()


@pytest.mark.parametrize("error", [MemoryError, OSError])
def test_a_checkpoint_that_cannot_be_read_for_now_is_kept(two, error, monkeypatch):
    folder, newest, content = two

    def fails(path):
        raise error

    with monkeypatch.context() as patch, pytest.raises(error):
        patch.setattr(type(newest), "read_bytes", fails)
        kept(folder).latest()
    assert newest.read_bytes() == content
    assert kept(folder).latest()["step"] == 2


def test_checkpoints_of_another_training_are_not_taken_and_displace_nothing(tmp_path, capsys):
    for step in (50, 60):
        kept(tmp_path, "another").save(step, state(step))
    (tmp_path / ".abc-step-000000070.pt").touch()
    assert kept(tmp_path).latest() is None
    assert "step-000000060.pt is of other settings or data" in capsys.readouterr().err
    for step in (1, 2):
        kept(tmp_path).save(step, state(step))
    assert names(tmp_path) == ["step-000000001.pt", "step-000000002.pt"]


def test_no_checkpoint_is_no_error(tmp_path):
    assert kept(tmp_path / "none").latest() is None


def test_a_checkpoint_is_written_where_planned_and_after_some_minutes(tmp_path, monkeypatch):
    now = 0.0
    monkeypatch.setattr(checkpoints.time, "monotonic", lambda: now)
    found = kept(tmp_path, minutes=2)
    saved = []
    for step in range(1, 9):
        now += 50
        found.reached(step, lambda step=step: saved.append(step) or state(step), step == 5)
    assert saved == [3, 5, 8]


def test_sigterm_waits_for_the_next_step_and_leaves_the_state_behind(tmp_path):
    with (
        pytest.raises(Stopped, match=r"after 3 steps.*step-000000003\.pt"),
        kept(tmp_path) as found,
    ):
        found.reached(2, lambda: state(2), planned=False)
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(0)
        found.reached(3, lambda: state(3), planned=False)
    assert names(tmp_path) == ["step-000000003.pt"]
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL


def test_sigterm_before_any_further_step_saves_nothing_anew(two):
    folder, newest, _ = two
    before = newest.stat().st_mtime_ns
    with pytest.raises(Stopped, match="after 2 steps"), kept(folder) as found:
        found.latest()
        os.kill(os.getpid(), signal.SIGTERM)
        found.reached(2, lambda: state(2), planned=True)
    assert newest.stat().st_mtime_ns == before
