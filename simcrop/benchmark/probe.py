"""Classification by a linear probe: LayerNorm and Linear on features of the frozen encoder."""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from sklearn.metrics import average_precision_score
from torch import Tensor, nn

from simcrop import runs
from simcrop.benchmark import outcome
from simcrop.benchmark.encoder import load_encoder
from simcrop.benchmark.features import dropped, features, stored
from simcrop.benchmark.metrics import auroc, defined, mean
from simcrop.benchmark.partition import digest, fraction_of, require, splits
from simcrop.benchmark.schedule import warmup_cosine
from simcrop.benchmark.similarity import scores
from simcrop.errors import InputError
from simcrop.formats import cases
from simcrop.formats.volumes import VolumeStore
from simcrop.progress import progress
from simcrop.tasks import ProbeSchedule

SETTLING = 10  # epochs before training may stop early, as published


def classification(run: runs.Classify, out: Path) -> None:
    """Train probes at every fraction and score the test cases → scores.json, predictions.csv.

    The encoder reads a case once: its features serve all probes, and later runs of the same
    encoder on the same volumes, from `features/`, which no rule of the workflow declares.

    Where a text encoder is given, fraction 0 is zero-shot: a label's score is how well a sentence
    that tells of it fits the volume.

    Raises:
        InputError: a split is empty, or the labels do not fit the kind of task.
    """
    kind = run.settings.kind
    parts = {name: _labelled(part, kind, run) for name, part in splits(run).items()}
    require(parts, run, "train", "test")
    tested, merged = _tested(parts["test"], run.settings.unit)
    labels, truth = cases.labels(tested), _targets(tested)
    encoder, arguments = load_encoder(run.weights)
    names = [case for part in parts.values() for case in part["case"]]
    shape, store = tuple(arguments["volume"]), VolumeStore(run.volumes)
    encoder.set_drop_path(run.settings.drop_path)
    vectors = stored(
        out / "features" / "features.safetensors",
        run.weights,
        store,
        names,
        lambda: features(encoder, shape, store, names),
    )
    row = {case: index for index, case in enumerate(names)}

    def data(table: pd.DataFrame) -> tuple[Tensor, Tensor]:
        index = [row[case] for case in table["case"]]
        return vectors[index], torch.tensor(_targets(table), dtype=torch.float32)

    test = data(parts["test"])
    validation = test if run.settings.select_on == "test" else data(parts["val"])

    def probed(fraction: float, schedule: ProbeSchedule, seed: int) -> tuple[np.ndarray, int]:
        subset = fraction_of(parts["train"], fraction, seed)
        order = digest("probe", seed, fraction)
        encode = None
        if run.settings.drop_path:
            encode = partial(dropped, encoder, shape, store, list(subset["case"]))
        with torch.random.fork_rng():
            torch.manual_seed(order % 2**63)
            head = fit(run, schedule, data(subset), validation, order, encode)
        return merged(probabilities(head, test[0], kind)), len(subset)

    # The first draw is the run's own; further ones vary the fraction and the order of its cases.
    draws = [run.seed, *(digest(run.seed, n) for n in range(1, run.settings.probe_seeds))]
    found = []  # fraction, probe, predicted, training cases
    if run.text_encoder:
        asked = [run.settings.zero_shot.sentence(label) for label in labels]
        volumes = list(parts["test"]["case"])
        fits = merged(scores(run.weights, run.text_encoder, store, volumes, asked))
        found.append((0.0, 0, fits, 0))
    for fraction, schedule in progress(run.settings.fractions.items(), "fractions"):
        for probe, seed in enumerate(draws):
            found.append((fraction, probe, *probed(fraction, schedule, seed)))
    records = _records(found, truth, labels, kind)
    tables = [_predictions(tested, *entry[:2], labels, entry[2]) for entry in found]
    undefined = [
        label
        for label, column in zip(labels, truth.T, strict=True)
        if not ((column == 0).any() and (column == 1).any())
    ]
    outcome.write(run, out, records, pd.concat(tables), undefined=undefined)


def _tested(
    table: pd.DataFrame, unit: str
) -> tuple[pd.DataFrame, Callable[[np.ndarray], np.ndarray]]:
    """The rows that are scored, and what makes their predictions of those of the volumes.

    By scan, the predictions of its reconstructions are averaged, and the first gives the labels.
    """
    if unit == "volume":
        return table, lambda predicted: predicted
    scans = table["scan"].where(table["scan"] != "", table["case"])
    group, names = pd.factorize(scans)
    first = table[~scans.duplicated()].assign(case=names).reset_index(drop=True)

    def merged(predicted: np.ndarray) -> np.ndarray:
        return pd.DataFrame(predicted).groupby(group).mean().to_numpy(predicted.dtype)

    return first, merged


def _records(
    found: list[tuple[float, int, np.ndarray, int]],
    truth: np.ndarray,
    labels: list[str],
    kind: str,
) -> list[dict[str, Any]]:
    """One a fraction: the means over its probes."""
    records = []
    for fraction in dict.fromkeys(entry[0] for entry in found):
        probes = [entry for entry in found if entry[0] == fraction]
        measured = [measure(predicted, truth, labels, kind) for _, _, predicted, _ in probes]
        records.append(
            {
                "fraction": fraction,
                "metrics": {
                    name: float(np.mean([one[name] for one in measured])) for name in measured[0]
                },
                "train_cases": probes[0][3],
                "test_cases": len(truth),
            }
        )
    return records


def fit(
    run: runs.Classify,
    schedule: ProbeSchedule,
    train: tuple[Tensor, Tensor],
    validation: tuple[Tensor, Tensor],
    seed: int,
    encode: Callable[[np.ndarray], Tensor] | None = None,
) -> nn.Sequential:
    """The head that does best on validation, looked at after each epoch.

    Training stops early once 10 epochs and the warm-up have passed and the last
    `schedule.patience` looks brought nothing better. Equal scores are told apart by the loss.
    Without validation cases the last head is kept.

    Args:
        run: gives kind, weight decay and gradient clip.
        schedule: steps, learning rate, warm-up, batch and patience.
        train, validation: features (N, width) and targets (N, labels).
        seed: of the order of the cases.
        encode: makes the features of a step's cases anew, by their rows in `train`.
    """
    kind = run.settings.kind
    vectors, targets = train
    head = nn.Sequential(
        nn.LayerNorm(vectors.shape[1]), nn.Linear(vectors.shape[1], targets.shape[1])
    )
    for parameter in head[1].parameters():
        nn.init.zeros_(parameter)
    optimizer = torch.optim.AdamW(
        head.parameters(), lr=schedule.lr, weight_decay=run.settings.weight_decay
    )
    epoch_steps = max(1, len(vectors) // schedule.batch)
    settled = max(SETTLING * epoch_steps, schedule.warmup)
    best, best_state, worse = (-np.inf, -np.inf), None, 0
    for step, index in enumerate(_batches(len(vectors), schedule.batch, schedule.steps, seed), 1):
        for group in optimizer.param_groups:
            group["lr"] = schedule.lr * warmup_cosine(step - 1, schedule.steps, schedule.warmup)
        optimizer.zero_grad()
        seen = encode(index) if encode else vectors[index]
        _loss(head(seen), targets[index], kind).backward()
        nn.utils.clip_grad_norm_(head.parameters(), run.settings.clip)
        optimizer.step()
        if len(validation[0]) and (step % epoch_steps == 0 or step == schedule.steps):
            score = _validate(head, *validation, kind)
            worse = 0 if score > best else worse + 1
            if score > best:
                best = score
                best_state = {name: value.clone() for name, value in head.state_dict().items()}
            if worse >= schedule.patience and step >= settled:
                break
    if best_state is not None:
        head.load_state_dict(best_state)
    return head


def measure(
    predicted: np.ndarray, targets: np.ndarray, labels: list[str], kind: str
) -> dict[str, float]:
    """The metrics of a kind of task; what is not defined is left out.

    Args:
        predicted: (N, labels), probabilities.
        targets: (N, labels), 0, 1 or NaN where unknown.
    """
    areas = auroc(predicted, targets)
    metrics = {"auroc": mean(areas)}
    if kind == "multiclass":
        metrics["accuracy"] = _accuracy(predicted, targets, kind)
        return defined(metrics)
    precisions = np.array(
        [
            average_precision_score(column[known], score[known])
            if (known := ~np.isnan(column)).any() and not np.isnan(area)
            else np.nan
            for column, score, area in zip(targets.T, predicted.T, areas, strict=True)
        ]
    )
    metrics["average_precision"] = mean(precisions)
    if kind == "binary":
        metrics["accuracy"] = _accuracy(predicted, targets, kind)
    else:
        metrics |= {f"auroc:{label}": area for label, area in zip(labels, areas, strict=True)}
    return defined(metrics)


@torch.inference_mode()
def probabilities(head: nn.Module, vectors: Tensor, kind: str) -> np.ndarray:
    """(N, width) → (N, labels), float64; each row sums to 1 for `multiclass`."""
    logits = head(vectors).double()
    return (logits.softmax(dim=1) if kind == "multiclass" else logits.sigmoid()).numpy()


def _labelled(part: pd.DataFrame, kind: str, run: runs.Classify) -> pd.DataFrame:
    """The cases of a split with a label to learn or to test, checked against the kind of task."""
    targets = _targets(part)
    if targets.shape[1] < (2 if kind == "multiclass" else 1) or (
        kind == "binary" and targets.shape[1] != 1
    ):
        raise InputError(
            f"{run.benchmark}: kind '{kind}' does not fit the {targets.shape[1]} label columns of "
            f"{run.cases}; mend benchmark.{run.benchmark}.kind"
        )
    known = ~np.isnan(targets)
    kept = known.all(axis=1) if kind == "multiclass" else known.any(axis=1)
    if kind == "multiclass":
        wrong = part["case"][kept & (np.nansum(targets, axis=1) != 1)]
        if len(wrong):
            raise InputError(
                f"{run.cases}: case '{wrong.iloc[0]}' is not of exactly one class; mend its labels"
            )
    return part[kept].reset_index(drop=True)


def _targets(table: pd.DataFrame) -> np.ndarray:
    return table[[cases.LABEL + label for label in cases.labels(table)]].to_numpy(float)


def _batches(count: int, batch: int, steps: int, seed: int) -> Iterator[np.ndarray]:
    """Cases in a new order every epoch; what does not fill a batch waits for the next order."""
    rng = np.random.default_rng(seed)
    done = 0
    while True:
        order = rng.permutation(count)
        for start in range(0, max(1, count - batch + 1), batch):
            if done == steps:
                return
            yield order[start : start + batch]
            done += 1


def _loss(logits: Tensor, targets: Tensor, kind: str) -> Tensor:
    if kind == "multiclass":
        return F.cross_entropy(logits, targets)
    known = ~targets.isnan()
    return F.binary_cross_entropy_with_logits(logits[known], targets[known])


def _validate(head: nn.Module, vectors: Tensor, targets: Tensor, kind: str) -> tuple[float, float]:
    """The benchmark's metric, 0 where it is not defined, and the negative loss."""
    with torch.no_grad():
        loss = float(_loss(head(vectors), targets, kind))
    predicted, truth = probabilities(head, vectors, kind), targets.numpy()
    score = (
        _accuracy(predicted, truth, kind) if kind == "multiclass" else mean(auroc(predicted, truth))
    )
    return (0.0 if np.isnan(score) else score), -loss


def _accuracy(predicted: np.ndarray, targets: np.ndarray, kind: str) -> float:
    if kind == "multiclass":
        return float((predicted.argmax(axis=1) == targets.argmax(axis=1)).mean())
    return float(((predicted > 0.5) == targets).mean())


def _predictions(
    table: pd.DataFrame, fraction: float, probe: int, labels: list[str], predicted: np.ndarray
) -> pd.DataFrame:
    columns = {f"score:{label}": predicted[:, index] for index, label in enumerate(labels)}
    truth = {cases.LABEL + label: table[cases.LABEL + label] for label in labels}
    names = {"fraction": fraction, "probe": probe}
    names |= {name: table[name] for name in ("case", "patient")}
    return pd.DataFrame(names | columns | truth)
