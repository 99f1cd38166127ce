import os
import sys
from unittest import mock

import pytest
from torch.distributed.launcher.api import LaunchConfig

from simcrop import cli, launch
from simcrop.errors import InputError

TORCHRUN = [sys.executable, "-m", "torch.distributed.run"]
AGAIN = ["-m", "simcrop.cli", "pretrain", "s.yaml"]
MEETING = ["--rdzv-backend", "c10d", "--rdzv-endpoint", "gpu3:21234", "--rdzv-id", "41234"]


@pytest.fixture
def started(monkeypatch, tmp_path):
    """Calls `launch` and returns the command that it became; job 41234 has gpu3 and gpu7."""
    for name, line in (
        ("squeue", 'case "$*" in *"--jobs 41234"*%N) echo "gpu[3,7]";; *%C) echo 32;; esac'),
        ("scontrol", '[ "$*" = "show hostnames gpu[3,7]" ] && echo gpu3 && echo gpu7'),
    ):
        (tmp_path / name).write_text(f"#!/bin/sh\n{line}\n")
        (tmp_path / name).chmod(0o755)
    commands = []
    monkeypatch.setattr(launch.os, "execvp", lambda file, command: commands.append(command))

    def start(processes, nodes=1, **environment):
        os.environ |= environment
        commands.clear()
        launch.launch(["pretrain", "s.yaml"], processes, nodes)
        return commands

    with mock.patch.dict(os.environ):
        for name in [*os.environ]:
            if name.startswith(("TORCH", "OMP_", "SLURM_")):
                del os.environ[name]
        os.environ["PATH"] = f"{tmp_path}:{os.environ['PATH']}"
        yield start


def test_one_process_stays_what_it_is(started):
    assert started(1) == []


def test_several_on_one_node_are_started_by_torchrun(started):
    assert started(4) == [[*TORCHRUN, "--standalone", "--nproc-per-node", "4", *AGAIN]]


@pytest.mark.parametrize(("threads", "each"), [("32", "8"), ("2", "1")])
def test_they_share_the_threads_of_the_job(started, threads, each):
    started(4, OMP_NUM_THREADS=threads)
    assert os.environ["OMP_NUM_THREADS"] == each


def test_torchrun_waits_nearly_two_minutes_for_what_is_saved_on_sigterm(started):
    started(4)
    assert LaunchConfig(1, 1, 4).shutdown_timeout == 110
    started(4, TORCH_ELASTIC_SHUTDOWN_TIMEOUT="20")
    assert LaunchConfig(1, 1, 4).shutdown_timeout == 20


def test_what_torchrun_has_started_starts_nothing(started):
    assert started(4, TORCHELASTIC_RUN_ID="x") == []


def test_on_several_nodes_srun_starts_a_torchrun_on_each_and_they_meet_on_the_first(started):
    torchrun = [*TORCHRUN, "--nnodes", "2", *MEETING, "--nproc-per-node", "8", *AGAIN]
    srun = ["srun", "--nodes", "2", "--ntasks", "2", "--ntasks-per-node", "1"]
    srun += ["--cpus-per-task", "16", "--overlap"]
    assert started(8, 2, SLURM_JOB_ID="41234") == [[*srun, *torchrun]]
    assert os.environ["OMP_NUM_THREADS"] == "2"  # of the job's 32 cores
    assert started(8, 2, SLURM_STEP_NUM_NODES="2") == [torchrun]


def test_a_step_on_one_of_the_nodes_does_not_hold_srun_there(started):
    step = {"SLURM_STEP_NUM_NODES": "1", "SLURM_JOB_NODELIST": "gpu3", "SLURM_NNODES": "1"}
    (command,) = started(8, 2, SLURM_JOB_ID="41234", SLURM_CONF="/there/slurm.conf", **step)
    assert command[:3] == ["srun", "--nodes", "2"]
    kept = {name for name in os.environ if name.startswith("SLURM_")}
    assert kept == {"SLURM_JOB_ID", "SLURM_CONF"}


def test_several_nodes_need_an_allocation_of_as_many(started):
    with pytest.raises(InputError, match="--nodes 2: call it inside a Slurm allocation"):
        started(8, 2)
    with pytest.raises(InputError, match="--nodes 3: the allocation has 2: gpu3 gpu7"):
        started(8, 3, SLURM_JOB_ID="41234")


def test_a_step_that_is_not_divided_is_refused(tmp_path, capsys):
    settings = tmp_path / "settings.yaml"
    settings.write_text(
        "{stage: pretrain, step: text, seed: 0, settings: {}, cases: c.csv, sentences: s.csv}"
    )
    assert cli.main(["pretrain", str(settings), "--processes", "2"]) == 1
    assert "text runs in one process; leave out --processes" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        cli.main(["pretrain", str(settings), "--processes", "0"])
