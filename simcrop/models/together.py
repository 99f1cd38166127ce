"""What the processes of one training compute together; alone, each function returns its input.

Every process holds some rows of the batch, in the processes' order. A loss of `gathered` rows is
the batch's in each of them; a mean over own elements becomes its `share`. The mean over processes,
which DistributedDataParallel takes of the gradients, is then that of the batch's loss.
"""

from typing import Any

import torch
from torch import Tensor, distributed


def gathered(rows: Tensor) -> Tensor:
    """The rows of all processes, through which gradients return: (n, ...) -> (N, ...)."""
    if not _several():
        return rows
    before, own, every = span(len(rows))
    empty = [rows.new_zeros(n, *rows.shape[1:]) for n in (before, every - before - own)]
    return _Sum.apply(torch.cat([empty[0], rows, empty[1]]))


def share(mean: Tensor, count: int) -> Tensor:
    """A mean over `count` own elements, weighted so that the processes' mean is that over all."""
    if not _several():
        return mean
    _, _, every = span(count)
    return mean * (count * distributed.get_world_size() / max(every, 1))


def span(own: int) -> tuple[int, int, int]:
    """Rows in the processes before this one, in this one, and in all."""
    if not _several():
        return 0, own, own
    counts = torch.zeros(distributed.get_world_size(), dtype=torch.long)
    rank = distributed.get_rank()
    counts[rank] = own
    distributed.all_reduce(counts)
    return int(counts[:rank].sum()), own, int(counts.sum())


class _Sum(torch.autograd.Function):
    """The sum over processes, each of which takes part in the loss of all."""

    @staticmethod
    def forward(context: Any, rows: Tensor) -> Tensor:
        return _Sum.backward(context, rows)

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> Tensor:
        total = gradient.clone(memory_format=torch.contiguous_format)
        distributed.all_reduce(total)
        return total


def _several() -> bool:
    return distributed.is_available() and distributed.is_initialized()
