"""The workflow through the Slurm profile, on a Slurm of one node with two pretended GPUs.

Three trainings are ended in the middle, each in another way. `make slurm-test` runs this.
"""

import csv
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from local_slurm import NEEDED, Cluster, possible

pytestmark = [pytest.mark.slurm, pytest.mark.skipif(not possible(), reason=NEEDED)]

CONFIG = ("tests/suite/tiny.yaml", "tests/slurm/rehearsal.yaml")
TABLES = (
    "classification",
    "segmentation",
    "localisation",
    "retrieval",
    "difference",
    "ablation",
)
ENCODERS = "results/pretrain/ct-rate"
# How each training is ended, once it has checkpoints. Before a time limit Slurm sends a signal; the
# training ends then, or else by the limit.
ENDED = {"simcrop": "time limit", "mae": "scancel", "simcrop-no-report": "kill -9"}
STATES = {
    "time limit": {"FAILED", "TIMEOUT"},
    "scancel": {"CANCELLED"},
    "kill -9": {"FAILED"},
}


@dataclass
class Rehearsal:
    """What was seen while the workflow ran.

    Attributes:
        folder: the clone it ran in.
        states: of each Slurm job, in the order in which they were seen.
        encoders: the Slurm jobs of each method's training, in order.
        trainings: at each moment, by method: the environment in which it was started.
        to_end: methods whose training is yet to be ended, and how.
        told: by method, the log of the first training that did not complete.
    """

    folder: Path
    cluster: Cluster
    states: dict[str, list[str]] = field(default_factory=dict)
    encoders: dict[str, list[str]] = field(default_factory=dict)
    trainings: list[dict[str, dict[str, str]]] = field(default_factory=list)
    to_end: dict[str, str] = field(default_factory=lambda: dict(ENDED))
    told: dict[str, str] = field(default_factory=dict)

    def run(self) -> str:
        """Run the workflow to its end, ending trainings on the way; returns what it printed."""
        command = [sys.executable, "-m", "snakemake", "--cores", "all", "--profile", "slurm"]
        # The jobs are small, and are looked after more often.
        command += ["--slurm-init-seconds-before-status-checks", "2", "--configfile", *CONFIG]
        with (self.folder / "snakemake.log").open("w+") as log:
            process = subprocess.Popen(
                command,
                cwd=self.folder,
                env=self.environment,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
            try:
                while process.poll() is None:
                    self._look()
                    time.sleep(0.3)
            finally:
                process.send_signal(signal.SIGINT)  # cancels its jobs, if it is not done
                process.wait()
            log.seek(0)
            printed = log.read()
        assert process.returncode == 0, printed[-6000:]
        return printed

    @property
    def environment(self) -> dict[str, str]:
        """That of the workflow, in which `simcrop` is the clone's."""
        return {**self.cluster.environment, "PYTHONPATH": str(self.folder)}

    def log(self, method: str) -> str:
        return (self.folder / ENCODERS / method / "0/log.txt").read_text()

    def _look(self) -> None:
        listed = self.cluster.call("squeue", "--noheader", "--states=all", "--format=%i|%T|%P|%k")
        for line in listed.splitlines():
            job, state, partition, comment = line.split("|")
            seen = self.states.setdefault(job, [])
            if seen[-1:] != [state]:
                seen.append(state)
                print(f"job {job} {state} {partition} {comment}", flush=True)
            if "pretrain_encoder" in comment:
                method = comment.split("_wildcards_")[1].split("_")[1]
                jobs = self.encoders.setdefault(method, [])
                if job not in jobs:
                    jobs.append(job)
                if state in ("FAILED", "TIMEOUT", "CANCELLED") and method not in self.told:
                    self.told[method] = self.log(method)  # before the next job begins its own
        trainings = dict(_trainings(self.folder))
        self.trainings.append(
            {method: _environment(process) for method, process in trainings.items()}
        )
        for method, process in trainings.items():
            checkpoints = self.folder / ENCODERS / method / "0" / "checkpoints"
            if method in self.to_end and len([*checkpoints.glob("*.pt")]) > 1:
                self._end(self.to_end.pop(method), self.encoders[method][-1], process)

    def _end(self, way: str, job: str, process: int) -> None:
        print(f"job {job} is ended by {way}", flush=True)
        if way == "kill -9":
            os.kill(process, signal.SIGKILL)
        elif way == "scancel":
            self.cluster.call("scancel", job)
        else:
            # Slurm looks at time limits twice a minute; until it does, and wakes the training with
            # its signal, so short a one must not end by itself.
            os.kill(process, signal.SIGSTOP)
            self.cluster.call("scontrol", "update", f"JobId={job}", "TimeLimit=2")


def _trainings(folder: Path) -> Iterator[tuple[str, int]]:
    """Methods that are trained in `folder` at the moment, and the processes that train them."""
    for path in Path("/proc").glob("[0-9]*"):
        try:
            arguments = (path / "cmdline").read_bytes().decode().split("\0")
            inside = (path / "cwd").readlink() == folder
        except OSError:  # it has ended
            continue
        settings = next((one for one in arguments if one.startswith(ENCODERS)), "")
        if inside and "pretrain" in arguments and settings.endswith("settings.yaml"):
            yield settings.split("/")[3], int(path.name)


def _environment(process: int) -> dict[str, str]:
    try:
        entries = Path(f"/proc/{process}/environ").read_bytes().decode().split("\0")
    except OSError:  # it has ended
        return {}
    return dict(entry.split("=", 1) for entry in entries if "=" in entry)


@pytest.fixture(scope="module")
def finished(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rehearsal]:
    """A fresh clone in which the whole workflow has run through the profile."""
    folder = tmp_path_factory.mktemp("clone").resolve()
    subprocess.run(["git", "clone", "--quiet", str(root), str(folder)], check=True)
    cluster = Cluster(tmp_path_factory.mktemp("slurm"))
    try:
        rehearsal = Rehearsal(folder, cluster)
        print(rehearsal.run()[-1500:])
        yield rehearsal
    finally:
        cluster.stop()


def test_it_goes_to_the_last_table(finished):
    for table in TABLES:
        with (finished.folder / f"results/report/{table}.csv").open() as file:
            assert list(csv.DictReader(file)), table
    failed = [job for job, states in finished.states.items() if states[-1] != "COMPLETED"]
    assert len(failed) == len(ENDED)


@pytest.mark.parametrize("method", ENDED)
def test_a_training_that_was_ended_went_on_by_itself_as_a_fresh_job(finished, method):
    first, *others = finished.encoders[method]
    assert finished.states[first][-1] in STATES[ENDED[method]]
    assert [finished.states[job][-1] for job in others] == ["COMPLETED"]
    done = finished.log(method).split(f"pretrain {method}:")[1].split("|")[2].split("/")[0]
    assert int(done) > 0
    print(f"{ENDED[method]}:", finished.told[method][-400:])
    if ENDED[method] == "time limit":
        # The state at Slurm's signal, not that of a checkpoint before it.
        assert f"stopped after {done.strip()} steps" in finished.told[method]


def test_trainings_at_once_have_a_card_each(finished):
    assert max(map(len, finished.trainings)) == 2
    together = [
        {method: environment["CUDA_VISIBLE_DEVICES"] for method, environment in moment.items()}
        for moment in finished.trainings
        if len(moment) == 2 and set(moment) < set(ENDED) and all(moment.values())
    ]
    print("CUDA_VISIBLE_DEVICES of two trainings at once:", together[0])
    assert all(set(cards.values()) == {"0", "1"} for cards in together)


def test_a_training_computes_on_the_cores_that_the_profile_asks_for(finished):
    seen = [environment for moment in finished.trainings for environment in moment.values()]
    threads = {environment["OMP_NUM_THREADS"] for environment in seen if environment}
    assert threads == {"16"}


def test_what_was_ended_has_the_very_weights_of_undisturbed_trainings(finished, tmp_path):
    processes = []
    for method in ENDED:
        settings = tmp_path / method / "settings.yaml"
        settings.parent.mkdir()
        shutil.copy(finished.folder / ENCODERS / method / "0/settings.yaml", settings)
        processes.append(
            subprocess.Popen(
                [sys.executable, "-m", "simcrop.cli", "pretrain", str(settings)],
                cwd=finished.folder,
                env={**finished.environment, "OMP_NUM_THREADS": "16"},
            )
        )
    assert [process.wait() for process in processes] == [0] * len(ENDED)
    for method in ENDED:
        expected = (tmp_path / method / "weights.safetensors").read_bytes()
        found = (finished.folder / ENCODERS / method / "0/weights.safetensors").read_bytes()
        assert found == expected, method
