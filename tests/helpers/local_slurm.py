"""A Slurm on this machine, each node with two pretended GPUs: needs root and Debian's slurm-wlm.

No systemd, no munge, no cgroups, no accounting: the daemons are started as they are and trust
whoever asks. A node claims more cores and memory than there are, so that the jobs of the profile
fit as they stand; several nodes are as many slurmd here.

    python tests/helpers/local_slurm.py COMMAND     # runs a command with a Slurm of one node
"""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

NEEDED = "needs root and Debian's package slurm-wlm"
GPUS = 2
CONF = """
ClusterName=rehearsal
SlurmctldHost=localhost(127.0.0.1)
SlurmctldPort={controller}
SlurmUser=root
SlurmdUser=root
AuthType=auth/none
CredType=cred/none
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool-%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd-%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
MpiDefault=none
ReturnToService=2
SchedulerParameters=sched_interval=2,bf_interval=2
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
KillWait=10
GresTypes=gpu
SlurmdParameters=config_overrides
PartitionName=cpu Nodes=ALL Default=YES MaxTime=UNLIMITED State=UP
PartitionName=gpu Nodes=ALL MaxTime=UNLIMITED State=UP
NodeName=DEFAULT CPUs=64 RealMemory=512000 Gres=gpu:{gpus}
"""
# Snakemake's jobs drop SLURM_CONF, and what they call would then look into /etc/slurm.
CALLED = ("srun", "squeue", "scontrol")
WRAPPER = """#!/bin/sh
SLURM_CONF={folder}/slurm.conf exec {command} "$@"
"""


def possible() -> bool:
    """Whether a Slurm can be started here."""
    return os.geteuid() == 0 and shutil.which("slurmctld") is not None


class Cluster:
    """A running Slurm, until `stop`.

    Args:
        folder: an empty one, for all that it writes.
        nodes: how many. The others meet at the first, so that its name is one that resolves.

    Attributes:
        environment: in which sbatch, squeue and the others speak to it.
    """

    def __init__(self, folder: Path, nodes: int = 1) -> None:
        self._folder = folder
        host = socket.gethostname().split(".")[0]
        self._nodes = [host, *(f"{host}-{number}" for number in range(2, nodes + 1))]
        for name in ("state", "bin", *(f"spool-{node}" for node in self._nodes)):
            (folder / name).mkdir(parents=True)
        gpus = [folder / f"gpu{number}" for number in range(GPUS)]
        for gpu in gpus:
            os.mknod(gpu, 0o20666, os.makedev(1, 3))
        conf = CONF.format(folder=folder, controller=_free_port(), gpus=GPUS)
        for node in self._nodes:
            conf += f"NodeName={node} NodeHostname={host} NodeAddr=127.0.0.1 Port={_free_port()}\n"
        (folder / "slurm.conf").write_text(conf)
        (folder / "gres.conf").write_text(
            f"NodeName={','.join(self._nodes)} Name=gpu File={folder}/gpu[0-1]\n"
        )
        for name in CALLED:
            wrapper = folder / "bin" / name
            wrapper.write_text(WRAPPER.format(folder=folder, command=shutil.which(name)))
            wrapper.chmod(0o755)
        self.environment = {
            **os.environ,
            "SLURM_CONF": str(folder / "slurm.conf"),
            "PATH": f"{folder / 'bin'}:{os.environ['PATH']}",
            "OMP_THREAD_LIMIT": "1",  # the cores of a job are pretended
        }
        # Whoever is terminated ends as by Ctrl-C, and so comes to `stop`.
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        try:
            for daemon in (["slurmctld", "-c"], *(["slurmd", "-N", node] for node in self._nodes)):
                subprocess.run(daemon, env=self.environment, check=True)
            self._wait_until_idle()
        except BaseException:
            self.stop()
            raise

    def call(self, *command: str) -> str:
        """What a command of Slurm printed."""
        done = subprocess.run(
            command, env=self.environment, capture_output=True, text=True, check=True
        )
        return done.stdout

    def stop(self) -> None:
        """End every job and all daemons."""
        self._printed("scancel", "--user", "root")
        deadline = time.monotonic() + 30
        while self._printed("squeue", "--noheader") and time.monotonic() < deadline:
            time.sleep(0.5)
        for daemon in (*(f"slurmd-{node}" for node in self._nodes), "slurmctld"):
            file = self._folder / f"{daemon}.pid"
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                os.kill(int(file.read_text()), signal.SIGTERM)
                while file.exists() and time.monotonic() < deadline:
                    time.sleep(0.1)

    def _wait_until_idle(self) -> None:
        for _ in range(300):
            if self._printed("sinfo", "--noheader", "--format=%t", "--partition=cpu") == "idle\n":
                return
            time.sleep(0.1)
        logs = [file.read_text()[-2000:] for file in self._folder.glob("*.log")]
        raise RuntimeError("the nodes do not become idle:\n" + "\n".join(logs))

    def _printed(self, *command: str) -> str:
        """What a command printed, be it that it failed."""
        return subprocess.run(
            command, env=self.environment, stdout=subprocess.PIPE, text=True, check=False
        ).stdout


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        cluster = Cluster(Path(scratch))
        try:
            status = subprocess.run(sys.argv[1:], env=cluster.environment, check=False).returncode
        finally:
            cluster.stop()
    sys.exit(status)
