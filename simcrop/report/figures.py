"""All figures of the report, from the tables and from the images that runs keep."""

from collections.abc import Iterator
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from simcrop import runs
from simcrop.errors import InputError
from simcrop.formats import maps, scores
from simcrop.formats.volumes import VolumeStore
from simcrop.report import images, plots, style


def figures(run: runs.Figures, out: Path) -> None:
    """Write every figure that the run has material for, as PNG and as SVG.

    `label_efficiency`, `per_label_auroc`, `reconstruction`, `segmentation_<benchmark>` and
    `similarity_<benchmark>`.

    Raises:
        InputError: a table, a kept image or what belongs to it is missing.
    """
    with style.styled():
        for name, figure in _figures(run):
            style.save(figure, out, name)


def _figures(run: runs.Figures) -> Iterator[tuple[str, Figure]]:
    classification, segmentation = (
        _table(Path(run.tables) / f"{name}.csv") for name in ("classification", "segmentation")
    )
    both = pd.concat(
        [part for part in (classification, segmentation) if len(part)] or [segmentation]
    )
    if len(both):
        yield "label_efficiency", plots.label_efficiency(both, run.titles)
    if len(classification):
        benchmarks = list(dict.fromkeys(classification["benchmark"]))
        wanted = run.settings.ablation_benchmark
        benchmark = wanted if wanted in benchmarks else benchmarks[0]
        yield "per_label_auroc", plots.per_label_auroc(classification, benchmark, run.titles)
    store = VolumeStore(run.reconstruction)
    if store.cases:
        yield "reconstruction", images.reconstruction(_reconstructed(store))
    for shown in run.segmentations:
        yield f"segmentation_{shown.benchmark}", _segmentation(shown, run.titles)
    for shown in run.localisations:
        yield f"similarity_{shown.benchmark}", _similarity(shown)


def _table(path: Path) -> pd.DataFrame:
    try:
        return pd.read_csv(path)
    except FileNotFoundError:
        raise InputError(f"{path}: no such table; make the tables first") from None


def _reconstructed(store: VolumeStore) -> list[tuple]:
    cases = [name.removesuffix(".original") for name in store.cases if name.endswith(".original")]
    names = ("original", "masked", "rebuilt")
    return [
        (case, {n: store.read(f"{case}.{n}") for n in names}, store.affine(f"{case}.original"))
        for case in cases
    ]


def _segmentation(shown: runs.Images, titles: dict[str, str]) -> Figure:
    """The test case of median Dice at the largest fraction, of which the run kept the masks."""
    folder = Path(shown.run)
    found = scores.read(folder / "scores.json")
    table = scores.read_predictions(folder / "predictions.csv")
    table = table[table["fraction"] == table["fraction"].max()].set_index("case")
    parts = table.filter(regex="^dice:")
    dice = parts.mean(axis=1)
    case = _median(dice)
    structures = {}
    for id_, name in found["settings"]["structures"].items():
        value = parts.loc[case, f"dice:{name}"]
        structures[int(id_)] = f"{id_}  {name}" + (
            "" if pd.isna(value) else f", {100 * value:.1f} %"
        )
    volumes = VolumeStore(shown.volumes)
    truth, predicted = VolumeStore(shown.masks), VolumeStore(folder / "masks.zip")
    title = f"{titles[shown.benchmark]}, {titles[found['method']]}"
    return images.segmentation(
        volumes.read(case),
        volumes.affine(case),
        (truth.read(case), predicted.read(case)),
        structures,
        f"{title}: {case}, Dice {100 * dice[case]:.1f} %",
    )


def _similarity(shown: runs.Images) -> Figure:
    """The lesion of median AUROC among those whose maps the run kept."""
    folder = Path(shown.run)
    kept, store = maps.read(folder)
    table = scores.read_predictions(folder / "predictions.csv")
    table = kept.merge(table[["case", "lesion", "auroc"]], on=["case", "lesion"])
    if table["auroc"].isna().all():
        raise InputError(
            f"{folder / 'maps.csv'}: none of its lesions was scored; raise "
            f"benchmark.{shown.benchmark}.examples"
        )
    row = table.set_index("map").loc[_median(table.set_index("map")["auroc"])]
    volumes = VolumeStore(shown.volumes)
    bits = VolumeStore(shown.masks).read(row["case"])
    return images.similarity(
        volumes.read(row["case"]),
        volumes.affine(row["case"]),
        (bits >> (int(row["lesion"]) - 1) & 1).astype(bool),
        (store.read(row.name) / maps.SCALE, store.affine(row.name)),
        row["sentence"],
    )


def _median(values: pd.Series) -> str:
    """The name of the value in the middle; of two, the lower."""
    ranked = values.dropna().sort_values(kind="stable")
    return ranked.index[(len(ranked) - 1) // 2]
