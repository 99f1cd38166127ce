"""What a training tells: scalars for TensorBoard, and an end where its loss is unsound."""

import math
import resource
import shutil
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median

import torch

from simcrop import processes
from simcrop.errors import InputError

_FACTOR, _WINDOW = 10, 100


class Monitor:
    """The scalars of a training that goes on after `step` steps; those of later ones are dropped.

    Args:
        folder: of TensorBoard's files; only the first process writes them.
        totals: the loss at each step so far, to which those to come are appended.
    """

    def __init__(self, folder: Path, step: int, totals: list[float]) -> None:
        self.totals = totals
        self._time, self._writer = time.monotonic(), None
        if processes.rank() == 0:
            from torch.utils.tensorboard import SummaryWriter

            if step == 0:
                shutil.rmtree(folder, ignore_errors=True)
            self._writer = SummaryWriter(folder, purge_step=step)

    def check(self, step: int, total: float, norm: float, cases: Sequence[str], told: str) -> None:
        """Raise InputError where loss or gradient are no numbers, or the loss explodes.

        It explodes where it is more than ten times its median over the last 100 steps and more than
        it was at the first step.

        Args:
            step: the one at hand, from 0.
            total, norm: its loss and the norm of its gradient.
            cases: of its batch.
            told: what the message ends with.
        """
        if not (math.isfinite(total) and math.isfinite(norm)):
            what = f"a loss is {total}" if not math.isfinite(total) else f"the gradient is {norm}"
        elif step and total > max(_FACTOR * median(self.totals[-_WINDOW:]), self.totals[0]):
            what = f"the loss explodes to {total:g}"
        else:
            return
        raise InputError(
            f"{what} at step {step}, on the cases {', '.join(cases)}; look at these volumes, or "
            f"lower the learning rate; {told}"
        )

    def write(self, step: int, scalars: Mapping[str, float], images: int) -> None:
        """Write a step's scalars, its loss as `total`, images a second and peak memory, in GiB."""
        self.totals.append(scalars["total"])
        now = time.monotonic()
        speed, self._time = images / (now - self._time), now
        if self._writer is None:
            return
        if torch.cuda.is_available():
            memory = torch.cuda.max_memory_allocated()
        else:
            memory = 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        told = {**scalars, "images_per_second": speed, "memory_gib": memory / 1024**3}
        for name, value in told.items():
            self._writer.add_scalar(name, value, step)

    def flush(self) -> None:
        """Put on disk what was written."""
        if self._writer is not None:
            self._writer.flush()

    def close(self) -> None:
        """Write no more."""
        if self._writer is not None:
            self._writer.close()
