"""One feature vector a case, from a frozen encoder."""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from simcrop import files
from simcrop.benchmark.encoder import device
from simcrop.formats.volumes import VolumeStore
from simcrop.models.inputs import to_input
from simcrop.models.vit import ViT
from simcrop.progress import progress
from simcrop.provenance import provenance

BATCH = 16

Item = TypeVar("Item")
Result = TypeVar("Result")


def features(
    encoder: ViT, shape: tuple[int, int, int], store: VolumeStore, cases: Sequence[str]
) -> torch.Tensor:
    """The mean patch token of each case's centre crop, nothing masked: (N, width) on the CPU.

    For the arguments see `tokens`.
    """
    return torch.cat([chunk.mean(dim=1).cpu() for chunk in tokens(encoder, shape, store, cases)])


def stored(
    path: Path,
    weights: str | Path,
    store: VolumeStore,
    cases: Sequence[str],
    compute: Callable[[], torch.Tensor],
) -> torch.Tensor:
    """The features kept in `path`, if this code made them of these weights and volumes; else anew.

    Args:
        path: safetensors; an unreadable one is as none.
        weights, store, cases: what the features are of.
        compute: makes them.
    """
    parts = [f"{key} {value}" for key, value in provenance().items()]
    parts += [files.sha256(weights), *(f"{case} {store.checksum(case)}" for case in cases)]
    key = hashlib.sha256("\n".join(parts).encode()).hexdigest()
    try:
        with safe_open(path, "pt") as kept:
            if kept.metadata() == {"key": key}:
                return kept.get_tensor("features")
    except (FileNotFoundError, SafetensorError):
        pass
    vectors = compute()
    with files.whole(path) as temporary:
        temporary.write_bytes(save({"features": vectors}, {"key": key}))
    return vectors


@torch.no_grad()
def dropped(
    encoder: ViT,
    shape: tuple[int, int, int],
    store: VolumeStore,
    cases: Sequence[str],
    index: Sequence[int],
) -> torch.Tensor:
    """`features` of the cases at `index` by an encoder in train mode, its drop path at work."""
    encoder.train()
    volumes = torch.stack([to_input(store.read(cases[i]), shape) for i in index])
    vectors = encoder.features(volumes.to(device())).cpu()
    encoder.eval()
    return vectors


@torch.inference_mode()
def tokens(
    encoder: ViT, shape: tuple[int, int, int], store: VolumeStore, cases: Sequence[str]
) -> Iterator[torch.Tensor]:
    """The patch tokens of the cases' centre crops, nothing masked, a chunk after another.

    Args:
        encoder: in eval mode.
        shape: voxels of its input.
        store: volumes in HU.
        cases: N names.

    Yields:
        (B, patches, width), B cases in order.
    """
    chunks = [cases[start : start + BATCH] for start in range(0, len(cases), BATCH)]

    def read(chunk: Sequence[str]) -> torch.Tensor:
        return torch.stack([to_input(store.read(case), shape) for case in chunk])

    for volumes in progress(ahead(read, chunks), "features", total=len(chunks)):
        yield encoder(volumes.to(device()))[:, 1:]


def ahead(function: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
    """Like `map`, with the next results computed in threads while the last one is used.

    A job of one thread computes them one after the other.
    """
    workers = torch.get_num_threads() - 1
    if not workers:
        yield from map(function, items)
        return
    with ThreadPoolExecutor(workers) as pool:
        waiting = []
        for item in items:
            waiting.append(pool.submit(function, item))
            if len(waiting) > workers:
                yield waiting.pop(0).result()
        for future in waiting:
            yield future.result()
