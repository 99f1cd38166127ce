"""The learning rate over a training: linear warm-up, then a cosine to zero."""

import math


def warmup_cosine(step: int, steps: int, warmup: int) -> float:
    """The factor on the learning rate at `step`, counted from 0, of `steps`."""
    if step < warmup:
        return (step + 1) / warmup
    return 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, steps - warmup)))
