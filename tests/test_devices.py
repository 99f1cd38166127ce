"""That a card has one run at a time, whose processes see no other card, until the last one ends."""

import os
import signal
import subprocess
import sys

import pytest

from simcrop import devices
from simcrop.errors import InputError

HOLD = """
import os, sys, time
from simcrop import devices
devices.lease(int(sys.argv[1]))
print(os.environ.get("CUDA_VISIBLE_DEVICES"), flush=True)
{then}
"""
WAIT = "time.sleep(60)"
EXEC = "os.execvp('sleep', ['sleep', '60'])"


@pytest.fixture
def start():
    """Starts a process that takes cards out of `cards`, prints which, and does `then`."""
    started = []

    def start_one(cards: str, processes: int = 1, then: str = WAIT, **environment: str):
        process = subprocess.Popen(
            [sys.executable, "-c", HOLD.format(then=then), str(processes)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            # A job id of its own keeps the test apart from real runs on this machine.
            env={
                **os.environ,
                "CUDA_VISIBLE_DEVICES": cards,
                "SLURM_JOB_ID": f"test-{os.getpid()}",
                **environment,
            },
        )
        started.append(process)
        return process

    yield start_one
    for process in started:
        process.kill()
        process.communicate()


def taken(process: subprocess.Popen) -> str:
    """The cards that a process was given."""
    return process.stdout.readline().strip()


@pytest.fixture
def card(monkeypatch):
    """Shows these cards to this process."""
    return lambda names: monkeypatch.setenv("CUDA_VISIBLE_DEVICES", names)


def test_runs_at_once_get_a_card_each(start):
    assert {taken(start("0,1")), taken(start("0,1"))} == {"0", "1"}


def test_a_run_of_two_processes_gets_two_cards_and_none_that_is_taken(start):
    assert taken(start("0,1,2")) == "0"
    assert taken(start("0,1,2", processes=2)) == "1,2"


@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGKILL])
def test_one_too_many_waits_until_a_card_is_free_however_its_run_ended(start, ending):
    first, second = start("0,1"), start("0,1")
    freed = taken(first)
    taken(second)
    third = start("0,1")
    assert third.stderr.readline() == "waiting for 1 of the cards 0, 1\n"
    first.send_signal(ending)
    assert taken(third) == freed


def test_a_run_that_needs_two_does_not_hold_one_while_it_waits(start):
    first = start("0,1")
    taken(first)
    waiting = start("0,1", processes=2)
    waiting.stderr.readline()
    third = start("0,1")
    assert taken(third) == "1"
    first.kill()
    third.kill()
    assert taken(waiting) == "0,1"


def test_the_card_stays_with_the_program_that_the_run_becomes(start):
    becomes_another = start("0", then=EXEC)
    taken(becomes_another)
    assert start("0").stderr.readline().startswith("waiting")


def test_a_process_that_torchrun_started_has_the_cards_of_its_parent(start):
    assert taken(start("0")) == "0"
    assert taken(start("0", LOCAL_RANK="0")) == "0"


def test_jobs_of_a_cluster_may_call_different_cards_by_one_name(start):
    assert taken(start("0", SLURM_JOB_ID=f"test-{os.getpid()}-a")) == "0"
    assert taken(start("0", SLURM_JOB_ID=f"test-{os.getpid()}-b")) == "0"


def test_without_a_card_there_is_nothing_to_take(start):
    assert taken(start("")) == ""
    assert taken(start("", processes=4)) == ""


def test_more_processes_than_cards_are_refused(card):
    card("0,1")
    with pytest.raises(InputError, match=r"3 processes need a card each, and 2 are visible \(0, 1"):
        devices.lease(3)


def test_cards_end_at_the_first_that_is_none_as_they_do_for_cuda(card):
    card("1,GPU-5a, 3,-1,4")
    assert devices.visible() == ["1", "GPU-5a", "3"]


def test_cards_are_counted_by_nvidia_smi_where_no_variable_states_them(monkeypatch, tmp_path):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert devices.visible() == []
    program = tmp_path / "nvidia-smi"
    program.write_text(
        "#!/bin/sh\n"
        "echo 'GPU 0: NVIDIA H100 (UUID: GPU-1)'\n"
        "echo '  MIG 1g.10gb Device 0: (UUID: MIG-1)'\n"
        "echo 'GPU 1: NVIDIA H100 (UUID: GPU-2)'\n"
    )
    program.chmod(0o755)
    assert devices.visible() == ["0", "1"]
    program.write_text("#!/bin/sh\necho 'no devices were found'\nexit 6\n")
    assert devices.visible() == []
