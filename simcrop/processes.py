"""The processes that train one network together, one a GPU or, without GPUs, one a share of cores.

Alone, a process is the first of one and agrees with itself.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

from simcrop.errors import InputError

if TYPE_CHECKING:
    from torch import Tensor

# The others wait while the first writes or tests; a process that dies is noticed by torchrun.
_PATIENCE = timedelta(hours=12)


def rank() -> int:
    """The number of this process, from 0."""
    return int(os.environ.get("RANK", "0"))


def size() -> int:
    """How many there are, over all nodes."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def on_this_node() -> int:
    """How many share this machine's cores."""
    return int(os.environ.get("LOCAL_WORLD_SIZE", "1"))


@contextmanager
def joined() -> Iterator[None]:
    """Meet the other processes that torchrun has started, each on a GPU of its own.

    Raises:
        InputError: there are more processes than GPUs.
    """
    if size() == 1:
        yield
        return
    import torch
    from torch import distributed

    if torch.cuda.is_available():
        number, there = int(os.environ["LOCAL_RANK"]), torch.cuda.device_count()
        if number >= there:
            raise InputError(f"--processes {on_this_node()}: this node has {there} GPUs")
        torch.cuda.set_device(number)
        distributed.init_process_group("cpu:gloo,cuda:nccl", timeout=_PATIENCE)
    else:
        distributed.init_process_group("gloo", timeout=_PATIENCE)
    yield
    agreed([])
    distributed.destroy_process_group()


def agreed(wishes: list[bool]) -> list[bool]:
    """Each wish is true for all where it is for any; also a point that all have reached."""
    if size() == 1:
        return wishes
    import torch
    from torch import distributed

    votes = torch.tensor([*wishes, False], dtype=torch.int32)
    distributed.all_reduce(votes, distributed.ReduceOp.MAX)
    return votes[:-1].bool().tolist()


def told(number: int) -> int:
    """The first process's number."""
    if size() == 1:
        return number
    import torch
    from torch import distributed

    heard = torch.tensor(number)
    distributed.broadcast(heard, 0)
    return int(heard)


def total(values: "Tensor") -> "Tensor":
    """The sum of a tensor on the CPU over all processes."""
    if size() > 1:
        from torch import distributed

        distributed.all_reduce(values)
    return values
