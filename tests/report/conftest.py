"""Made-up runs of three methods on six benchmarks, written as the benchmark stage writes them."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from simcrop import runs
from simcrop.formats import scores
from simcrop.formats.maps import MapWriter
from simcrop.formats.volumes import VolumeWriter
from simcrop.report.tables import table
from simcrop.sections import Report

LABELS = ["Cardiomegaly", "Emphysema", "Lung nodule", "Pleural effusion", "Consolidation"]
CLASSES = ["Normal", "CP", "NCP"]
LUNGS = {1: "left lung", 2: "right lung", 3: "trachea"}
SKILL = {"random": 0.2, "mae": 0.8, "simcrop": 1.6, "simcrop-no-image": 1.2, "simcrop-k_1": 1.0}
TITLES = {
    "ct-rate": "CT-RATE",
    "cc-ccii": "CC-CCII",
    "luna16": "LUNA16 & co",
    "lungs": "LUNA16 lungs",
    "lesions": "CT-RATE lesions",
    "random": "Random weights",
    "mae": "MAE",
    "simcrop": "SimCroP",
    "simcrop-no-image": "without image_reconstruction",
    "simcrop-k_1": "K = 1 {25 % of patches}",
}
FRACTIONS = (0.1, 1.0)
SPACING, SHAPE = (7.0, 7.0, 14.0), (48, 48, 24)
AFFINE = np.array([[7.0, 0, 0, -164.5], [0, 7.0, 0, -164.5], [0, 0, 14.0, -161.0], [0, 0, 0, 1]])
SENTENCES = [
    "A nodule is observed in the upper lobe of the left lung.",
    "Consolidation is observed in the lower lobe of the right lung.",
]


TRAINED = {"mae": ["image_reconstruction"], "simcrop": ["image_reconstruction", "global_contrast"]}


def history(losses: list[str], seed: int) -> pd.DataFrame:
    """A training of 30 epochs whose losses fall, less with seed 1."""
    epochs = np.arange(1, 31)
    falling = {name: (i + 1) * (np.exp(-epochs / 10) + seed / 10) for i, name in enumerate(losses)}
    return pd.DataFrame({"epoch": epochs, **falling, "total": 1.0, "lr": 1e-3 * np.exp(-epochs)})


def _base(count: int, fraction: float) -> dict:
    return {
        "fraction": fraction,
        "case": [f"case_{i:03d}" for i in range(count)],
        "patient": [f"patient_{i * 3 // 4:03d}" for i in range(count)],
    }


def _classification(method: str, seed: int, labels: list[str], kind: str) -> pd.DataFrame:
    truth = np.random.default_rng(7).random((80, len(labels))) < 0.35
    if kind == "multiclass":
        truth = np.eye(len(labels))[np.random.default_rng(8).integers(len(labels), size=80)]
    noise = np.random.default_rng([seed, *method.encode()])
    parts = []
    for fraction in FRACTIONS:
        skill = SKILL[method] * (0.5 + 0.5 * fraction)
        logits = skill * (2 * truth - 1) + noise.normal(size=truth.shape)
        columns = {
            f"score:{n}": 1 / (1 + np.exp(-v)) for n, v in zip(labels, logits.T, strict=True)
        }
        columns |= {f"label:{n}": v.astype(int) for n, v in zip(labels, truth.T, strict=True)}
        parts.append(pd.DataFrame(_base(80, fraction) | {"probe": 0} | columns))
    return pd.concat(parts)


def _segmentation(method: str, seed: int) -> pd.DataFrame:
    noise = np.random.default_rng([seed, *method.encode()])
    parts = []
    for fraction in FRACTIONS:
        level = 0.6 + 0.2 * SKILL[method] * (0.5 + 0.5 * fraction)
        dice = np.clip(level + 0.05 * noise.normal(size=(12, 3)), 0, 1)
        dice[3, 2] = np.nan
        columns = {
            f"dice:{name}": column for name, column in zip(LUNGS.values(), dice.T, strict=True)
        }
        parts.append(pd.DataFrame(_base(12, fraction) | columns))
    return pd.concat(parts)


def _localisation(method: str, seed: int) -> pd.DataFrame:
    noise = np.random.default_rng([seed, *method.encode()])
    base = pd.DataFrame(_base(10, 1.0))
    table = pd.concat([base.assign(lesion=str(i + 1), sentence=SENTENCES[i]) for i in range(2)])
    table["label"] = "Lung nodule"
    table["hit"] = (noise.random(20) < SKILL[method] / 2).astype(int)
    table["chance"] = 0.06
    table["auroc"] = np.clip(0.5 + 0.25 * SKILL[method] + 0.05 * noise.normal(size=20), 0, 1)
    table["dice"] = np.clip(0.2 * SKILL[method] + 0.05 * noise.normal(size=20), 0, 1)
    return table[[*base.columns, "lesion", "label", "sentence", "hit", "chance", "auroc", "dice"]]


def write_run(folder: Path, benchmark: str, method: str, seed: int) -> str:
    """Write scores.json and predictions.csv of one run; returns the path of scores.json."""
    settings: dict = {"settings": {}}
    if benchmark == "lungs":
        task, table = "segmentation", _segmentation(method, seed)
        settings["structures"] = LUNGS
    elif benchmark == "lesions":
        task, table = "localisation", _localisation(method, seed)
    else:
        task = "classification"
        labels, kind = {
            "ct-rate": (LABELS, "multilabel"),
            "cc-ccii": (CLASSES, "multiclass"),
            "luna16": (["Lung nodule"], "binary"),
        }[benchmark]
        settings["settings"]["kind"] = kind
        table = _classification(method, seed, labels, kind)
    path = folder / benchmark / method / str(seed) / "scores.json"
    scores.write_predictions(path.parent / "predictions.csv", table)
    record = {"benchmark": benchmark, "method": method, "seed": seed, "task": task}
    provenance = {"simcrop": "0.1.0", "commit": "be4a256", "torch": "2.13.0", "device": "cpu"}
    provenance |= {"data": f"{benchmark} 0123456789ab", "weights": f"{method} {seed}"}
    scores.write(path, record | {"records": [], "settings": settings, "provenance": provenance})
    return str(path)


@pytest.fixture(scope="session")
def written(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The paths of scores.json of all runs, in an order that is not that of the titles."""
    folder = tmp_path_factory.mktemp("benchmark")
    pairs = [
        (benchmark, method)
        for benchmark in ("lungs", "luna16", "lesions", "ct-rate", "cc-ccii")
        for method in ("simcrop", "mae", "random")
        if benchmark != "lesions" or method == "simcrop"
    ]
    pairs += [("ct-rate", "simcrop-k_1"), ("ct-rate", "simcrop-no-image")]
    pairs += [("lesions", "simcrop-no-image")]
    return [write_run(folder, *pair, seed) for pair in pairs for seed in (1, 0)]


@pytest.fixture(scope="session")
def table_runs(written: list[str]) -> dict[str, runs.Table]:
    """Settings of each table, over the made-up runs that it is of."""

    def belongs(table: str, path: str) -> bool:
        benchmark, method = Path(path).parts[-4:-2]
        if table == "ablation":
            return method.startswith("simcrop") and benchmark in ("ct-rate", "lesions")
        task = {"lungs": "segmentation", "lesions": "localisation"}.get(benchmark, "classification")
        return task == table and method not in ("simcrop-k_1", "simcrop-no-image")

    return {
        table: runs.Table(
            table=table,
            seed=0,
            settings=Report(resamples=200),
            protocol="sound",
            titles=TITLES,
            scores=[path for path in written if belongs(table, path)],
        )
        for table in ("classification", "segmentation", "localisation", "ablation")
    }


def _ball(centre: tuple[float, ...], radius: tuple[float, ...]) -> np.ndarray:
    grid = np.stack(np.meshgrid(*(np.arange(n) for n in SHAPE), indexing="ij"), axis=-1)
    return (((grid - centre) / np.array(radius)) ** 2).sum(axis=-1) < 1


def chest() -> tuple[np.ndarray, np.ndarray]:
    """A crude chest, HU (48, 48, 24), and its mask: left lung 1, right lung 2, trachea 3."""
    noise = np.random.default_rng(3).normal(0, 15, SHAPE)
    body, ids = _ball((24, 24, 12), (22, 15, 26)), np.zeros(SHAPE, np.uint8)
    # RAS: x grows towards the patient's right... of the array, so the left lung has small x.
    ids[_ball((13, 24, 12), (7, 10, 10))] = 1
    ids[_ball((34, 24, 12), (8, 10, 10))] = 2
    ids[_ball((24, 26, 19), (2, 2, 6))] = 3
    volume = np.where(body, 40.0, -1000.0)
    volume[ids > 0] = -850
    volume[_ball((20, 29, 9), (5, 5, 4))] = 60
    volume[_ball((24, 13, 12), (3, 3, 30))] = 500
    return (volume + noise * (volume > -990)).astype(np.int16), ids


@pytest.fixture(scope="session")
def figures_run(
    written: list[str], table_runs: dict[str, runs.Table], tmp_path_factory: pytest.TempPathFactory
) -> runs.Figures:
    """Settings of the figures, with tables, volumes, masks, maps and a reconstruction to draw."""
    folder = tmp_path_factory.mktemp("kept")
    for run in table_runs.values():
        table(run, folder / "report")
    volume, ids = chest()
    cases = [f"case_{i:03d}" for i in range(12)]
    lesions = np.zeros(SHAPE, np.int32)
    lesions[_ball((12, 24, 15), (3, 3, 2.5))] |= 1
    lesions[_ball((34, 20, 8), (4, 4, 2.5))] |= 2
    predicted = np.roll(ids, (1, 0, 0), (0, 1, 2))
    benchmark = Path(written[0]).parents[3]
    kept = {name: benchmark / name / "simcrop" / "0" for name in ("lungs", "lesions")}
    with (
        VolumeWriter(folder / "volumes.zip") as volumes,
        VolumeWriter(folder / "masks.zip") as masks,
        VolumeWriter(folder / "lesions.zip") as marked,
        VolumeWriter(kept["lungs"] / "masks.zip") as predictions,
    ):
        for case in cases:
            volumes.add(case, np.where(lesions > 0, 20, volume).astype(np.int16), AFFINE)
            masks.add(case, ids, AFFINE)
            marked.add(case, lesions, AFFINE)
            predictions.add(case, predicted, AFFINE)
    patches = np.diag([56.0, 56.0, 56.0, 1])
    patches[:3, 3] = AFFINE[:3, 3] + (24.5, 24.5, 21.0)
    with MapWriter(kept["lesions"]) as maps:
        for case in cases[:2]:
            for lesion, sentence in enumerate(SENTENCES, 1):
                part = lesions >> (lesion - 1) & 1
                inside = part.reshape(6, 8, 6, 8, 6, 4).mean(axis=(1, 3, 5))
                cosines = 0.05 * np.random.default_rng(lesion).normal(size=(6, 6, 6)) + 3 * inside
                maps.add(case, str(lesion), cosines, patches, sentence, str(lesion), "Lung nodule")
    masked = volume.reshape(6, 8, 6, 8, 6, 4).copy()
    hidden = np.random.default_rng(5).random((6, 6, 6)) < 0.5
    masked.transpose(0, 2, 4, 1, 3, 5)[hidden] = -1024
    blurred = volume.reshape(24, 2, 24, 2, 12, 2).mean(axis=(1, 3, 5))
    rebuilt = blurred.repeat(2, 0).repeat(2, 1).repeat(2, 2).astype(np.int16)
    with VolumeWriter(folder / "reconstruction.zip") as store:
        store.add("case_000.original", volume, AFFINE)
        store.add("case_000.masked", masked.reshape(SHAPE), AFFINE)
        store.add("case_000.rebuilt", rebuilt, AFFINE)
    trainings = []
    for method, losses in TRAINED.items():
        for seed in (0, 1):
            path = folder / f"{method}-{seed}.csv"
            history(losses, seed).to_csv(path, index=False)
            trainings.append(runs.Training(method=method, history=str(path)))
    images = {"volumes": [str(folder / "volumes.zip")]}
    return runs.Figures(
        seed=0,
        settings=table_runs["ablation"].settings,
        titles=TITLES,
        methods=["random", "mae", "simcrop"],
        tables=str(folder / "report"),
        scores=[*table_runs["classification"].scores, *table_runs["segmentation"].scores],
        trainings=trainings,
        reconstruction=str(folder / "reconstruction.zip"),
        segmentations=[
            runs.Images(
                benchmark="lungs",
                run=str(kept["lungs"]),
                masks=[str(folder / "masks.zip")],
                **images,
            )
        ],
        localisations=[
            runs.Images(
                benchmark="lesions",
                run=str(kept["lesions"]),
                masks=[str(folder / "lesions.zip")],
                **images,
            )
        ],
    )


@pytest.fixture(scope="session")
def sweeps_run(figures_run: runs.Figures) -> runs.Sweeps:
    """Settings of the figure of the ablations, of two values of K."""
    return runs.Sweeps(
        example="simcrop",
        titles=TITLES,
        table=f"{figures_run.tables}/ablation.csv",
        sweeps=[runs.Sweep(axis="K (patches)", log=True, values={"simcrop": 8, "simcrop-k_1": 1})],
    )


@pytest.fixture(scope="session")
def made(table_runs, tmp_path_factory) -> Path:
    """The folder of all tables."""
    out = tmp_path_factory.mktemp("tables")
    for run in table_runs.values():
        table(run, out)
    return out


@pytest.fixture(scope="session")
def copied():
    """Copies the scores and predictions of a table's runs into a folder."""
    return _copied


def _copied(run: runs.Table, folder: Path) -> list[Path]:
    paths = []
    for path in map(Path, run.scores):
        to = folder.joinpath(*path.parts[-4:])
        scores.write(to, scores.read(path))
        predictions = scores.read_predictions(path.with_name("predictions.csv"))
        scores.write_predictions(to.with_name("predictions.csv"), predictions)
        paths.append(to)
    return paths
