"""Fine-tuning of UNETR on one fraction of the cases, which can be stopped at every step."""

import hashlib
import math
from collections.abc import Iterator, Sequence
from contextlib import closing
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import torch
from monai.inferers import SlidingWindowInferer
from monai.losses import DiceCELoss
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from simcrop import files, processes, runs
from simcrop.benchmark.batches import order, own_crops, read_mask
from simcrop.benchmark.encoder import device, load_encoder
from simcrop.benchmark.features import ahead
from simcrop.benchmark.metrics import dice, mean
from simcrop.benchmark.partition import digest
from simcrop.benchmark.schedule import warmup_cosine
from simcrop.checkpoints import Checkpoints
from simcrop.formats.volumes import VolumeStore
from simcrop.models.inputs import scale
from simcrop.models.together import share
from simcrop.models.unetr import UNETR
from simcrop.models.vit import ViT
from simcrop.monitor import Monitor
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
    out: Path,
) -> UNETR:
    """The network of the epoch that does best on validation; of the last one without validation.

    Several processes divide the crops of a batch, and the cases of a validation.

    Args:
        run: gives schedule and settings.
        fraction: a key of `run.settings.fractions`.
        train, validation: cases.
        volumes, masks: their stores.
        out: folder; checkpoints/<fraction> in it is what an interrupted training goes on from, if
            written under the same settings and from the same weights, cases, volumes and masks, and
            tensorboard/<fraction> tells of it.

    Raises:
        InputError: a mask holds an unknown structure, or the loss is no number or explodes.
        Stopped: SIGTERM has come; the state is saved.
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
    between = schedule.validate_every * epoch_steps
    done, totals, best, best_state = 0, [], 0.0, net.state_dict()
    kept = Checkpoints(
        out / "checkpoints" / f"{fraction:g}",
        _key(run, fraction, volumes, masks),
        settings.checkpoint_minutes,
    )
    if found := kept.latest():
        done, totals, best = (found[name] for name in ("step", "totals", "best"))
        best_state = found["best_network"]
        net.load_state_dict(found["network"])
        optimizer.load_state_dict(found["optimizer"])

    def reached() -> dict[str, Any]:
        monitor.flush()
        trained = {"network": net.state_dict(), "optimizer": optimizer.state_dict()}
        return {**trained, "totals": totals, "best": best, "best_network": best_state}

    def batch(step: int) -> tuple[list[str], int, Tensor, Tensor]:
        epoch, index = divmod(step, epoch_steps)
        chosen = order(train, run, fraction, epoch)[index * settings.batch :][: settings.batch]
        return chosen, *own_crops(chosen, run, (fraction, epoch), volumes, masks)

    divided = DistributedDataParallel(net) if processes.size() > 1 else net
    told = out / "tensorboard" / f"{fraction:g}"
    with kept, closing(Monitor(told, done, totals)) as monitor:
        batches = enumerate(ahead(batch, range(done, steps)), done)
        name = f"fraction {fraction:g}"
        for step, (chosen, count, image, mask) in progress(batches, name, steps, done):
            net.train()
            lr = settings.lr * warmup_cosine(step, steps, warmup)
            for group in optimizer.param_groups:
                group["lr"] = lr
            optimizer.zero_grad()
            value = share(loss(divided(image.to(device())), mask.to(device())), count)
            value.backward()
            norm = nn.utils.clip_grad_norm_(net.parameters(), math.inf).item()
            value = (processes.total(value.detach().cpu()) / processes.size()).item()
            monitor.check(step, value, norm, chosen, str(kept))
            kept.reached(step, reached, planned=step % between == 0)
            optimizer.step()

            scalars = {"total": value, "lr": lr, "gradient_norm": norm}
            monitor.write(step, scalars, settings.crops * len(chosen))
            if (step + 1) % between == 0 or step + 1 == steps:
                score = _validate(net, run, validation, volumes, masks)
                if score >= best:
                    best = score
                    best_state = {name: value.clone() for name, value in net.state_dict().items()}
        if done < steps:
            kept.save(steps, reached())
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


def _validate(
    net: UNETR, run: runs.Segment, cases: Sequence[str], volumes: VolumeStore, masks: VolumeStore
) -> float:
    """Mean over cases of the mean Dice over structures; 0 without cases."""
    first = 0 if run.settings.background else 1
    values = torch.zeros(len(cases), dtype=torch.float64)
    own = slice(processes.rank(), None, processes.size())
    values[own] = torch.tensor(
        [
            mean(dice(predicted, read_mask(masks, case, run), max(run.structures) + 1)[first:])
            for case, predicted in predictions(net, run, cases[own], volumes)
        ],
        dtype=torch.float64,
    )
    score = mean(processes.total(values).numpy())
    return 0.0 if np.isnan(score) else score


def _key(run: runs.Segment, fraction: float, *stores: VolumeStore) -> str:
    """What a checkpoint is made for: these settings and inputs, and this fraction."""
    settings = run.model_dump_json(exclude=run.CHANGES_NOTHING)
    parts = [settings, files.sha256(run.weights), files.sha256(run.cases), str(fraction)]
    parts += [f"{case} {store.checksum(case)}" for store in stores for case in store.cases]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()
