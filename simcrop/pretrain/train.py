"""The training of one encoder for one method and seed, resumable at every checkpoint."""

import math
from collections.abc import Mapping
from pathlib import Path

import pandas as pd
import torch
from torch import Tensor, nn

from simcrop import files, runs
from simcrop.errors import InputError
from simcrop.formats import cases, foreign, sentences, weights
from simcrop.models.pretrainer import Pretrainer
from simcrop.pretrain import checkpoints, reconstruction, reports
from simcrop.pretrain.data import Batches, Volumes, loader, training_cases
from simcrop.progress import progress


def encoder(run: runs.Encoder, out: Path) -> None:
    """Train an encoder and write weights.safetensors, history.csv and reconstruction.zip to `out`.

    A method without objectives is left at its start, which is random or read from a file. A run
    that was interrupted goes on from `out`/checkpoints and ends in the same bytes as one that was
    not.

    Raises:
        InputError: the inputs do not fit the method, or a loss is no longer a number.
    """
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    state: dict[str, Tensor] = {}
    if run.start:
        state, settings = foreign.read(run.start, run.encoder)
        run = run.model_copy(update={"encoder": settings})
    table = cases.read(run.cases)
    names = run.method.objectives.names
    if names:
        model, history = _trained(run, out, table, device, state)
    else:
        model, history = _pretrainer(run, None, state), []
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

    folder, fingerprint = out / "checkpoints", checkpoints.fingerprint(run)
    epoch, history = 0, []
    if state := checkpoints.latest(folder, fingerprint):
        epoch, history = state["epoch"], state["history"]
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])

    per_epoch = batches.steps_per_epoch
    steps, done = recipe.epochs * per_epoch, epoch * per_epoch
    parts = iter(loader(batches, done * recipe.accumulation))
    sums = torch.zeros(len(names) + 2, dtype=torch.float64)  # losses, total, gradient norm
    for step in progress(range(done, steps), f"pretrain {run.name}", total=steps, done=done):
        lr = learning_rate(step, steps, recipe.warmup_epochs * per_epoch, recipe.lr)
        for group in optimizer.param_groups:
            group["lr"] = lr
        optimizer.zero_grad()
        for _ in range(recipe.accumulation):
            losses = _backward(model, text_model, next(parts), run, step)
            sums[:-1] += losses / recipe.accumulation
        norm = nn.utils.clip_grad_norm_(model.parameters(), recipe.clip or math.inf)
        sums[-1] += norm.item()
        optimizer.step()

        if (step + 1) % per_epoch == 0:
            epoch += 1
            *means, total, norm = (sums / per_epoch).tolist()
            row = {"epoch": epoch, **dict(zip(names, means, strict=True))}
            history.append({**row, "total": total, "lr": lr, "gradient_norm": norm})
            sums.zero_()
            if epoch % recipe.checkpoint_epochs == 0 or epoch == recipe.epochs:
                state = {"model": model.state_dict(), "optimizer": optimizer.state_dict()}
                checkpoints.save(folder, fingerprint, epoch, {**state, "history": history})
    return model, history


def learning_rate(step: int, steps: int, warmup: float, peak: float) -> float:
    """Linear over the first `warmup` steps up to `peak`, then half a cosine down towards zero."""
    if step < warmup:
        return peak * (step + 1) / (warmup + 1)
    return peak * 0.5 * (1 + math.cos(math.pi * (step - warmup) / (steps - warmup)))


def _backward(
    model: Pretrainer, text_model: nn.Module | None, batch: dict, run: runs.Encoder, step: int
) -> Tensor:
    """Add the gradient of one part of a batch; returns each loss and their weighted sum."""
    names = batch.pop("cases")
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
    values = torch.stack([*losses.values(), total]).detach().double().cpu()
    if not values.isfinite().all():
        raise InputError(
            f"method '{run.name}': a loss is {values[-1]} at step {step}, on the cases "
            f"{', '.join(names)}; look at these volumes, or lower pretrain.recipe.lr"
        )
    (total / run.recipe.accumulation).backward()
    return values


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
