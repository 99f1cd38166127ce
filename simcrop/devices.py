"""Which cards a run computes on: one for each of its processes, and none that another run has.

Whoever has a card is bound to a socket of that card's name in Linux's abstract namespace. A name is
given up with the last process that holds it, however that one dies; there is no file to clean up.
"""

import os
import socket
import subprocess
import sys
import time
from itertools import takewhile

from simcrop.errors import InputError

_held: dict[str, socket.socket] = {}


def visible() -> list[str]:
    """The cards that CUDA would show, by the names that CUDA_VISIBLE_DEVICES knows them by."""
    stated = os.environ.get("CUDA_VISIBLE_DEVICES")
    if stated is not None:
        names = (name.strip() for name in stated.split(","))
        return list(takewhile(lambda name: name not in ("", "-1", "NoDevFiles"), names))
    try:
        listed = subprocess.run(
            ["nvidia-smi", "--list-gpus"], capture_output=True, text=True, timeout=60, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return []
    cards = [line for line in listed.stdout.splitlines() if line.startswith("GPU ")]
    return [str(number) for number in range(len(cards))]


def lease(processes: int) -> None:
    """Take a free card for each process, as long as this one lives, and show CUDA no other.

    Waits while too few are free. Does nothing where there is no card, and in a process that
    torchrun started, whose parent has taken it. To be called before torch looks for cards.

    Raises:
        InputError: there are fewer cards than processes.
    """
    cards = visible()
    if not cards or _held or "LOCAL_RANK" in os.environ:
        return
    if processes > len(cards):
        raise InputError(
            f"{processes} processes need a card each, and {len(cards)} are visible "
            f"({', '.join(cards)}); ask for fewer processes or more cards"
        )
    taken = _free(cards, processes)
    if not taken:
        print(f"waiting for {processes} of the cards {', '.join(cards)}", file=sys.stderr)
    while not taken:
        time.sleep(1)
        taken = _free(cards, processes)
    _held.update(taken)
    os.environ["CUDA_VISIBLE_DEVICES"] = ",".join(taken)
    print(f"cards: {', '.join(taken)}", file=sys.stderr)


def _free(cards: list[str], number: int) -> dict[str, socket.socket]:
    """So many of the cards, now held; none where fewer are free, so that no two runs wait for
    what the other one has."""
    taken: dict[str, socket.socket] = {}
    for card in cards:
        if held := _bound(card):
            taken[card] = held
        if len(taken) == number:
            return taken
    for held in taken.values():
        held.close()
    return {}


def _bound(card: str) -> socket.socket | None:
    """A socket of the card's name, if no process has one; torchrun, by exec, keeps it.

    A Slurm job may count the cards that it was given from 0, so that names are its own.
    """
    held = socket.socket(socket.AF_UNIX)
    try:
        held.bind(f"\0simcrop card {card} {os.environ.get('SLURM_JOB_ID', '')}")
    except OSError:
        held.close()
        return None
    held.set_inheritable(True)
    return held
