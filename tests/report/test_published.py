"""Published figures: each with its source, beside ours, and none that is not in the file."""

import pytest

from simcrop.errors import InputError
from simcrop.report import published
from simcrop.report.tables import table

HEADER = "table,benchmark,fraction,method,metric,value,source\n"
ROW = 'classification,ct-rate,0.1,MAE 2022,auroc,0.7012,"Table 2, row 3 of doi:10.1/x"\n'


@pytest.fixture
def figures_file(tmp_path):
    def write(*rows: str, header: str = HEADER) -> str:
        path = tmp_path / "published.csv"
        path.write_text(header + "".join(rows), encoding="utf-8")
        return str(path)

    return write


def test_the_file_of_the_suite_holds_no_number_yet(root):
    assert (root / "config/published.csv").read_text(encoding="utf-8") == HEADER
    assert published.read(root / "config/published.csv", "classification").empty


def test_a_published_figure_stands_in_its_column_with_its_source(
    figures_file, table_runs, tmp_path
):
    path = figures_file(ROW, ROW.replace("classification", "segmentation"))
    run = table_runs["classification"].model_copy(update={"published": path})
    table(run, tmp_path)
    lines = (tmp_path / "classification.md").read_text(encoding="utf-8").splitlines()
    header = next(line for line in lines if line.startswith("| Method"))
    row = next(line for line in lines if line.startswith("| MAE 2022 (published)"))
    cells = dict(zip(header.split("|"), row.split("|"), strict=True))
    assert cells.pop(" CT-RATE<br>AUROC<br>10 % ") == " 70.1 "
    assert {value for key, value in cells.items() if "<br>" in key} == {" – "}
    told = "Published, not measured here: MAE 2022: Table 2, row 3 of doi:10.1/x."
    for suffix in ("md", "tex", "html"):
        assert told in (tmp_path / f"classification.{suffix}").read_text(encoding="utf-8")
    assert "MAE 2022" not in (tmp_path / "classification.csv").read_text(encoding="utf-8")


def test_ours_are_ranked_as_if_no_published_figure_stood_there(figures_file, table_runs, tmp_path):
    run = table_runs["classification"]
    table(run, tmp_path / "without")
    path = figures_file(ROW.replace("0.7012", "1.0"))
    table(run.model_copy(update={"published": path}), tmp_path / "with")
    without, beside = (
        (tmp_path / name / "classification.md").read_text(encoding="utf-8").splitlines()
        for name in ("without", "with")
    )
    assert set(without) < set(beside)


def test_a_figure_that_has_no_column_here_is_told_and_its_source_not_cited(
    figures_file, table_runs, tmp_path, capsys
):
    others = ROW.replace("ct-rate", "elsewhere"), ROW.replace("0.1,", "0.01,")
    path = figures_file(*others, ROW.replace("MAE 2022,auroc", "CLIP,f1"))
    table(table_runs["classification"].model_copy(update={"published": path}), tmp_path)
    told = capsys.readouterr().out
    for place, method in (
        ("elsewhere, auroc at fraction 0.1", "MAE 2022"),
        ("ct-rate, auroc at fraction 0.01", "MAE 2022"),
        ("ct-rate, f1 at fraction 0.1", "CLIP"),
    ):
        assert f"has no column of {place}; this value of {method} is left out" in told
    text = (tmp_path / "classification.md").read_text(encoding="utf-8")
    assert "published" not in text
    assert "CLIP" not in text


@pytest.mark.parametrize(
    ("row", "told"),
    [
        (ROW.replace('"Table 2, row 3 of doi:10.1/x"', " "), "line 2 has no source; say where"),
        (ROW.replace("0.7012", "70.12"), r"line 2: value '70\.12' is no share from 0 to 1"),
        (ROW.replace("0.7012", "high"), "line 2: value 'high' is no share"),
        (ROW.replace("0.7012", "nan"), "line 2: value 'nan' is no share"),
        (ROW.replace("classification", "classify"), "line 2: table 'classify' is none of class"),
        (ROW.replace(",auroc,", ",auc,"), "line 2: metric 'auc' is none of auroc"),
        (ROW.replace(",auroc,0.7012", ",hd95,-1"), "line 2: value '-1' is no number of mm"),
        (ROW.replace("MAE 2022", ""), "line 2 has no method"),
        (ROW + ROW, "line 3 states a value once more"),
    ],
)
def test_a_figure_that_cannot_be_shown_is_refused_by_its_line(figures_file, row, told):
    with pytest.raises(InputError, match=told):
        published.read(figures_file(row), "classification")


def test_a_file_that_is_not_there_or_has_other_columns_is_refused(figures_file, tmp_path):
    with pytest.raises(InputError, match="its header must be table,benchmark"):
        published.read(figures_file(header="benchmark,value\n"), "classification")
    with pytest.raises(InputError, match="no such file; write one that holds at least its header"):
        published.read(tmp_path / "none.csv", "classification")
