"""Runs functions in several processes that train together on this machine, as torchrun would."""

import os
import socket
from collections.abc import Callable
from typing import Any

import torch
from torch import multiprocessing

from simcrop.processes import joined


def together(number: int, calls: list[tuple[Callable[..., Any], tuple[Any, ...]]]) -> None:
    """Make every call, one after the other, in each of `number` processes that have met."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    multiprocessing.spawn(_process, (number, port, calls), nprocs=number)


def _process(rank: int, number: int, port: int, calls: list) -> None:
    os.environ |= {
        "RANK": str(rank),
        "LOCAL_RANK": str(rank),
        "WORLD_SIZE": str(number),
        "LOCAL_WORLD_SIZE": str(number),
        "MASTER_ADDR": "localhost",
        "MASTER_PORT": str(port),
    }
    torch.set_num_threads(1)
    with joined():
        for function, arguments in calls:
            function(*arguments)
