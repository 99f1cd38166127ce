"""Checkpoints from which an interrupted training goes on to the very end of an undisturbed one."""

import hashlib
import io
import os
import pickle
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import torch

from simcrop import files, processes
from simcrop.errors import Stopped

_KEPT = 2
_DIGEST = 64  # hexadecimal digits of the content's SHA-256, with which a file begins


class _Damaged(Exception):
    """A checkpoint that is not what was written."""


class Checkpoints:
    """The checkpoints of one training; in its `with` block SIGTERM waits for the next step.

    Args:
        folder: of the files, `step-<steps done>.pt`.
        fingerprint: of settings and inputs; a checkpoint of any other training is not its own.
        minutes: between two checkpoints.
    """

    def __init__(self, folder: Path, fingerprint: str, minutes: float) -> None:
        self._folder, self._fingerprint = folder, fingerprint
        self._seconds = 60 * minutes
        self._terminated, self._parent = False, os.getppid()
        self._saved, self._time = 0, time.monotonic()

    def __enter__(self) -> Self:
        self._handler = signal.signal(signal.SIGTERM, self._terminate)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        signal.signal(signal.SIGTERM, self._handler)

    def __str__(self) -> str:
        path = self._path(self._saved)
        return f"the last good checkpoint is {path}" if self._saved else "there is no checkpoint"

    def latest(self) -> dict[str, Any] | None:
        """The newest usable state, on the CPU, with `step`, the steps done.

        What is damaged, half-written or of another training is removed, so that it displaces
        nothing new.
        """
        state = self._newest() if processes.rank() == 0 else None
        self._saved = processes.told(state["step"] if state else 0)
        if self._saved and processes.rank() > 0:
            state = self._read(self._path(self._saved))
        return state

    def reached(self, step: int, state: Callable[[], dict[str, Any]], planned: bool) -> None:
        """After `step` steps: save where `planned`, where it is time or where SIGTERM has come.

        It is called when the next step's loss has shown that the state is sound.

        Raises:
            Stopped: SIGTERM has come to one of the processes.
        """
        due = planned or time.monotonic() - self._time > self._seconds
        # torchrun may be killed without a chance to end its processes.
        orphaned = processes.size() > 1 and os.getppid() != self._parent
        due, stop, orphaned = processes.agreed([due, self._terminated, orphaned])
        if (due or stop) and step > self._saved and not orphaned:
            self.save(step, state())
        if stop or orphaned:
            raise Stopped(f"stopped after {step} steps; the same command goes on; {self}")

    def save(self, step: int, state: dict[str, Any]) -> None:
        """Write the state after `step` steps, whole or not at all, and keep the last two."""
        if processes.rank() == 0:
            content = io.BytesIO()
            torch.save({**state, "fingerprint": self._fingerprint, "step": step}, content)
            digest = hashlib.sha256(content.getbuffer()).hexdigest()
            with files.whole(self._path(step)) as temporary, temporary.open("wb") as file:
                file.write(digest.encode())
                file.write(content.getbuffer())
            for path in sorted(self._folder.glob("step-*.pt"))[:-_KEPT]:
                path.unlink()
        processes.agreed([])  # the others neither go on nor end before it is written
        self._saved, self._time = step, time.monotonic()

    def _newest(self) -> dict[str, Any] | None:
        for path in self._folder.glob(".*-step-*.pt"):
            path.unlink()
        for path in sorted(self._folder.glob("step-*.pt"), reverse=True):
            try:
                state = self._read(path)
                if state["fingerprint"] == self._fingerprint:
                    return state
                reason = "is of other settings or data"
            except (_Damaged, pickle.UnpicklingError) as error:  # others are the machine's fault
                reason = f"is damaged ({error})"
            print(f"{path.name} {reason}; not resumed from it", file=sys.stderr)
            path.unlink()
        return None

    @staticmethod
    def _read(path: Path) -> dict[str, Any]:
        content = memoryview(path.read_bytes())
        if hashlib.sha256(content[_DIGEST:]).hexdigest().encode() != content[:_DIGEST]:
            raise _Damaged("its checksum is wrong")
        return torch.load(io.BytesIO(content[_DIGEST:]), map_location="cpu", weights_only=True)

    def _path(self, step: int) -> Path:
        return self._folder / f"step-{step:09d}.pt"

    def _terminate(self, *_: object) -> None:
        self._terminated = True
