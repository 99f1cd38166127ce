"""Fused attention on one CPU thread, forward and backward: bfloat16 against float32.

    python benchmarks/attention.py

Prints a line a shape, (batch, heads, tokens, channels): the median time of each and the ratio, of
which `Attention` in simcrop/models/vit.py makes use. Both are timed in turns.
"""

import statistics
import time

import torch
import torch.nn.functional as F

SHAPES = [(64, 2, 61, 64), (64, 4, 109, 32), (16, 4, 217, 32), (1, 12, 687, 64)]
REPEATS = 15


def seconds(shape: tuple[int, ...], dtype: torch.dtype) -> float:
    """One forward and backward pass of self-attention."""
    query, key, value = (torch.randn(shape, dtype=dtype, requires_grad=True) for _ in range(3))
    start = time.perf_counter()
    F.scaled_dot_product_attention(query, key, value).sum().backward()
    return time.perf_counter() - start


def main() -> None:
    """Time all shapes."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    print(f"torch {torch.__version__}, {torch.backends.cpu.get_cpu_capability()}, one thread")
    for shape in SHAPES:
        taken: dict[torch.dtype, list[float]] = {torch.float32: [], torch.bfloat16: []}
        for repeat in range(REPEATS + 1):
            for dtype, times in taken.items():
                spent = seconds(shape, dtype)
                if repeat:  # the first is a warm-up
                    times.append(spent)
        single, half = (1000 * statistics.median(times) for times in taken.values())
        print(
            f"{shape}: float32 {single:.1f} ms, bfloat16 {half:.1f} ms, {half / single:.2f} times"
        )


if __name__ == "__main__":
    main()
