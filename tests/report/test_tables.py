"""The tables' rows and numbers, and that Markdown and LaTeX say the same as the CSV."""

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from simcrop.formats import scores
from simcrop.report.layout import Cell, Grid, grid, percent
from simcrop.report.tables import table
from simcrop.report.typeset import escaped, latex

HEADER = "benchmark,method,fraction,metric,mean,low,high,seeds,cases,sd,p,p_holm"
RANKED = ("auroc", "average_precision", "sensitivity")
DECIDED = ("accuracy", "f1", "calibration_error")
TABLES = ("classification", "segmentation", "localisation", "ablation")


def _value(frame: pd.DataFrame, **where) -> pd.Series:
    for column, value in where.items():
        frame = frame[frame[column] == value]
    assert len(frame) == 1
    return frame.iloc[0]


def test_rows_are_sorted_by_titles_fraction_and_metric(made, table_runs):
    order = list(table_runs["ablation"].titles)
    for name in TABLES:
        assert (made / f"{name}.csv").read_text(encoding="utf-8").splitlines()[0] == HEADER
        frame = pd.read_csv(made / f"{name}.csv")
        keys = list(zip(frame["benchmark"], frame["method"], frame["fraction"], strict=True))
        assert keys == sorted(keys, key=lambda k: (order.index(k[0]), order.index(k[1]), k[2]))
        assert not frame.duplicated(["benchmark", "method", "fraction", "metric"]).any()
    frame = pd.read_csv(made / "classification.csv")
    heads = {
        benchmark: list(rows["metric"][~rows["metric"].str.contains(":")].unique())
        for benchmark, rows in frame.groupby("benchmark")
    }
    assert heads == {
        "ct-rate": [*RANKED, *DECIDED],
        "cc-ccii": ["accuracy", *RANKED, "f1", "calibration_error"],
        "luna16": [*RANKED, *DECIDED],
    }
    frame = pd.read_csv(made / "localisation.csv")
    assert list(frame["metric"]) == ["pointing", "chance", "auroc", "dice"]


def test_numbers_have_six_decimals(made):
    for line in (made / "segmentation.csv").read_text(encoding="utf-8").splitlines()[1:]:
        assert all(re.fullmatch(r"[01]\.\d{6}", number) for number in line.split(",")[4:7])


def test_means_are_those_of_scikit_learn_averaged_over_seeds(made, table_runs):
    frame = pd.read_csv(made / "classification.csv")
    areas, precisions = [], []
    for path in table_runs["classification"].scores:
        if "/ct-rate/mae/" in path:
            part = scores.read_predictions(Path(path).with_name("predictions.csv"))
            part = part[part["fraction"] == 0.1]
            truth, score = part.filter(regex="^label:"), part.filter(regex="^score:")
            areas.append(roc_auc_score(truth, score))
            precisions.append(average_precision_score(truth, score))
    assert len(areas) == 2
    for metric, values in (("auroc", areas), ("average_precision", precisions)):
        row = _value(frame, benchmark="ct-rate", method="mae", fraction=0.1, metric=metric)
        assert row["mean"] == pytest.approx(np.mean(values), abs=1e-6)
        assert row["low"] < row["mean"] < row["high"]
        assert (row["seeds"], row["cases"]) == (2, 80)


def test_methods_with_equal_predictions_get_equal_intervals(made, table_runs, tmp_path):
    run = table_runs["segmentation"]
    copies = []
    for path in run.scores:
        if "/mae/" in path:
            found = scores.read(path)
            for method in ("mae", "random"):
                to = tmp_path / method / str(found["seed"]) / "scores.json"
                table_ = scores.read_predictions(Path(path).with_name("predictions.csv"))
                # Neither names nor the order of rows may change which patients are drawn.
                table_ = table_ if method == "mae" else table_.iloc[::-1]
                scores.write_predictions(to.with_name("predictions.csv"), table_)
                scores.write(to, found | {"method": method})
                copies.append(str(to))
    table(run.model_copy(update={"scores": copies}), tmp_path)
    frame = pd.read_csv(tmp_path / "segmentation.csv").drop(columns=["benchmark"])
    one, other = (
        frame[frame["method"] == method].drop(columns="method").reset_index(drop=True)
        for method in ("mae", "random")
    )
    pd.testing.assert_frame_equal(one, other)


def _cells(made: Path, name: str) -> tuple[list[str], list[list[str]]]:
    lines = [
        line
        for line in (made / f"{name}.md").read_text(encoding="utf-8").splitlines()
        if line[:1] == "|"
    ]
    rows = [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]
    return rows[0], rows[2:]


@pytest.mark.parametrize("name", TABLES)
def test_markdown_holds_the_numbers_of_the_csv(made, table_runs, name):
    titles = table_runs[name].titles
    metrics = {"AUROC": "auroc", "Accuracy": "accuracy", "Dice": "dice", "Pointing": "pointing"}
    metrics["Chance"] = "chance"
    frame = pd.read_csv(made / f"{name}.csv")
    headers, rows = _cells(made, name)
    compared = 0
    keys = {re.sub(r"\\", "", title): key for key, title in titles.items()}
    for row in rows:
        method = keys[row[0].replace("\\", "")]
        for header, cell in zip(headers[1:], row[1:], strict=True):
            benchmark, metric, *rest = header.split("<br>")
            fraction = float(rest[0].removesuffix(" %")) / 100 if rest else 1.0
            numbers = [float(n) for n in re.findall(r"\d+\.\d", cell)]
            where = {"benchmark": keys[benchmark], "method": method, "fraction": fraction}
            if cell == "–":
                assert frame.query("benchmark == @where['benchmark'] and method == @method").empty
                continue
            found = _value(frame, metric=metrics[metric], **where)
            assert numbers == pytest.approx(100 * found[["mean", "low", "high"]], abs=0.05001)
            compared += 1
    assert compared >= (4 if name == "localisation" else 6)


@pytest.mark.parametrize("name", ["classification", "segmentation", "ablation"])
def test_the_best_of_each_column_is_bold_and_the_second_underlined(made, name):
    _, rows = _cells(made, name)
    for column in list(zip(*rows, strict=True))[1:]:
        values = {cell: float(re.search(r"\d+\.\d", cell)[0]) for cell in column if cell != "–"}
        distinct = sorted(set(values.values()), reverse=True)
        if len({*column}) < 2 or len(values) < 2:
            continue
        for cell, value in values.items():
            assert cell.startswith("**") == (value == distinct[0])
            assert cell.startswith("<u>") == (value == distinct[1])


def test_printed_ties_are_marked_alike_and_chance_not_at_all():
    rows = [
        ("b", method, 1.0, metric, mean, 0.1, 0.9, 2, 9, 0.01, np.nan, np.nan, "localisation")
        for metric, means in {
            "pointing": (0.70001, 0.70002, 0.6),
            "chance": (0.1, 0.2, 0.3),
        }.items()
        for method, mean in zip("xyz", means, strict=True)
    ]
    columns = [*HEADER.split(","), "task"]
    found = grid(pd.DataFrame(rows, columns=columns), {k: k for k in "bxyz"})
    assert [[cell.rank for cell in cells] for _, cells in found.rows] == [
        [1, None],
        [1, None],
        [2, None],
    ]


def test_the_foot_states_interval_and_provenance(made):
    for suffix in ("md", "tex"):
        text = (
            (made / f"classification.{suffix}").read_text(encoding="utf-8").replace("\\,\\%", " %")
        )
        assert "95 % interval of a bootstrap over test patients" in text
        assert "200 resamples" in text
        data = " and ".join(f"{name} 0123456789ab" for name in ("cc-ccii", "ct-rate", "luna16"))
        made_with = f"commit be4a256, data {data}, device cpu, simcrop 0.1.0, torch 2.13.0"
        digests = "settings [0-9a-f]{12}, weights [0-9a-f]{12}[.]"
        assert re.search(f"Made with {made_with}, {digests}", text)
        assert "Seeds: 2." in text


def test_latex_is_balanced_and_every_row_has_all_columns(made):
    for name in TABLES:
        text = (made / f"{name}.tex").read_text(encoding="utf-8")
        bare = re.sub(r"\\[{}&%$#_]", "", text)
        assert bare.count("{") == bare.count("}")
        for begun, ended in zip(
            re.findall(r"\\begin\{(.+?)\}", bare),
            reversed(re.findall(r"\\end\{(.+?)\}", bare)),
            strict=True,
        ):
            assert begun == ended
        columns = len(re.search(r"\\begin\{tabular\}\{(\w+)\}", bare)[1])
        body = bare[bare.index(r"\toprule") : bare.index(r"\bottomrule")]
        rows = [line for line in body.splitlines() if line.endswith(r"\\")]
        assert len(rows) >= 4
        for row in rows:
            spanned = sum(int(n) - 1 for n in re.findall(r"\\multicolumn\{(\d+)\}", row))
            assert row.count("&") + 1 + spanned == columns


def test_latex_specials_in_titles_are_escaped(made):
    assert r"LUNA16 \& co" in (made / "classification.tex").read_text(encoding="utf-8")
    text = (made / "ablation.tex").read_text(encoding="utf-8")
    assert r"without image\_reconstruction" in text
    assert r"K = 1 \{25\,\% of patches\}" in text
    assert escaped("a\\b ~^<$#") == (
        r"a\textbackslash{}b \textasciitilde{}\textasciicircum{}\textless{}\$\#"
    )


def test_latex_marks_best_and_second():
    row = ("m", [Cell("1.0", "[0.5, 1.5]", 1), Cell("0.5", "", 2), Cell()])
    text = latex(Grid([("B", "Dice", "10 %")] * 3, [row]), "C", [], "t")
    assert r"m & \textbf{1.0} & \underline{0.5} & -- \\" in text


def test_repetition_gives_identical_bytes_in_any_order_of_scores(made, table_runs, tmp_path):
    for run in table_runs.values():
        table(run.model_copy(update={"scores": run.scores[::-1]}), tmp_path)
    names = sorted(path.name for path in made.iterdir())
    assert names == sorted(f"{n}.{s}" for n in TABLES for s in ("csv", "html", "md", "tex"))
    for name in names:
        assert (tmp_path / name).read_bytes() == (made / name).read_bytes()


def test_a_table_without_runs_has_its_header(table_runs, tmp_path):
    table(table_runs["segmentation"].model_copy(update={"scores": []}), tmp_path)
    assert (tmp_path / "segmentation.csv").read_text(encoding="utf-8") == HEADER + "\n"
    assert "No runs." in (tmp_path / "segmentation.md").read_text(encoding="utf-8")
    assert (tmp_path / "segmentation.tex").read_text(encoding="utf-8").startswith("%")


def test_a_difference_is_that_of_the_means_and_its_interval_is_paired(made, table_runs, tmp_path):
    run = table_runs["classification"]
    means = pd.read_csv(made / "classification.csv")
    example = means["method"].iloc[-1]
    settings = run.settings.model_copy(update={"example": example})
    table(run.model_copy(update={"table": "difference", "settings": settings}), tmp_path)
    found = pd.read_csv(tmp_path / "difference.csv")
    assert example not in set(found["method"])
    assert set(found["benchmark"]) == set(means["benchmark"])
    assert not found.duplicated(["benchmark", "method", "fraction"]).any()
    assert (found["seeds"] == 2).all()
    assert found["sd"].notna().all()
    for row in found.itertuples():
        where = {"benchmark": row.benchmark, "fraction": row.fraction, "metric": row.metric}
        other = _value(means, method=row.method, **where)
        ahead = _value(means, method=example, **where)["mean"] - other["mean"]
        assert row.mean == pytest.approx(ahead, abs=2e-6)
        assert row.low <= row.mean <= row.high


def test_a_method_is_not_ahead_of_one_with_the_same_predictions(copied, table_runs, tmp_path):
    run = table_runs["classification"]
    paths = copied(run, tmp_path)
    found = [json.loads(path.read_text(encoding="utf-8")) for path in paths]
    first, *others = dict.fromkeys(one["method"] for one in found)
    same = {
        (one["benchmark"], one["seed"]): path.with_name("predictions.csv").read_bytes()
        for path, one in zip(paths, found, strict=True)
        if one["method"] == first
    }
    for path, one in zip(paths, found, strict=True):
        if (one["benchmark"], one["seed"]) in same:
            path.with_name("predictions.csv").write_bytes(same[one["benchmark"], one["seed"]])
    settings = run.settings.model_copy(update={"example": first})
    scored = [str(path) for path in paths]
    changes = {"table": "difference", "settings": settings, "scores": scored}
    table(run.model_copy(update=changes), tmp_path)
    ahead = pd.read_csv(tmp_path / "difference.csv")
    assert set(ahead["method"]) == {*others}
    assert (ahead[["mean", "low", "high"]] == 0).all().all()


def test_no_labels_at_all_are_called_zero_shot():
    assert [percent(share) for share in (0.0, 0.05, 1.0)] == ["zero-shot", "5 %", "100 %"]


def test_p_values_are_of_the_main_metric_and_corrected_for_the_tables_comparisons(made):
    frame = pd.read_csv(made / "classification.csv")
    tested = frame[frame["p"].notna()]
    assert set(zip(tested["benchmark"], tested["metric"], strict=True)) == {
        *(("ct-rate", "auroc"), ("cc-ccii", "accuracy"), ("luna16", "auroc"))
    }
    assert set(tested["method"]) == {"random", "mae"}
    assert len(tested) == 3 * 2 * 2
    least = tested["p"].min()
    assert tested["p_holm"].min() == pytest.approx(min(1, 12 * least), abs=1e-5)
    assert (tested["p_holm"] >= tested["p"]).all()
    text = (made / "classification.md").read_text(encoding="utf-8")
    assert "corrected by Holm's method for the 12 comparisons of this table" in text
    marked = [cell for row in _cells(made, "classification")[1] for cell in row if "†" in cell]
    assert len(marked) == (tested["p_holm"] < 0.05).sum() > 0


def test_the_deviation_over_seeds_stands_beside_the_mean(made, table_runs):
    frame = pd.read_csv(made / "classification.csv")
    values = []
    for path in table_runs["classification"].scores:
        if "/luna16/simcrop/" in path:
            part = scores.read_predictions(Path(path).with_name("predictions.csv"))
            part = part[part["fraction"] == 1]
            values.append(roc_auc_score(part["label:Lung nodule"], part["score:Lung nodule"]))
    where = {"benchmark": "luna16", "method": "simcrop", "fraction": 1.0, "metric": "auroc"}
    assert _value(frame, **where)["sd"] == pytest.approx(np.std(values, ddof=1), abs=1e-6)


def test_of_distances_the_lower_is_the_better():
    rows = [
        ("b", method, 1.0, metric, mean, mean, mean, 1, 9, np.nan, np.nan, np.nan, "segmentation")
        for method, means in {"x": (0.9, 12.34), "y": (0.8, 3.21)}.items()
        for metric, mean in zip(("dice", "hd95"), means, strict=True)
    ]
    found = grid(pd.DataFrame(rows, columns=[*HEADER.split(","), "task"]), {k: k for k in "bxy"})
    assert [header[1] for header in found.headers] == ["Dice", "HD95 (mm)"]
    assert [[(c.mean, c.rank) for c in cells] for _, cells in found.rows] == [
        [("90.0", 1), ("12.3", 2)],
        [("80.0", 2), ("3.2", 1)],
    ]


def test_probes_of_one_encoder_are_averaged_as_one_seed(copied, table_runs, tmp_path, made):
    run = table_runs["classification"]
    paths = copied(run, tmp_path)
    for path in paths:
        told = path.with_name("predictions.csv")
        one = scores.read_predictions(told)
        other = one.copy()
        columns = list(one.filter(regex="^score:"))
        other[columns] = one[columns].to_numpy()[::-1]
        scores.write_predictions(told, pd.concat([one.assign(probe=0), other.assign(probe=1)]))
    table(run.model_copy(update={"scores": [str(path) for path in paths]}), tmp_path / "both")
    both, one = (pd.read_csv(path / "classification.csv") for path in (tmp_path / "both", made))
    where = {"benchmark": "ct-rate", "method": "mae", "fraction": 1.0, "metric": "auroc"}
    assert _value(both, **where)["seeds"] == 2
    areas = []
    for path in paths:
        if "/ct-rate/mae/" in str(path):
            found = scores.read_predictions(path.with_name("predictions.csv"))
            for _, part in found[found["fraction"] == 1].groupby("probe"):
                labels, told = part.filter(regex="^label:"), part.filter(regex="^score:")
                areas.append(roc_auc_score(labels, told))
    assert len(areas) == 4
    by_encoder = np.reshape(areas, (2, 2)).mean(axis=1)
    assert _value(both, **where)["sd"] == pytest.approx(np.std(by_encoder, ddof=1), abs=1e-6)
    assert _value(both, **where)["mean"] == pytest.approx(np.mean(areas), abs=1e-6)
    assert _value(both, **where)["mean"] != _value(one, **where)["mean"]
