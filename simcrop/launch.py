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
    command = [sys.executable, "-m", "torch.distributed.run"]
    if nodes == 1:
        command.append("--standalone")
    else:
        command += ["--nnodes", str(nodes), *_rendezvous(nodes)]
        if os.environ.get("SLURM_STEP_NUM_NODES") != str(nodes):
            command = [*_srun(nodes), *command]
    if threads := os.environ.get("OMP_NUM_THREADS"):
        os.environ["OMP_NUM_THREADS"] = str(max(1, int(threads) // processes))
    # torchrun gives its processes 30 s to save on SIGTERM; Slurm sends that 120 s before a limit.
    os.environ.setdefault("TORCH_ELASTIC_SHUTDOWN_TIMEOUT", "110")
    command += ["--nproc-per-node", str(processes), "-m", "simcrop.cli", *arguments]
    os.execvp(command[0], command)


def _rendezvous(nodes: int) -> list[str]:
    """Where the nodes meet: at the first one, on a port that follows from the job's number."""
    hosts = _printed("scontrol", "show", "hostnames", _of_the_job("%N", nodes)).split()
    if len(hosts) != nodes:
        raise InputError(f"--nodes {nodes}: the allocation has {len(hosts)}: {' '.join(hosts)}")
    job = os.environ["SLURM_JOB_ID"]
    endpoint = f"{hosts[0]}:{20000 + int(job) % 10000}"
    return ["--rdzv-backend", "c10d", "--rdzv-endpoint", endpoint, "--rdzv-id", job]


def _srun(nodes: int) -> list[str]:
    """The start of a command that runs once on each node of the job, on all its cores there.

    What the environment says of a step that this process may be in is dropped: srun would take it
    for options, and stay on that step's node.
    """
    cores = str(int(_of_the_job("%C", nodes)) // nodes)
    for name in [*os.environ]:
        if name.startswith("SLURM_") and name not in ("SLURM_JOB_ID", "SLURM_CONF"):
            del os.environ[name]
    os.environ["OMP_NUM_THREADS"] = cores
    one_a_node = ["--nodes", str(nodes), "--ntasks", str(nodes), "--ntasks-per-node", "1"]
    return ["srun", *one_a_node, "--cpus-per-task", cores, "--overlap"]


def _of_the_job(field: str, nodes: int) -> str:
    """What squeue knows of the job; Snakemake drops most of the environment that Slurm sets."""
    job = os.environ.get("SLURM_JOB_ID")
    if not job:
        raise InputError(f"--nodes {nodes}: call it inside a Slurm allocation of as many nodes")
    return _printed("squeue", "--noheader", "--jobs", job, "--format", field).strip()


def _printed(*command: str) -> str:
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
