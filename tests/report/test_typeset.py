"""That LaTeX compiles and fits, HTML parses, and both say what is marked and what is published."""

import re
import shutil
import subprocess
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from simcrop.report.layout import Cell, Grid
from simcrop.report.tables import table
from simcrop.report.typeset import html, latex, markdown

HEADERS = [
    (name, metric, fraction)
    for name, metric in (("CT-RATE & co_1", "AUROC"), ("BTCV", "Dice"), ("BTCV", "HD95 (mm)"))
    for fraction in ("1 %", "10 %", "100 %")
]
ROWS = [
    ("[Random] {x} ~50 %, λ ≥ 1", [Cell("61.0", "[58.0, 64.0]", 2, True)] * 9),
    ("SimCroP", [Cell("71.0", "[68.0, 74.0]", 1)] * 8 + [Cell()]),
]
PUBLISHED = [("MAE (published)", [Cell("70.1"), *[Cell()] * 8])]
FOOT = ["† SimCroP differs (p < 0.05) × 2 – by a #1 test^2 \\ of $5.", "Made with commit be4a256."]
GRID = Grid(HEADERS, ROWS, PUBLISHED)


def _compiled(folder: Path, *texts: str) -> str:
    """The log of pdflatex on a document of `texts`, in one narrow column."""
    body = "\n".join(texts)
    document = (
        "\\documentclass{article}\n\\usepackage[T1]{fontenc}\n\\usepackage{booktabs,graphicx}\n"
        f"\\begin{{document}}\n{body}\n\\end{{document}}\n"
    )
    (folder / "table.tex").write_text(document, encoding="utf-8")
    done = subprocess.run(
        ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "table.tex"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-2000:]
    return done.stdout


@pytest.mark.skipif(not shutil.which("pdflatex"), reason="no pdflatex here")
def test_latex_compiles_and_no_table_is_wider_than_the_text(table_runs, tmp_path):
    for run in table_runs.values():
        table(run, tmp_path)
    made = [(tmp_path / f"{name}.tex").read_text(encoding="utf-8") for name in table_runs]
    log = _compiled(tmp_path, latex(GRID, "50 % of A & B_c", FOOT, "made"), *made)
    assert "Overfull" not in log
    assert "undefined" not in log
    assert (tmp_path / "table.pdf").stat().st_size > 1000


def test_html_is_well_formed_and_holds_every_cell():
    page = html(GRID, "A & B", FOOT)
    # What XML has no word for.
    page = re.sub(r'<meta charset="utf-8">', "", page.replace("<!DOCTYPE html>", ""))
    root = ET.fromstring(page.replace("<br>", "<br/>"))
    bodies = root.findall(".//tbody")
    rows = [[len(row.findall("td")) for row in body] for body in bodies]
    assert rows == [[9, 9], [9]]
    first = bodies[0][0]
    assert first.findtext("th") == "[Random] {x} ~50 %, λ ≥ 1"
    assert "".join(first.find("td").itertext()) == "61.0†[58.0, 64.0]"
    assert bodies[0][1].find("td/b").text == "71.0"
    spans = [int(cell.get("colspan", 1)) for cell in root.find(".//thead/tr")]
    assert spans == [1, 3, 6]
    assert [p.text for p in root.findall(".//p")] == FOOT
    assert "http" not in page


def test_significance_is_marked_in_every_form():
    assert r"\underline{61.0}$^{\dagger}$" in latex(GRID, "C", FOOT, "t")
    assert "| <u>61.0</u>† [58.0, 64.0] |" in markdown(GRID, "C", FOOT)
    assert "<u>61.0</u><sup>†</sup>" in html(GRID, "C", FOOT)


def test_published_rows_stand_below_ours_behind_a_rule():
    text = latex(GRID, "C", FOOT, "t")
    assert text.index("SimCroP &") < text.rindex(r"\midrule") < text.index("MAE (published)")
    assert "MAE (published)" in markdown(GRID, "C", FOOT).splitlines()[6]


def test_a_table_without_runs_says_so():
    assert "<p>No runs.</p>" in html(Grid([], []), "C", [])
