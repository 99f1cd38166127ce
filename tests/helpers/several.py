"""Runs functions in processes of their own: several that train together, or one to interrupt."""

import os
import socket
from collections.abc import Callable
from multiprocessing.context import ForkServerProcess
from typing import Any

import torch
from torch import multiprocessing

from simcrop.processes import joined

# Its children are copies of one process, in which the libraries are imported once.
_SERVER = multiprocessing.get_context("forkserver")
_SERVER.set_forkserver_preload(["simcrop.pretrain.train", "simcrop.benchmark.segment"])


def together(number: int, calls: list[tuple[Callable[..., Any], tuple[Any, ...]]]) -> None:
    """Make every call in each of `number` processes that have met, as torchrun would have them."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    multiprocessing.start_processes(
        _member, (number, port, calls), nprocs=number, start_method="forkserver"
    )


def apart(function: Callable[..., Any], *arguments: Any) -> ForkServerProcess:
    """Start a call in a process of its own, of one thread."""
    process = _SERVER.Process(target=_alone, args=(function, arguments))
    process.start()
    return process


def _member(rank: int, number: int, port: int, calls: list) -> None:
    os.environ |= {
        "RANK": str(rank),
        "LOCAL_RANK": str(rank),
        "WORLD_SIZE": str(number),
        "LOCAL_WORLD_SIZE": str(number),
        "MASTER_ADDR": "localhost",
        "MASTER_PORT": str(port),
    }
    with joined():
        for function, arguments in calls:
            _alone(function, arguments)


def _alone(function: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    torch.set_num_threads(1)
    function(*arguments)
