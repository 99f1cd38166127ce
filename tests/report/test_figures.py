"""What the figures show: the tables' numbers, the right case, the right way round; stable bytes."""

import itertools
import re
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text
from PIL import Image
from sklearn.metrics import roc_auc_score

from simcrop import runs
from simcrop.errors import InputError
from simcrop.formats import scores
from simcrop.formats.volumes import VolumeWriter
from simcrop.report import plots, style
from simcrop.report.figures import figures, sweeps

NAMES = [
    *("label_efficiency", "per_label_auroc_ct-rate", "per_label_difference_ct-rate"),
    *("training_curves", "ablation_sweeps", "reconstruction"),
    *("segmentation_lungs", "similarity_lesions"),
]
UNITS = re.compile(r" \((%|mm|nats|patches|percentage points|10⁶ HU²|10⁻³)\)(;|$)")
WITHOUT_UNIT = {"Label", "Epoch", "Cosine similarity"}


@pytest.fixture(scope="module")
def written_to(figures_run, sweeps_run, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("figures")
    figures(figures_run, out)
    sweeps(sweeps_run, out)
    return out


SVG = "http://www.w3.org/2000/svg"
LINK = "{http://www.w3.org/1999/xlink}href"


def _draw(run: runs.Figures, further: runs.Sweeps | None = None) -> dict[str, Figure]:
    """The figures of a run, not written: name → Figure."""
    caught = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(style, "save", lambda made, out, name: caught.__setitem__(name, made))
        figures(run, Path())
        if further:
            sweeps(further, Path())
    return caught


@pytest.fixture(scope="module")
def drawn(figures_run, sweeps_run) -> dict[str, Figure]:
    return _draw(figures_run, sweeps_run)


def test_every_figure_is_a_png_of_150_dpi_a_valid_svg_and_a_pdf(written_to):
    assert sorted(p.name for p in written_to.iterdir()) == sorted(
        f"{name}.{suffix}" for name in NAMES for suffix in ("png", "svg", "pdf")
    )
    for name in NAMES:
        with Image.open(written_to / f"{name}.png") as picture:
            assert picture.info["dpi"][0] == pytest.approx(150, abs=0.1)
            assert 700 < picture.width <= 1200
        root = ET.parse(written_to / f"{name}.svg").getroot()
        assert root.tag == f"{{{SVG}}}svg"
        ids = [element.get("id") for element in root.iter() if element.get("id")]
        assert len(ids) == len(set(ids))
        links = [element.get(LINK) for element in root.iter() if element.get(LINK)]
        assert links
        for link in links:  # nothing is fetched from elsewhere
            assert link.startswith("data:image/png;base64,") or link.removeprefix("#") in ids
        assert (written_to / f"{name}.pdf").read_bytes().startswith(b"%PDF-1.4")


@pytest.mark.parametrize("name", NAMES)
def test_every_axis_says_what_is_on_it_and_in_which_unit(drawn, name):
    rows, columns = {}, {}
    for panel in drawn[name].axes:
        place = panel.get_subplotspec()
        told = panel.get_ylabel().split("\n")[-1]
        if panel.get_label() == "<colorbar>":
            assert told in WITHOUT_UNIT
            continue
        # Panels that share a row or a column of the figure are labelled at its edge.
        rows.setdefault(place.rowspan.start, set()).add(told)
        columns.setdefault(place.colspan.start, set()).add(panel.get_xlabel())
    for texts in (*rows.values(), *columns.values()):
        assert texts - {""}
        for text in texts - {""}:
            assert UNITS.search(text) or text in WITHOUT_UNIT, text


@pytest.mark.parametrize("name", NAMES)
def test_no_text_lies_on_another_and_all_of_it_in_the_picture(drawn, name):
    figure, written = drawn[name], []
    draw = Text.draw

    def noted(text: Text, renderer: object) -> None:
        written.append(text)
        draw(text, renderer)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Text, "draw", noted)
        figure.canvas.draw()
    shown = {text for text in written if text.get_visible() and text.get_text().strip()}
    assert len(shown) > 10
    boxes = {text: text.get_window_extent() for text in shown}
    for text, box in boxes.items():
        inches = box.transformed(figure.dpi_scale_trans.inverted())
        assert inches.x0 >= -0.01 and inches.x1 <= figure.get_figwidth() + 0.01, text
        assert inches.y0 >= -0.01 and inches.y1 <= figure.get_figheight() + 0.01, text
    for (one, a), (other, b) in itertools.combinations(boxes.items(), 2):
        assert not a.padded(-1).overlaps(b.padded(-1)), (one.get_text(), other.get_text())


def test_repetition_gives_identical_bytes(figures_run, sweeps_run, written_to, tmp_path):
    figures(figures_run, tmp_path)
    sweeps(sweeps_run, tmp_path)
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
    (panel,) = drawn["per_label_auroc_ct-rate"].axes
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


def test_the_segmented_cases_are_those_of_worst_median_and_best_dice(figures_run, drawn):
    figure = drawn["segmentation_lungs"]
    table = scores.read_predictions(Path(figures_run.segmentations[0].run) / "predictions.csv")
    table = table[table["fraction"] == 1.0].set_index("case")
    parts = table.filter(regex="^dice:")
    dice = sorted(zip(parts.mean(axis=1), table.index, strict=True))
    chosen = [dice[0], dice[5], dice[11]]  # of twelve
    told = [panel.get_ylabel().split("\n")[0] for panel in figure.axes[::4]]
    names = ("Worst", "Median", "Best")
    assert told == [
        f"{name}, Dice {100 * value:.1f} %" for name, (value, _) in zip(names, chosen, strict=True)
    ]
    assert figure.get_suptitle() == "LUNA16 lungs, SimCroP"
    texts = [text.get_text() for text in figure.legends[0].get_texts()]
    expected = []
    for number, name in enumerate(("left lung", "right lung", "trachea"), 1):
        values = [table.loc[case, f"dice:{name}"] for _, case in chosen]
        shown = ", ".join("–" if np.isnan(v) else f"{100 * v:.1f}" for v in values)
        expected.append(f"{number}  {name}: {shown}")
    assert texts == expected


def test_the_similarity_map_is_that_of_the_median_lesion_and_its_sentence(figures_run, drawn):
    folder = Path(figures_run.localisations[0].run)
    table = scores.read_predictions(folder / "predictions.csv")
    table = table[table["case"].isin(["case_000", "case_001"])].sort_values("auroc")
    sentence = table["sentence"].iloc[1]  # of two lesions of two cases
    assert drawn["similarity_lesions"].get_suptitle() == f"“{sentence}”"


def test_a_forest_shows_the_paired_difference_of_every_label(figures_run, drawn):
    (panel,) = drawn["per_label_difference_ct-rate"].axes
    bars = {bar.get_label(): bar for bar in panel.containers}
    assert list(bars) == ["Random weights", "MAE"]
    names = [tick.get_text() for tick in panel.get_yticklabels()]
    assert names[0] == "All labels (mean)"
    tables = {}
    for path in map(Path, figures_run.scores):
        if path.parts[-4] == "ct-rate":
            table = scores.read_predictions(path.with_name("predictions.csv"))
            tables.setdefault(path.parts[-3], []).append(table[table["fraction"] == 1.0])
    for method, title in (("random", "Random weights"), ("mae", "MAE")):
        ahead = {}
        for name in names[1:]:
            areas = {
                m: np.mean(
                    [roc_auc_score(t[f"label:{name}"], t[f"score:{name}"]) for t in tables[m]]
                )
                for m in ("simcrop", method)
            }
            ahead[name] = 100 * (areas["simcrop"] - areas[method])
        expected = [np.mean(list(ahead.values())), *ahead.values()]
        line, _, (reach,) = bars[title].lines
        assert line.get_xdata() == pytest.approx(expected)
        low, high = np.array([segment[:, 0] for segment in reach.get_segments()]).T
        assert ((low <= expected) & (expected <= high)).all()
        # The mean over labels is surer than any label.
        assert (high - low)[0] < (high - low)[1:].min()


def test_labels_without_a_case_have_no_row_and_are_named():
    rows = [
        ("ct-rate", method, 1.0, f"auroc:{label}", mean, mean, mean)
        for method in ("mae", "simcrop")
        for label, mean in (("Emphysema", 0.7), ("Hiatal hernia", np.nan), ("Lung nodule", 0.6))
    ]
    columns = ["benchmark", "method", "fraction", "metric", "mean", "low", "high"]
    titles = {"ct-rate": "CT-RATE", "mae": "MAE", "simcrop": "SimCroP"}
    table = pd.DataFrame(rows, columns=columns)
    with style.styled():
        figure = plots.per_label_auroc(table, "ct-rate", ["mae", "simcrop"], titles)
    names = [tick.get_text() for tick in figure.axes[0].get_yticklabels()]
    assert names == ["Lung nodule", "Emphysema"]
    assert figure.legends[0].get_title().get_text().endswith("test case: Hiatal hernia")


def test_training_curves_are_the_mean_over_seeds_in_a_band(drawn):
    panels = {panel.get_title(): panel for panel in drawn["training_curves"].axes}
    assert list(panels) == ["Image reconstruction", "Global contrast", "Learning rate"]
    lines = {line.get_label(): line for line in panels["Image reconstruction"].lines}
    assert list(lines) == ["MAE", "SimCroP"]
    epochs = np.arange(1, 31)
    assert lines["MAE"].get_xdata() == pytest.approx(epochs)
    assert lines["MAE"].get_ydata() == pytest.approx(np.exp(-epochs / 10) + 0.05)
    band = panels["Image reconstruction"].collections[0].get_paths()[0].vertices
    assert band[:, 1].min() == pytest.approx(np.exp(-3))
    assert band[:, 1].max() == pytest.approx(np.exp(-0.1) + 0.1)
    assert [line.get_label() for line in panels["Global contrast"].lines] == ["SimCroP"]
    rate = panels["Learning rate"].lines[0].get_ydata()
    assert rate == pytest.approx(np.exp(-epochs))  # in thousandths


def test_a_sweep_has_the_values_of_the_setting_across_and_rings_the_methods_own(figures_run, drawn):
    panel = drawn["ablation_sweeps"].axes[0]
    assert list(panel.get_xticks()) == [1, 8]
    table = pd.read_csv(Path(figures_run.tables) / "ablation.csv")
    table = table[(table["benchmark"] == "ct-rate") & (table["metric"] == "auroc")]
    means = table.set_index(["method", "fraction"])["mean"]
    for bar, fraction in zip(panel.containers, (0.1, 1.0), strict=True):
        expected = [100 * means[method, fraction] for method in ("simcrop-k_1", "simcrop")]
        assert bar.get_label() == f"{100 * fraction:g} % of the labels"
        assert bar.lines[0].get_xdata() == pytest.approx([1, 8])
        assert bar.lines[0].get_ydata() == pytest.approx(expected)
    rings = [line for line in panel.lines if line.get_label() == "SimCroP itself"]
    assert [ring.get_xdata() for ring in rings] == [[8], [8]]


def test_what_there_is_no_material_for_is_left_out(figures_run, tmp_path):
    with VolumeWriter(tmp_path / "empty.zip"):
        pass
    header = "benchmark,method,fraction,metric,mean,low,high,seeds,cases\n"
    for name in ("classification", "segmentation"):
        (tmp_path / f"{name}.csv").write_text(header)
    lists = ("segmentations", "localisations", "scores", "trainings")
    update = {**{name: [] for name in lists}, "tables": str(tmp_path)}
    run = figures_run.model_copy(update={**update, "reconstruction": str(tmp_path / "empty.zip")})
    assert _draw(run) == {}
    tables = {"tables": figures_run.tables, "localisations": figures_run.localisations}
    names = ["label_efficiency", "similarity_lesions"]
    assert list(_draw(run.model_copy(update=tables))) == names


def test_a_missing_table_is_named(figures_run, tmp_path):
    with pytest.raises(InputError, match=r"classification\.csv: no such table"):
        figures(figures_run.model_copy(update={"tables": str(tmp_path)}), tmp_path)


def test_the_legend_of_many_methods_with_long_titles_is_no_wider_than_the_figure():
    methods = [f"m{i}" for i in range(20)]
    rows = [
        ("ct-rate", method, fraction, "auroc", 0.7, 0.6, 0.8)
        for method in methods
        for fraction in (0.1, 1.0)
    ]
    columns = ["benchmark", "method", "fraction", "metric", "mean", "low", "high"]
    titles = {m: f"{m}: negatives of the same report, without words" for m in methods}
    table = pd.DataFrame(rows, columns=columns)
    with style.styled():
        figure = plots.label_efficiency(table, methods, {**titles, "ct-rate": "CT-RATE"})
        figure.canvas.draw()
    assert len(figure.legends) == 1
    box = figure.legends[0].get_window_extent()
    assert box.x0 >= 0 and box.x1 <= figure.bbox.width
    (panel,) = figure.axes
    drawn = [line.get_xdata() for bar in panel.containers for line in bar.lines[:1]]
    left, right = panel.get_xlim()
    assert left < np.min(drawn) and np.max(drawn) < right
