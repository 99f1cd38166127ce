"""The page of results in a browser, and the pages of docs/ whose commands are run as they stand."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import yaml
from browser import look
from workflow_run import run

pytestmark = pytest.mark.xdist_group("workflow")

# Opens every category, clicks on the eye of each of its results, and tells what is seen.
CLICKED = """
const seen = {};
while (!app) await pause(100);
for (const category of Object.keys(categories)) {
  app.setView({ navbarMode: "menu" });
  await pause(300);
  app.showCategory(category);
  await pause(300);
  seen[category] = [];
  for (const row of document.querySelectorAll("#app tbody tr")) {
    row.querySelector("a").click();
    await pause(500);
    const picture = document.querySelector("#app .grow > div > img");
    const frame = document.querySelector("#app iframe");
    const held = frame ? atob(frame.src.split(",")[1]).length : 0;
    seen[category].push([row.textContent.trim(), picture ? picture.naturalWidth : 0, held]);
  }
}
return seen;
"""


@pytest.fixture(scope="module")
def report(finished, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("report") / "report.html"
    run(finished, "--report", str(path))
    return path


def test_the_report_opens_in_a_browser_and_shows_every_result(finished, report, tmp_path):
    seen = look(report, CLICKED, tmp_path)
    figures = list((finished / "results/report/figures").glob("*.png"))
    assert len(seen["Figures"]) == len(figures)
    assert all(width > 300 for _, width, _ in seen["Figures"])
    tables = (finished / "results/report").glob("*.html")
    held = {name: size for name, _, size in seen["Tables"]}
    assert held == {path.stem: path.stat().st_size for path in tables if path.stem != "index"}
    ((_, _, size),) = seen["All on one page"]
    assert size == (finished / "results/report/index.html").stat().st_size


def test_the_page_has_every_row_and_picture(finished, tmp_path):
    page = finished / "results/report/index.html"
    script = """
    const texts = (where) => [...document.querySelectorAll(where)].map((e) => e.textContent);
    return {
      rows: [...document.querySelectorAll("table.results")].map((t) => t.tBodies[0].rows.length),
      widths: [...document.images].map((image) => image.naturalWidth),
      costs: texts("#costs + p + table tbody td:first-child"),
      made: texts("#provenance + p + table tbody td:first-child"),
    };
    """
    told = look(page, script, tmp_path)
    names = ("classification", "segmentation", "localisation", "retrieval", "difference")
    expected = []
    for name in (*names, "ablation"):
        table = pd.read_csv(finished / f"results/report/{name}.csv")
        expected.append(len(table[["benchmark", "method", "fraction"]].drop_duplicates()))
    assert told["rows"] == expected
    assert len(told["widths"]) == len(list((finished / "results/report/figures").glob("*.svg")))
    assert min(told["widths"]) > 300
    assert told["costs"] == ["acquire", "prepare", "pretrain", "benchmark", "report", "all"]
    assert {"simcrop", "torch", "device"} <= set(told["made"])


@pytest.fixture
def cloned(root, finished, lay_over, tmp_path) -> Path:
    """A clone with its results, whose own configuration is the shrunken one."""
    folder = shutil.copytree(finished, tmp_path / "clone", symlinks=True)
    shutil.copytree(root / "simcrop", folder / "simcrop")
    path = folder / "config" / "config.yaml"
    config = yaml.safe_load(path.read_text())
    lay_over(config, yaml.safe_load((root / "tests/suite/tiny.yaml").read_text()))
    path.write_text(yaml.safe_dump(config, sort_keys=False))
    return folder


@pytest.mark.parametrize(
    ("page", "row"), [("own-method.md", "My encoder"), ("own-dataset.md", "My dataset")]
)
def test_the_commands_of_a_page_do_what_it_says(root, cloned, page, row):
    text = (root / "docs" / page).read_text()
    commands = re.findall(r"(?:^    .*\n|^\n(?=    ))+", text, re.MULTILINE)
    script = "\n".join(re.sub("^    ", "", block, flags=re.MULTILINE) for block in commands)
    assert script.count("snakemake ") >= 2
    done = subprocess.run(
        ["bash", "-euxo", "pipefail", "-c", script],
        cwd=cloned,
        env={
            **os.environ,
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "PYTHONPATH": str(cloned),
        },
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-6000:]
    assert row in done.stdout.splitlines()[-1]
