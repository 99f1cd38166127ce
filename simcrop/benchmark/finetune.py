"""Fine-tuning of UNETR on one fraction of the cases, resumable after every validation."""

import hashlib
import pickle
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path

import numpy as np
import torch
from monai.inferers import SlidingWindowInferer
from monai.losses import DiceCELoss

from simcrop import files, runs
from simcrop.benchmark.crops import random_crops
from simcrop.benchmark.encoder import device, load_encoder
from simcrop.benchmark.features import ahead
from simcrop.benchmark.metrics import dice, mean
from simcrop.benchmark.partition import digest
from simcrop.benchmark.schedule import warmup_cosine
from simcrop.errors import InputError
from simcrop.formats.volumes import VolumeStore
from simcrop.models.inputs import scale
from simcrop.models.unetr import UNETR
from simcrop.models.vit import ViT
from simcrop.progress import progress


def network(run: runs.Segment, seed: int) -> UNETR:
    """UNETR with the encoder's weights, but for class token and positions; the rest is fresh."""
    trained, arguments = load_encoder(run.weights)
    state = trained.cpu().state_dict()
    state.pop("positions", None)
    encoder = ViT(**{**arguments, "volume": run.settings.crop, "positions": trained.kind})
    state["cls_token"] = encoder.cls_token.detach()
    encoder.load_state_dict(state)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net = UNETR(encoder, max(run.structures) + 1, run.settings.features)
    # In this layout a CPU convolves up to twice as fast.
    return net.to(device(), memory_format=torch.channels_last_3d)


def fine_tune(
    run: runs.Segment,
    fraction: float,
    train: list[str],
    validation: list[str],
    volumes: VolumeStore,
    masks: VolumeStore,
    checkpoint: Path,
) -> UNETR:
    """The network of the epoch that does best on validation; of the last one without validation.

    Args:
        run: gives schedule and settings.
        fraction: a key of `run.settings.fractions`.
        train, validation: cases.
        volumes, masks: their stores.
        checkpoint: file that is written at every validation and that training resumes from; one
            that was written under other settings, weights or cases is not used.
    """
    settings, schedule = run.settings, run.settings.fractions[fraction]
    net = network(run, digest("unetr", run.seed))
    optimizer = torch.optim.AdamW(
        net.parameters(), lr=settings.lr, weight_decay=settings.weight_decay
    )
    loss = DiceCELoss(
        to_onehot_y=True, softmax=True, squared_pred=True, smooth_nr=0, smooth_dr=1e-6
    )
    epoch_steps = -(-len(train) // settings.batch)
    steps, warmup = schedule.epochs * epoch_steps, round(settings.warmup_epochs * epoch_steps)
    key = _key(run, fraction)
    done, best, best_state = _resume(checkpoint, key, net, optimizer)

    def batch(place: tuple[int, list[str]]) -> tuple[torch.Tensor, ...]:
        epoch, chosen = place
        parts = [
            random_crops(
                volumes.read(case),
                read_mask(masks, case, run),
                settings,
                digest(run.seed, fraction, epoch, case),
            )
            for case in chosen
        ]
        return tuple(map(torch.cat, zip(*parts, strict=True)))

    epochs = range(done, schedule.epochs)
    for epoch in progress(epochs, f"fraction {fraction:g}", total=schedule.epochs, done=done):
        order = np.random.default_rng(digest(run.seed, fraction, epoch)).permutation(train).tolist()
        groups = [
            (epoch, order[start : start + settings.batch])
            for start in range(0, len(order), settings.batch)
        ]
        net.train()
        for index, (image, mask) in enumerate(ahead(batch, groups)):
            factor = warmup_cosine(epoch * epoch_steps + index, steps, warmup)
            for group in optimizer.param_groups:
                group["lr"] = settings.lr * factor
            optimizer.zero_grad()
            loss(net(image.to(device())), mask.to(device())).backward()
            optimizer.step()
        if (epoch + 1) % schedule.validate_every == 0 or epoch + 1 == schedule.epochs:
            score = _validate(net, run, validation, volumes, masks)
            if score >= best:
                best = score
                best_state = {name: value.clone() for name, value in net.state_dict().items()}
            state = {
                "key": key,
                "epoch": epoch + 1,
                "network": net.state_dict(),
                "optimizer": optimizer.state_dict(),
                "best": best,
                "best_network": best_state,
            }
            with files.whole(checkpoint) as temporary:
                torch.save(state, temporary)
    net.load_state_dict(best_state)
    return net


@torch.inference_mode()
def predictions(
    net: UNETR, run: runs.Segment, cases: Sequence[str], volumes: VolumeStore
) -> Iterator[tuple[str, np.ndarray]]:
    """Each case with its predicted structure ids, (X, Y, Z) uint8, by a sliding window.

    Neighbours of one shape pass the network together, `batch` of them at most.
    """
    net.eval()
    window = SlidingWindowInferer(run.settings.crop, 4, run.settings.overlap, cval=-1)
    for _, group in groupby(cases, volumes.shape):
        same = list(group)
        for start in range(0, len(same), run.settings.batch):
            chosen = same[start : start + run.settings.batch]
            hu = torch.from_numpy(np.stack([volumes.read(case) for case in chosen]))
            logits = window(scale(hu.float())[:, None].to(device()), net)
            yield from zip(chosen, logits.argmax(dim=1).to(torch.uint8).cpu().numpy(), strict=True)


def read_mask(masks: VolumeStore, case: str, run: runs.Segment) -> np.ndarray:
    """The mask of a case; raises InputError if it holds an id that has no name."""
    mask = masks.read(case)
    unknown = set(np.unique(mask).tolist()) - {0, *run.structures}
    if unknown:
        raise InputError(
            f"{case}: its mask holds {min(unknown)}, which is none of the structures "
            f"{dict(run.structures)} of cohort '{run.settings.cohort}'; mend the mask or exclude it"
        )
    return mask


def _validate(
    net: UNETR, run: runs.Segment, cases: Sequence[str], volumes: VolumeStore, masks: VolumeStore
) -> float:
    """Mean over cases of the mean Dice over structures; 0 without cases."""
    first = 0 if run.settings.background else 1
    values = [
        mean(dice(predicted, read_mask(masks, case, run), max(run.structures) + 1)[first:])
        for case, predicted in predictions(net, run, cases, volumes)
    ]
    score = mean(np.array(values))
    return 0.0 if np.isnan(score) else score


def _key(run: runs.Segment, fraction: float) -> str:
    """What a checkpoint is made for: these settings, weights and cases, and this fraction."""
    parts = [run.yaml(), files.sha256(run.weights), files.sha256(run.cases), str(fraction)]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _resume(
    checkpoint: Path, key: str, net: UNETR, optimizer: torch.optim.Optimizer
) -> tuple[int, float, dict[str, torch.Tensor]]:
    """Epochs done, best score and best weights; loads the state of `checkpoint` if it fits."""
    try:
        state = torch.load(checkpoint, map_location=device(), weights_only=True)
    except (FileNotFoundError, RuntimeError, EOFError, pickle.UnpicklingError):
        return 0, 0.0, net.state_dict()
    if state.get("key") != key:
        return 0, 0.0, net.state_dict()
    net.load_state_dict(state["network"])
    optimizer.load_state_dict(state["optimizer"])
    return state["epoch"], state["best"], state["best_network"]
