import json
from pathlib import Path

import pandas as pd
import pytest

from simcrop import runs
from simcrop.report.summary import summary
from simcrop.report.tables import table


@pytest.fixture(scope="module")
def made(table_runs, written, tmp_path_factory):
    """What the summary of all tables but the difference says, and the tables."""
    out = tmp_path_factory.mktemp("report")
    kept = {name: run for name, run in table_runs.items() if name != "difference"}
    for run in kept.values():
        table(run, out)
    paths = [str(out / f"{name}.csv") for name in kept]
    summary(runs.Summary(tables=paths, scores=written), out)
    return out


def test_metrics_are_the_means_of_the_tables(made):
    metrics = json.loads((made / "metrics.json").read_text())
    rows = pd.read_csv(made / "classification.csv")
    where = (rows["benchmark"] == "luna16") & (rows["method"] == "mae") & (rows["fraction"] == 0.1)
    expected = dict(zip(rows["metric"][where], rows["mean"][where], strict=True))
    got = metrics["luna16"]["mae"]["10 %"]
    assert got == {name: mean for name, mean in expected.items() if ":" not in name}
    assert {"auroc", "average_precision", "accuracy"} <= set(got)
    assert set(metrics) == {"ct-rate", "cc-ccii", "luna16", "lungs", "lesions"}
    assert "simcrop-no-image" in metrics["ct-rate"]
    assert "chance" not in metrics["lesions"]["simcrop"]["100 %"]


@pytest.mark.parametrize("metric", ["auroc", "dice"])
def test_plotted_numbers_are_those_of_the_metrics_each_once(made, metric):
    metrics = json.loads((made / "metrics.json").read_text())
    expected = {
        f"{benchmark} {method} {share}": values[metric]
        for benchmark, methods in metrics.items()
        for method, shares in methods.items()
        for share, values in shares.items()
        if metric in values
    }
    rows = pd.read_csv(made / f"{metric}.csv")
    assert dict(zip(rows["run"], rows[metric], strict=True)) == expected
    assert len(rows) == len(expected) > 0


def test_every_run_s_origin_is_told_in_a_row(made, written):
    rows = pd.read_csv(made / "provenance.csv", dtype=str).set_index(
        ["benchmark", "method", "seed"]
    )
    assert len(rows) == len(written)
    folder = Path(written[0]).parent
    benchmark, method, seed = folder.parts[-3:]
    row = rows.loc[(benchmark, method, seed)]
    assert row["commit"] == "be4a256"
    assert row["data"] == f"{benchmark} 0123456789ab"
    assert row["weights"] == f"{method} {seed}"
    settings = rows["settings"]
    assert set(settings["ct-rate"]).isdisjoint(settings["cc-ccii"])
