"""The command itself, interrupted as a cluster does it, ends as if it had not been."""

import os
import signal
import subprocess
import sys
import time

import pytest

OUTPUTS = ("weights.safetensors", "history.csv", "reconstruction.zip")
EVERY_STEP = 1e-9  # minutes


def start(folder, processes):
    command = [sys.executable, "-m", "simcrop.cli", "pretrain", str(folder / "settings.yaml")]
    return subprocess.Popen(
        [*command, "--processes", str(processes)],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stderr=subprocess.PIPE,
        text=True,
    )


def interrupted(folder, processes, number, step):
    """Send a signal once the checkpoint of `step` or a later one is there; returns the status."""
    job = start(folder, processes)
    while not any(path.stem >= f"step-{step:09d}" for path in folder.glob("checkpoints/step-*")):
        assert job.poll() is None, job.stderr.read()
        time.sleep(0.01)
    job.send_signal(number)
    told = job.communicate()[1]
    assert not (folder / "weights.safetensors").exists()
    return job.returncode, told


@pytest.mark.parametrize("processes", [1, 2])
def test_terminated_and_killed_it_goes_on_to_the_same_bytes(make_run, tmp_path, processes):
    run = make_run("image_reconstruction", epochs=60, batch=4, checkpoint_minutes=EVERY_STEP)
    for name in ("whole", "broken"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "settings.yaml").write_text(run.yaml())
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    assert start(whole, processes).wait() == 0

    status, told = interrupted(broken, processes, signal.SIGTERM, 7)
    assert status == (128 + signal.SIGTERM if processes == 1 else 1)
    assert "the same command goes on" in told
    status, _ = interrupted(broken, processes, signal.SIGKILL, 31)
    assert status == -signal.SIGKILL
    assert start(broken, processes).wait() == 0
    for name in OUTPUTS:
        assert (broken / name).read_bytes() == (whole / name).read_bytes(), name
