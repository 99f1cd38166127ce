"""A training on several processes: the command itself once more, started by torchrun."""

import os
import subprocess
import sys

from simcrop.errors import InputError


def launch(arguments: list[str], processes: int, nodes: int) -> None:
    """Replace this process by torchrun, which starts `simcrop` with the same arguments.

    Nothing happens where one process is asked for, or torchrun has started this one. The processes
    of a node share the threads that OMP_NUM_THREADS allows.

    Args:
        arguments: of the command `simcrop`.
        processes: on each node.
        nodes: of a Slurm allocation, in which the command was called once or, by srun, once a node.

    Raises:
        InputError: several nodes outside such an allocation.
    """
    if processes * nodes == 1 or "TORCHELASTIC_RUN_ID" in os.environ:
        return
    if threads := os.environ.get("OMP_NUM_THREADS"):
        os.environ["OMP_NUM_THREADS"] = str(max(1, int(threads) // processes))
    command = [sys.executable, "-m", "torch.distributed.run"]
    if nodes == 1:
        command.append("--standalone")
    else:
        command += ["--nnodes", str(nodes), *_rendezvous(nodes)]
        if os.environ.get("SLURM_STEP_NUM_NODES") != str(nodes):
            one_a_node = ["--nodes", str(nodes), "--ntasks", str(nodes), "--ntasks-per-node", "1"]
            command = ["srun", *one_a_node, "--overlap", *command]
    command += ["--nproc-per-node", str(processes), "-m", "simcrop.cli", *arguments]
    os.execvp(command[0], command)


def _rendezvous(nodes: int) -> list[str]:
    """Where the nodes meet: at the first one, on a port that follows from the job's number."""
    listed, job = os.environ.get("SLURM_JOB_NODELIST"), os.environ.get("SLURM_JOB_ID")
    if not listed or not job:
        raise InputError(f"--nodes {nodes}: call it inside a Slurm allocation of as many nodes")
    command = ["scontrol", "show", "hostnames", listed]
    hosts = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    if len(hosts) != nodes:
        raise InputError(f"--nodes {nodes}: the allocation has {len(hosts)}: {' '.join(hosts)}")
    endpoint = f"{hosts[0]}:{20000 + int(job) % 10000}"
    return ["--rdzv-backend", "c10d", "--rdzv-endpoint", endpoint, "--rdzv-id", job]
