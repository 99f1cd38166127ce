"""Fine-tuning on several processes, and interrupted."""

import json
import os
import signal
import time

import pytest
from scalars import scalars
from several import apart, together

from simcrop.benchmark.segment import segmentation

FIVE = {1.0: {"epochs": 5, "validate_every": 2}}
OUTPUTS = ("scores.json", "predictions.csv", "masks.zip")


def test_several_processes_give_the_loss_curve_and_the_scores_of_one(make_segment, tmp_path):
    # Four cases, three a step, one crop each: a step of three crops, then of one, for two.
    run = make_segment(FIVE, lr=1e-3, batch=3, crops=1)
    for name in ("1", "2"):
        (tmp_path / name).mkdir()
    segmentation(run, tmp_path / "1")
    together(2, [(segmentation, (run, tmp_path / "2"))])
    one, two = (scalars(tmp_path / number / "tensorboard/1")["total"] for number in "12")
    assert list(one) == list(two) == list(range(10))
    assert two == pytest.approx(one, abs=1e-5)
    first, second = (
        json.loads((tmp_path / number / "scores.json").read_text())["records"] for number in "12"
    )
    assert second[0]["metrics"] == pytest.approx(first[0]["metrics"], abs=1e-3)
    assert not (tmp_path / "2/checkpoints").exists()


def finished(run, folder):
    job = apart(segmentation, run, folder)
    job.join()
    return job.exitcode == 0


def test_terminated_and_killed_it_goes_on_to_the_same_bytes(make_segment, tmp_path):
    fractions = {0.5: {"epochs": 4, "validate_every": 3}, 1.0: {"epochs": 4, "validate_every": 3}}
    run = make_segment(fractions, batch=1, checkpoint_minutes=1e-9)
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    for folder in (whole, broken):
        folder.mkdir()
    assert finished(run, whole)
    for number, fraction, step in ((signal.SIGTERM, "0.5", 3), (signal.SIGKILL, "1", 5)):
        job, saved = apart(segmentation, run, broken), broken / "checkpoints" / fraction
        while not any(path.stem >= f"step-{step:09d}" for path in saved.glob("step-*")):
            assert job.is_alive()
            time.sleep(0.01)
        os.kill(job.pid, number)
        job.join()
        assert job.exitcode == (1 if number == signal.SIGTERM else -number)  # Stopped is raised
        assert not (broken / "scores.json").exists()
    assert finished(run, broken)
    for name in OUTPUTS:
        assert (broken / name).read_bytes() == (whole / name).read_bytes(), name
    for fraction, steps in (("0.5", 8), ("1", 16)):
        told = scalars(broken / "tensorboard" / fraction)["total"]
        assert sorted(told) == list(range(steps))
        assert told == scalars(whole / "tensorboard" / fraction)["total"]
