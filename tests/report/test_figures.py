"""What the figures show: the tables' numbers, the right case, the right way round; stable bytes."""

import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from PIL import Image

from simcrop import runs
from simcrop.errors import InputError
from simcrop.formats import scores
from simcrop.formats.volumes import VolumeWriter
from simcrop.report import style
from simcrop.report.figures import figures

NAMES = [
    *("label_efficiency", "per_label_auroc", "reconstruction"),
    *("segmentation_lungs", "similarity_lesions"),
]


@pytest.fixture(scope="module")
def written_to(figures_run, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("figures")
    figures(figures_run, out)
    return out


def _draw(run: runs.Figures) -> dict[str, Figure]:
    """The figures of a run, not written: name → Figure."""
    caught = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(style, "save", lambda made, out, name: caught.__setitem__(name, made))
        figures(run, Path())
    return caught


@pytest.fixture(scope="module")
def drawn(figures_run) -> dict[str, Figure]:
    return _draw(figures_run)


def test_every_figure_is_a_png_of_150_dpi_and_a_well_formed_svg(written_to):
    assert sorted(p.name for p in written_to.iterdir()) == sorted(
        f"{name}.{suffix}" for name in NAMES for suffix in ("png", "svg")
    )
    for name in NAMES:
        with Image.open(written_to / f"{name}.png") as picture:
            assert picture.info["dpi"][0] == pytest.approx(150, abs=0.1)
            assert 700 < picture.width <= 1200
        root = ET.parse(written_to / f"{name}.svg").getroot()
        assert root.tag == "{http://www.w3.org/2000/svg}svg"


def test_repetition_gives_identical_bytes(figures_run, written_to, tmp_path):
    figures(figures_run, tmp_path)
    for path in written_to.iterdir():
        assert path.read_bytes() == (tmp_path / path.name).read_bytes(), path.name


def test_curves_show_the_means_and_intervals_of_the_tables(figures_run, drawn):
    panels = drawn["label_efficiency"].axes
    titles = figures_run.titles
    assert [p.get_title() for p in panels] == ["CT-RATE", "CC-CCII", "LUNA16 & co", "LUNA16 lungs"]
    table = pd.concat(
        pd.read_csv(Path(figures_run.tables) / f"{name}.csv")
        for name in ("classification", "segmentation")
    )
    metric = {"ct-rate": "auroc", "cc-ccii": "accuracy", "luna16": "auroc", "lungs": "dice"}
    for panel, benchmark in zip(panels, metric, strict=True):
        assert panel.get_xscale() == "log"
        assert panel.get_ylabel().lower() == f"{metric[benchmark]} (%)"
        names = [line.get_label() for line in panel.containers]
        assert names == ["Random weights", "MAE", "SimCroP"]
        for drawn_line, method in zip(panel.containers, ("random", "mae", "simcrop"), strict=True):
            assert drawn_line.get_label() == titles[method]
            rows = table.query(
                "benchmark == @benchmark and method == @method and metric == @metric[@benchmark]"
            )
            line, _, (bars,) = drawn_line.lines
            assert line.get_ydata() == pytest.approx(100 * rows["mean"].to_numpy())
            assert line.get_xdata() == pytest.approx(100 * rows["fraction"].to_numpy(), rel=0.06)
            reach = np.array([segment[:, 1] for segment in bars.get_segments()])
            assert reach == pytest.approx(100 * rows[["low", "high"]].to_numpy())


def test_methods_differ_in_more_than_colour(drawn):
    panel = drawn["label_efficiency"].axes[0]
    looks = [(bar.lines[0].get_marker(), bar.lines[0].get_linestyle()) for bar in panel.containers]
    assert len({marker for marker, _ in looks}) == len({line for _, line in looks}) == 3


def test_labels_stand_in_order_of_their_mean_with_the_best_on_top(figures_run, drawn):
    (panel,) = drawn["per_label_auroc"].axes
    table = pd.read_csv(Path(figures_run.tables) / "classification.csv")
    table = table[(table["benchmark"] == "ct-rate") & (table["fraction"] == 1)]
    table = table[table["metric"].str.startswith("auroc:")]
    means = table.groupby("metric")["mean"].mean().sort_values()
    names = [tick.get_text() for tick in panel.get_yticklabels()]
    assert [f"auroc:{name}" for name in names] == list(means.index)
    assert len(names) == 5
    simcrop = table[table["method"] == "simcrop"].set_index("metric")["mean"]
    bar = next(b for b in panel.containers if b.get_label() == "SimCroP")
    assert bar.lines[0].get_xdata() == pytest.approx(100 * simcrop[means.index].to_numpy())


def test_the_segmented_case_is_the_one_of_median_dice(figures_run, drawn):
    figure = drawn["segmentation_lungs"]
    table = scores.read_predictions(Path(figures_run.segmentations[0].run) / "predictions.csv")
    table = table[table["fraction"] == 1.0]
    dice = sorted(zip(table.filter(regex="^dice:").mean(axis=1), table["case"], strict=True))
    value, case = dice[5]  # of twelve
    assert figure.get_suptitle() == f"LUNA16 lungs, SimCroP: {case}, Dice {100 * value:.1f} %"
    texts = [text.get_text() for text in figure.legends[0].get_texts()]
    row = table.set_index("case").loc[case]
    assert texts == [
        f"{i}  {name}, {100 * row[f'dice:{name}']:.1f} %"
        for i, name in enumerate(("left lung", "right lung", "trachea"), 1)
    ]


def test_the_similarity_map_is_that_of_the_median_lesion_and_its_sentence(figures_run, drawn):
    folder = Path(figures_run.localisations[0].run)
    table = scores.read_predictions(folder / "predictions.csv")
    table = table[table["case"].isin(["case_000", "case_001"])].sort_values("auroc")
    sentence = table["sentence"].iloc[1]  # of two lesions of two cases
    assert drawn["similarity_lesions"].get_suptitle() == f"“{sentence}”"


def test_what_there_is_no_material_for_is_left_out(figures_run, tmp_path):
    with VolumeWriter(tmp_path / "empty.zip"):
        pass
    header = "benchmark,method,fraction,metric,mean,low,high,seeds,cases\n"
    for name in ("classification", "segmentation"):
        (tmp_path / f"{name}.csv").write_text(header)
    update = {"segmentations": [], "localisations": [], "tables": str(tmp_path)}
    run = figures_run.model_copy(update={**update, "reconstruction": str(tmp_path / "empty.zip")})
    assert _draw(run) == {}
    tables = {"tables": figures_run.tables, "localisations": figures_run.localisations}
    names = ["label_efficiency", "per_label_auroc", "similarity_lesions"]
    assert list(_draw(run.model_copy(update=tables))) == names


def test_a_missing_table_is_named(figures_run, tmp_path):
    with pytest.raises(InputError, match=r"classification\.csv: no such table"):
        figures(figures_run.model_copy(update={"tables": str(tmp_path)}), tmp_path)
