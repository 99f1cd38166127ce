import re
from datetime import datetime, timedelta

import pytest

from simcrop import progress


class Clock(datetime):
    """It is always noon of one day."""

    @classmethod
    def now(cls, tz=None):
        return datetime(2026, 3, 1, 12)


@pytest.fixture
def seconds(monkeypatch):
    """A list whose last number is the time that bars measure by."""
    passed = [1000.0]
    monkeypatch.setattr(progress, "datetime", Clock)
    monkeypatch.setattr("tqdm.std.time", lambda: passed[-1])
    return passed


def test_the_end_is_told_from_the_rate_since_this_start_a_line_each_in_a_log(seconds, capsys):
    bar = progress.progress(range(6), "training", total=10, done=4)
    next(bar)
    assert "ends" not in capsys.readouterr().err
    seconds.append(seconds[-1] + 3600)
    next(bar)  # an hour for one of six
    told = capsys.readouterr().err
    found = re.search(r"5/10 .*ends (.*)\]\n$", told).group(1)
    assert told.count("\n") == 1
    assert found == f"{Clock.now() + timedelta(hours=5):%Y-%m-%d %H:%M}"


def test_only_the_first_of_several_processes_shows_it(monkeypatch, capsys):
    monkeypatch.setenv("RANK", "1")
    assert list(progress.progress(range(3), "training", total=3)) == [0, 1, 2]
    assert capsys.readouterr().err == ""
