"""A Slurm of one node on this machine, with two pretended GPUs: needs root and Debian's slurm-wlm.

No systemd, no munge, no cgroups, no accounting: the daemons are started as they are and trust
whoever asks. The node claims more cores and memory than there are, so that the jobs of the profile
fit as they stand.

    python tests/helpers/one_node_slurm.py COMMAND     # runs a command with such a Slurm around it
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

GPUS = 2
CONF = """
ClusterName=rehearsal
SlurmctldHost=localhost(127.0.0.1)
SlurmctldPort={controller}
SlurmdPort={node}
SlurmUser=root
SlurmdUser=root
AuthType=auth/none
CredType=cred/none
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
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
NodeName=localhost NodeAddr=127.0.0.1 NodeHostname={host} CPUs=64 RealMemory=512000 Gres=gpu:{gpus}
PartitionName=cpu Nodes=localhost Default=YES MaxTime=UNLIMITED State=UP
PartitionName=gpu Nodes=localhost MaxTime=UNLIMITED State=UP
"""
# Slurm's jobs drop SLURM_CONF before they call srun, which would then look into /etc/slurm.
SRUN = """#!/bin/sh
SLURM_CONF={folder}/slurm.conf exec {srun} "$@"
"""


class Cluster:
    """A running Slurm, until `stop`.

    Attributes:
        environment: in which sbatch, squeue and the others speak to it.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        for name in ("state", "spool", "bin"):
            (folder / name).mkdir(parents=True)
        gpus = [folder / f"gpu{number}" for number in range(GPUS)]
        for gpu in gpus:
            os.mknod(gpu, 0o20666, os.makedev(1, 3))
        (folder / "slurm.conf").write_text(
            CONF.format(
                folder=folder,
                controller=_free_port(),
                node=_free_port(),
                host=socket.gethostname().split(".")[0],
                gpus=GPUS,
            )
        )
        (folder / "gres.conf").write_text(f"NodeName=localhost Name=gpu File={folder}/gpu[0-1]\n")
        wrapper = folder / "bin" / "srun"
        wrapper.write_text(SRUN.format(folder=folder, srun=shutil.which("srun")))
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
            for daemon in (["slurmctld", "-c"], ["slurmd", "-N", "localhost"]):
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
        """End every job and both daemons."""
        self._printed("scancel", "--user", "root")
        deadline = time.monotonic() + 30
        while self._printed("squeue", "--noheader") and time.monotonic() < deadline:
            time.sleep(0.5)
        for daemon in ("slurmd", "slurmctld"):
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
        raise RuntimeError("the node does not become idle:\n" + "\n".join(logs))

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
