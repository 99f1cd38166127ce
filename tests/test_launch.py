import sys

import pytest

from simcrop import cli, launch
from simcrop.errors import InputError

TORCHRUN = [sys.executable, "-m", "torch.distributed.run"]
AGAIN = ["-m", "simcrop.cli", "pretrain", "s.yaml"]
MEETING = ["--rdzv-backend", "c10d", "--rdzv-endpoint", "gpu3:21234", "--rdzv-id", "41234"]


@pytest.fixture
def started(monkeypatch, tmp_path):
    """Calls `launch` and returns the command that it became; the cluster has gpu3 and gpu7."""
    scontrol = tmp_path / "scontrol"
    scontrol.write_text(
        '#!/bin/sh\n[ "$*" = "show hostnames gpu[3,7]" ] && echo gpu3 && echo gpu7\n'
    )
    scontrol.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    for name in ("TORCHELASTIC_RUN_ID", "OMP_NUM_THREADS", "SLURM_STEP_NUM_NODES", "SLURM_JOB_ID"):
        monkeypatch.delenv(name, raising=False)
    commands = []
    monkeypatch.setattr(launch.os, "execvp", lambda file, command: commands.append(command))

    def start(processes, nodes=1, **environment):
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        commands.clear()
        launch.launch(["pretrain", "s.yaml"], processes, nodes)
        return commands

    return start


def test_one_process_stays_what_it_is(started):
    assert started(1) == []


def test_several_on_one_node_are_started_by_torchrun(started):
    assert started(4) == [[*TORCHRUN, "--standalone", "--nproc-per-node", "4", *AGAIN]]


@pytest.mark.parametrize(("threads", "each"), [("32", "8"), ("2", "1")])
def test_they_share_the_threads_of_the_job(started, threads, each):
    started(4, OMP_NUM_THREADS=threads)
    assert launch.os.environ["OMP_NUM_THREADS"] == each


def test_what_torchrun_has_started_starts_nothing(started):
    assert started(4, TORCHELASTIC_RUN_ID="x") == []


def test_on_several_nodes_srun_starts_a_torchrun_on_each_and_they_meet_on_the_first(started):
    job = {"SLURM_JOB_NODELIST": "gpu[3,7]", "SLURM_JOB_ID": "41234"}
    torchrun = [*TORCHRUN, "--nnodes", "2", *MEETING, "--nproc-per-node", "8", *AGAIN]
    srun = ["srun", "--nodes", "2", "--ntasks", "2", "--ntasks-per-node", "1", "--overlap"]
    assert started(8, 2, **job) == [[*srun, *torchrun]]
    assert started(8, 2, SLURM_STEP_NUM_NODES="1") == [[*srun, *torchrun]]
    assert started(8, 2, SLURM_STEP_NUM_NODES="2") == [torchrun]


def test_several_nodes_need_an_allocation_of_as_many(started):
    with pytest.raises(InputError, match="--nodes 2: call it inside a Slurm allocation"):
        started(8, 2)
    with pytest.raises(InputError, match="--nodes 3: the allocation has 2: gpu3 gpu7"):
        started(8, 3, SLURM_JOB_NODELIST="gpu[3,7]", SLURM_JOB_ID="41234")


def test_a_step_that_is_not_divided_is_refused(tmp_path, capsys):
    settings = tmp_path / "settings.yaml"
    settings.write_text(
        "{stage: pretrain, step: text, seed: 0, settings: {}, cases: c.csv, sentences: s.csv}"
    )
    assert cli.main(["pretrain", str(settings), "--processes", "2"]) == 1
    assert "text runs in one process; leave out --processes" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        cli.main(["pretrain", str(settings), "--processes", "0"])
