"""A training on two nodes through the Slurm profile, on a Slurm of two nodes on this machine."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest
from local_slurm import NEEDED, Cluster, possible

pytestmark = [pytest.mark.slurm, pytest.mark.skipif(not possible(), reason=NEEDED)]

COHORT = "results/prepare/ct-rate/cases.csv"
TRAINING = Path("results/pretrain/ct-rate/mae/0")
SETTINGS = "pretrain: {methods: [mae, simcrop], recipe: {epochs: 5, checkpoint_epochs: 1}}"


def test_two_nodes_save_on_a_signal_and_end_in_the_losses_of_one_process(root, tmp_path):
    clone, alone = tmp_path / "clone", tmp_path / "alone"
    subprocess.run(["git", "clone", "--quiet", str(root), str(clone)], check=True)
    profile = clone / "slurm/config.yaml"
    profile.write_text(profile.read_text().replace("pretrain_nodes: 1", "pretrain_nodes: 2"))
    (clone / "training.yaml").write_text(SETTINGS)
    config = ["--configfile", "tests/suite/tiny.yaml", "training.yaml"]
    snakemake = [sys.executable, "-m", "snakemake", "--quiet", "all", "--cores"]
    here = {**os.environ, "PYTHONPATH": str(clone)}
    subprocess.run([*snakemake, "2", COHORT, *config], cwd=clone, env=here, check=True)

    cluster = Cluster(tmp_path / "slurm", nodes=2)
    submitted = [*snakemake, "all", "--profile", "slurm"]
    submitted += ["--slurm-init-seconds-before-status-checks", "2", str(TRAINING / "history.csv")]
    environment = {**cluster.environment, "PYTHONPATH": str(clone)}
    process = subprocess.Popen([*submitted, *config], cwd=clone, env=environment)
    try:
        _wait(process, lambda: list((clone / TRAINING).glob("checkpoints/*.pt")))
        # As Slurm does before a time limit: to every process of every step.
        cluster.call("scancel", "--signal=TERM", *cluster.call("squeue", "-ho", "%i").split())
        log = clone / TRAINING / "log.txt"
        _wait(process, lambda: "stopped after" in log.read_text())
        stopped = log.read_text().split("stopped after ")[1].split()[0]
        alone.mkdir()
        (alone / "settings.yaml").write_text((clone / TRAINING / "settings.yaml").read_text())
        one = [sys.executable, "-m", "simcrop.cli", "pretrain", str(alone / "settings.yaml")]
        subprocess.run(one, cwd=clone, env=here, check=True)
        assert process.wait() == 0
    finally:
        process.send_signal(signal.SIGINT)
        process.wait()
        cluster.stop()

    assert f"| {stopped}/20 [" in log.read_text()  # where the next job went on
    found, expected = (pd.read_csv(folder / "history.csv") for folder in (clone / TRAINING, alone))
    assert len(found) == 5
    norms = [table.pop("gradient_norm") for table in (found, expected)]
    pd.testing.assert_frame_equal(found, expected, rtol=0, atol=1e-5)
    pd.testing.assert_series_equal(*norms, rtol=1e-5)


def _wait(process, happened):
    while not happened():
        assert process.poll() is None, "Snakemake ended first"
        time.sleep(0.1)
