"""The training of one encoder for one method and seed, which can be stopped at every step."""

import math
from collections.abc import Iterator, Mapping
from contextlib import closing, nullcontext
from itertools import islice
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from simcrop import files, hub, processes, runs
from simcrop.checkpoints import Checkpoints
from simcrop.errors import InputError
from simcrop.formats import cases, foreign, sentences, weights
from simcrop.models.pretrainer import Pretrainer
from simcrop.monitor import Monitor
from simcrop.pretrain import reconstruction, reports
from simcrop.pretrain.data import Batches, Volumes, loader, training_cases
from simcrop.pretrain.fingerprint import fingerprint
from simcrop.progress import progress


def encoder(run: runs.Encoder, out: Path) -> None:
    """Train an encoder and write weights.safetensors, history.csv and reconstruction.zip to `out`.

    A method without objectives is left at its start, which is random or read from a file. A run
    that was interrupted goes on from `out`/checkpoints and ends in the same bytes as one that was
    not.

    Raises:
        InputError: the inputs do not fit the method, or a loss is no number or explodes.
        Stopped: SIGTERM has come; the state is saved.
    """
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    state: dict[str, Tensor] = {}
    if run.start:
        state, settings = foreign.read(hub.weights_file(run.start), run.encoder)
        run = run.model_copy(update={"encoder": settings})
    table = cases.read(run.cases)
    names = run.method.objectives.names
    if names:
        model, history = _trained(run, out, table, device, state)
    else:
        model, history = _pretrainer(run, None, state), []
    if processes.rank() > 0:
        return
    weights.save(out / "weights.safetensors", model.state_dict(), run.model_dump(mode="json"))
    columns = ["epoch", *names, "total", "lr", "gradient_norm"]
    with files.whole(out / "history.csv") as temporary:
        pd.DataFrame(history, columns=columns).to_csv(temporary, index=False, lineterminator="\n")
    reconstruction.write(out / "reconstruction.zip", model, run, table)


def _trained(
    run: runs.Encoder,
    out: Path,
    table: pd.DataFrame,
    device: torch.device,
    state: dict[str, Tensor],
) -> tuple[Pretrainer, list[dict[str, float]]]:
    """The trained model, and one row an epoch of mean losses."""
    recipe, names = run.recipe, run.method.objectives.names
    table = training_cases(table, run)
    volumes = Volumes(run.volumes, list(table["case"]))
    texts, text_model = _reports(run, table, device)
    batches = Batches(run, list(table["case"]), volumes, texts)
    model = _pretrainer(run, texts, state).to(device)
    optimizer = torch.optim.AdamW(
        _groups(model, recipe.weight_decay), lr=recipe.lr, betas=recipe.betas, fused=True
    )

    per_epoch = batches.steps_per_epoch
    steps = recipe.epochs * per_epoch
    done, history, totals = 0, [], []
    sums = torch.zeros(len(names) + 2, dtype=torch.float64)  # losses, total, gradient norm
    kept = Checkpoints(out / "checkpoints", fingerprint(run), recipe.checkpoint_minutes)
    if found := kept.latest():
        done, history, sums, totals = (found[k] for k in ("step", "history", "sums", "totals"))
        model.load_state_dict(found["model"])
        optimizer.load_state_dict(found["optimizer"])

    def told(values: Tensor) -> dict[str, float]:
        return dict(zip([*names, "total", "gradient_norm"], values.tolist(), strict=True))

    def reached() -> dict[str, Any]:
        monitor.flush()
        trained = {"model": model.state_dict(), "optimizer": optimizer.state_dict()}
        return {**trained, "history": history, "sums": sums, "totals": totals}

    divided = DistributedDataParallel(model) if processes.size() > 1 else model
    with kept, closing(Monitor(out / "tensorboard", done, totals)) as monitor:
        parts = iter(loader(batches, done * recipe.accumulation))
        for step in progress(range(done, steps), f"pretrain {run.name}", total=steps, done=done):
            lr = learning_rate(step, steps, recipe.warmup_epochs * per_epoch, recipe.lr)
            for group in optimizer.param_groups:
                group["lr"] = lr
            optimizer.zero_grad()
            losses, chosen = _gradients(divided, text_model, parts, run)
            norm = nn.utils.clip_grad_norm_(model.parameters(), recipe.clip or math.inf).item()
            monitor.check(step, losses[-1].item(), norm, chosen, str(kept))
            kept.reached(step, reached, planned=step % (recipe.checkpoint_epochs * per_epoch) == 0)
            optimizer.step()

            values = torch.cat([losses, losses.new_tensor([norm])])
            sums += values
            monitor.write(step, {**told(values), "lr": lr}, len(chosen))
            if (step + 1) % per_epoch == 0:
                row = {"epoch": (step + 1) // per_epoch, **told(sums / per_epoch), "lr": lr}
                history.append(row)
                sums.zero_()
        if done < steps:
            kept.save(steps, reached())
    return model, history


def learning_rate(step: int, steps: int, warmup: float, peak: float) -> float:
    """Linear over the first `warmup` steps up to `peak`, then half a cosine down towards zero."""
    if step < warmup:
        return peak * (step + 1) / (warmup + 1)
    return peak * 0.5 * (1 + math.cos(math.pi * (step - warmup) / (steps - warmup)))


def _gradients(
    model: nn.Module, text_model: nn.Module | None, parts: Iterator[dict], run: runs.Encoder
) -> tuple[Tensor, list[str]]:
    """Add up the gradients of the parts of a batch.

    Returns:
        Each loss and their weighted sum, means over parts and processes; and the batch's cases.
    """
    values, cases, number = [], [], run.recipe.accumulation
    for batch in islice(parts, number):
        cases += batch.pop("cases")
        alone = len(values) + 1 < number and isinstance(model, DistributedDataParallel)
        with model.no_sync() if alone else nullcontext():
            values.append(_backward(model, text_model, batch, run))
    own = torch.stack(values).double().mean(dim=0).cpu()
    return processes.total(own) / processes.size(), cases


def _backward(
    model: nn.Module, text_model: nn.Module | None, batch: dict[str, Tensor], run: runs.Encoder
) -> Tensor:
    """Add the gradient of one part of a batch; returns each loss and their weighted sum."""
    device = next(model.parameters()).device
    batch = {key: value.to(device, non_blocking=True) for key, value in batch.items()}
    with torch.autocast(device.type, torch.bfloat16, enabled=_in_bf16(run, device)):
        if "report_ids" in batch:
            with torch.no_grad():
                output = text_model(batch["report_ids"], batch["report_mask"])
            batch["report_words"] = output.last_hidden_state
        losses = model(batch)
    objectives = run.method.objectives
    total = sum(getattr(objectives, name).weight * loss for name, loss in losses.items())
    (total / run.recipe.accumulation).backward()
    return torch.stack([*losses.values(), total]).detach()


def _in_bf16(run: runs.Encoder, device: torch.device) -> bool:
    """Whether a run computes in bfloat16; without AVX-512, x86 CPUs take 25 times as long in it."""
    slow = device.type == "cpu" and torch.backends.cpu.get_cpu_capability() in ("DEFAULT", "AVX2")
    return run.recipe.precision == "bf16" and not slow


def _reports(
    run: runs.Encoder, table: pd.DataFrame, device: torch.device
) -> tuple[reports.Reports | None, nn.Module | None]:
    if not run.method.objectives.reads_reports:
        return None, None
    if run.text_encoder is None:
        raise InputError(f"method '{run.name}' reads reports: text_encoder must name a folder")
    texts, model = reports.read(run, table, sentences.read(run.sentences), device)
    decoder = run.method.objectives.report_reconstruction
    if decoder and texts.width % decoder.heads:
        raise InputError(
            f"methods.{run.name}.objectives.report_reconstruction.heads: the text encoder's width "
            f"{texts.width} is no multiple of {decoder.heads}"
        )
    return texts, model


def _pretrainer(
    run: runs.Encoder, texts: reports.Reports | None, state: Mapping[str, Tensor]
) -> Pretrainer:
    """The model at its start: the encoder's `state`, where one is given, the rest drawn."""
    chosen = {}
    for name in run.method.objectives.names:
        arguments = getattr(run.method.objectives, name).model_dump(exclude={"weight"})
        if name == "report_reconstruction":
            arguments.pop("mask_ratio")
        chosen[name] = {**arguments.pop("decoder", {}), **arguments}
    model = Pretrainer(
        run.encoder.model_dump(),
        chosen,
        run.seed,
        text_width=texts.width if texts else 0,
        vocabulary=texts.vocabulary if texts else 0,
    )
    model.encoder.load_state_dict(state, strict=False)
    return model


def _groups(model: nn.Module, weight_decay: float) -> list[dict]:
    """Parameters with weight decay, the matrices, and without, all others."""
    named = [*model.named_parameters()]
    matrices = [value for _, value in named if value.ndim == 2]
    others = [value for _, value in named if value.ndim != 2]
    return [
        {"params": matrices, "weight_decay": weight_decay},
        {"params": others, "weight_decay": 0.0},
    ]
