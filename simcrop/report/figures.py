"""All figures of the report, from the tables and from the images that runs keep."""

from collections.abc import Iterator
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from simcrop import runs
from simcrop.errors import InputError
from simcrop.formats import maps, scores
from simcrop.formats.volumes import VolumeStore
from simcrop.report import curves, differences, images, plots, style


def figures(run: runs.Figures, out: Path) -> None:
    """Write every figure that the run has material for, as PNG, SVG and PDF.

    `label_efficiency`, `per_label_auroc_<benchmark>`, `per_label_difference_<benchmark>`,
    `training_curves`, `reconstruction`, `segmentation_<benchmark>` and `similarity_<benchmark>`.

    Raises:
        InputError: a table, a kept image or what belongs to it is missing.
    """
    with style.styled():
        for name, figure in _figures(run):
            style.save(figure, out, name)


def sweeps(run: runs.Sweeps, out: Path) -> None:
    """Write `ablation_sweeps` as PNG, SVG and PDF.

    Raises:
        InputError: the table is missing.
    """
    with style.styled():
        table = _table(Path(run.table))
        figure = curves.ablation_sweeps(table, run.sweeps, run.example, run.titles)
        style.save(figure, out, "ablation_sweeps")


def _figures(run: runs.Figures) -> Iterator[tuple[str, Figure]]:
    classification, segmentation = (
        _table(Path(run.tables) / f"{name}.csv") for name in ("classification", "segmentation")
    )
    both = pd.concat(
        [part for part in (classification, segmentation) if len(part)] or [segmentation]
    )
    if len(both):
        yield "label_efficiency", plots.label_efficiency(both, run.methods, run.titles)
    for benchmark in differences.of_labels(run):
        drawn = plots.per_label_auroc(classification, benchmark, run.methods, run.titles)
        yield f"per_label_auroc_{benchmark}", drawn
    example = run.settings.example
    for benchmark, table in differences.differences(run).items():
        yield (
            f"per_label_difference_{benchmark}",
            plots.per_label_difference(table, benchmark, example, run.methods, run.titles),
        )
    if run.trainings:
        yield "training_curves", _training(run)
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


def _training(run: runs.Figures) -> Figure:
    histories = pd.concat(
        [_table(Path(each.history)).assign(method=each.method) for each in run.trainings]
    )
    return curves.training_curves(histories, run.methods, run.titles)


def _segmentation(shown: runs.Images, titles: dict[str, str]) -> Figure:
    """The test cases of worst, median (of two, the lower) and best Dice at the largest fraction."""
    folder = Path(shown.run)
    found = scores.read(folder / "scores.json")
    table = scores.read_predictions(folder / "predictions.csv")
    table = table[table["fraction"] == table["fraction"].max()].set_index("case")
    parts = table.filter(regex="^dice:")
    dice = parts.mean(axis=1).dropna().sort_values(kind="stable")
    places = {(len(dice) - 1) // 2: "Median", 0: "Worst", len(dice) - 1: "Best"}
    places = places if len(dice) > 1 else {0: "The only case"}
    chosen = {dice.index[place]: name for place, name in sorted(places.items())}
    structures = {}
    for id_, name in found["settings"]["structures"].items():
        values = [parts.loc[case, f"dice:{name}"] for case in chosen]
        told = ", ".join("–" if pd.isna(value) else f"{100 * value:.1f}" for value in values)
        structures[int(id_)] = f"{id_}  {name}: {told}"
    volumes = VolumeStore(shown.volumes)
    truth, predicted = VolumeStore(shown.masks), VolumeStore(folder / "masks.zip")
    cases = [
        images.Segmented(
            title=f"{name}, Dice {100 * dice[case]:.1f} %",
            volume=volumes.read(case),
            affine=volumes.affine(case),
            truth=truth.read(case),
            predicted=predicted.read(case),
        )
        for case, name in chosen.items()
    ]
    title = f"{titles[shown.benchmark]}, {titles[found['method']]}"
    return images.segmentation(cases, structures, title)


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
