import math
from contextlib import ExitStack, closing
from itertools import count

import pytest
from scalars import scalars
from tensorboard.summary.writer import event_file_writer

from simcrop.errors import InputError
from simcrop.monitor import Monitor

CASES = ("a", "b")


def check(monitor, total, norm=1.0, step=None):
    step = len(monitor.totals) if step is None else step
    monitor.check(step, total, norm, CASES, "there is no checkpoint")


@pytest.fixture
def monitor(tmp_path, monkeypatch):
    """Makes monitors that go on after these totals, each begun in a second of its own."""
    seconds = count(1_800_000_000)
    monkeypatch.setattr(event_file_writer.time, "time", lambda: next(seconds))
    with ExitStack() as opened:
        yield lambda *totals: opened.enter_context(
            closing(Monitor(tmp_path / "told", len(totals), list(totals)))
        )


def write(monitor, *totals):
    for total in totals:
        monitor.write(len(monitor.totals), {"total": total, "lr": 0.5}, images=3)
    monitor.flush()


@pytest.mark.parametrize(
    ("total", "norm", "told"),
    [
        (math.nan, 1.0, "a loss is nan"),
        (math.inf, 1.0, "a loss is inf"),
        (1.0, math.nan, "the gradient is nan"),
    ],
)
def test_what_is_no_number_ends_the_run_with_step_cases_and_checkpoint(monitor, total, norm, told):
    monitor = monitor(*[1.0] * 7)
    with pytest.raises(InputError, match=f"{told} at step 7, on the cases a, b;.*no checkpoint"):
        check(monitor, total, norm)


def test_a_loss_explodes_above_ten_medians_and_above_its_first_value(monitor):
    falling = monitor(3.0, 2.0, *[0.1] * 5, 7.0, *[0.1] * 150)
    check(falling, 2.9)  # more than ten medians, but no more than at first: a hard batch
    with pytest.raises(InputError, match=r"the loss explodes to 3\.1 at step 158"):
        check(falling, 3.1)
    risen = monitor(0.1, *[5.0] * 200)
    check(risen, 49.0)
    with pytest.raises(InputError, match="explodes"):
        check(risen, 51.0)


def test_the_first_step_cannot_explode(monitor):
    check(monitor(), 1e30)


def test_a_resumed_training_shows_each_step_once(monitor, tmp_path):
    write(monitor(), 9.0, 8.0, 7.0, 6.0)
    write(monitor(9.0, 8.0), 5.0, 4.0, 3.0)
    found = scalars(tmp_path / "told")
    assert found["total"] == {0: 9.0, 1: 8.0, 2: 5.0, 3: 4.0, 4: 3.0}
    assert set(found) == {"total", "lr", "images_per_second", "memory_gib"}
    assert all(value > 0 for values in found.values() for value in values.values())


def test_a_training_that_begins_anew_drops_what_was_told_before(monitor, tmp_path):
    write(monitor(), 9.0, 8.0)
    write(monitor(), 1.0)
    assert scalars(tmp_path / "told")["total"] == {0: 1.0}
