"""The page, looked at in a browser: rows, pictures, filters; and what it tells of the runs."""

from pathlib import Path

import pytest
from browser import look

from simcrop import runs
from simcrop.errors import InputError
from simcrop.formats import scores
from simcrop.report.figures import figures
from simcrop.report.page import page


@pytest.fixture(scope="module")
def page_run(figures_run, table_runs, tmp_path_factory) -> runs.Page:
    folder = tmp_path_factory.mktemp("results")
    figures(figures_run, folder / "figures")
    (folder / "caption.rst").write_text("What\nit <shows>.\n")
    (folder / "prepare" / "ct-rate").mkdir(parents=True)
    audit = folder / "prepare" / "ct-rate" / "audit.csv"
    audit.write_text("case,reason,note\nbad_1,spans 3 mm,\ngood,,odd\n")
    shown = [
        runs.Shown(
            file=str(folder / "figures" / f"{name}.svg"),
            title=title,
            benchmark=benchmark,
            method=method,
            caption=str(folder / "caption.rst"),
        )
        for name, title, benchmark, method in (
            ("label_efficiency", "Label efficiency", "all", "all"),
            ("segmentation_lungs", "Segmentation", "LUNA16 lungs", "SimCroP"),
        )
    ]
    tables = ("classification", "segmentation", "localisation")
    return runs.Page(
        protocol="sound",
        titles=figures_run.titles,
        example="simcrop",
        results=str(folder),
        tables=[f"{figures_run.tables}/{name}.csv" for name in tables],
        figures=shown,
        scores=[path for name in tables for path in table_runs[name].scores],
        audits=[str(audit)],
    )


@pytest.fixture(scope="module")
def made(page_run, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("page")
    page(page_run, out)
    return out


COUNTED = """
const count = (where) => [...document.querySelectorAll(where)].filter((e) => e.offsetParent).length;
const counts = () => ({
  tables: count("table.results"), rows: count("table.results tbody tr"), figures: count("figure"),
});
const choose = (name, value) => {
  const list = document.getElementById(name);
  list.value = value;
  list.dispatchEvent(new Event("change"));
  return counts();
};
const all = counts();
const lungs = choose("benchmark", "LUNA16 lungs");
const lungsByMae = choose("method", "MAE");
choose("benchmark", "");
return {
  all, lungs, lungsByMae,
  again: choose("method", ""),
  widths: [...document.images].map((image) => image.naturalWidth),
  benchmarks: [...document.getElementById("benchmark").options].map((option) => option.text),
  heads: [...document.querySelectorAll("h2")].map((head) => head.textContent),
};
"""


def test_tables_have_rows_pictures_show_and_the_lists_filter(made, tmp_path):
    told = look(made / "index.html", COUNTED, tmp_path)
    # Three benchmarks and one, by three methods at two fractions; and lesions by one method.
    assert told["all"] == {"tables": 3, "rows": 25, "figures": 2}
    assert told["lungs"] == {"tables": 1, "rows": 6, "figures": 2}
    assert told["lungsByMae"] == {"tables": 1, "rows": 2, "figures": 1}
    assert told["again"] == told["all"]
    assert len(told["widths"]) == 2
    assert min(told["widths"]) > 300
    named = ["CT-RATE", "CC-CCII", "LUNA16 & co", "LUNA16 lungs", "CT-RATE lesions"]
    assert told["benchmarks"] == ["all", *named]
    assert told["heads"] == ["Tables", "Figures", "Provenance", "Costs", "Set aside"]


def test_values_provenance_and_what_was_set_aside_stand_on_it(made, page_run):
    text = (made / "index.html").read_text()
    rows = Path(page_run.tables[0]).read_text().splitlines()[1:]
    first = dict(zip(("mean", "low", "high"), map(float, rows[0].split(",")[4:7]), strict=True))
    mean, low, high = (f"{100 * first[key]:.1f}" for key in ("mean", "low", "high"))
    assert f"{mean} <small>[{low}, {high}]</small>" in text
    count = f'<td class="number">{len(page_run.scores)}</td>'
    assert f"<td>commit</td><td>be4a256</td>{count}" in text
    assert "<td>ct-rate</td><td>bad_1</td><td>spans 3 mm</td>" in text
    assert "What it &lt;shows&gt;." in text
    assert ">good<" not in text
    assert "http" not in text.replace("http://www.w3.org", "")  # nothing is loaded from elsewhere


def test_a_missing_figure_is_named(page_run, tmp_path):
    gone = page_run.figures[0].model_copy(update={"file": str(tmp_path / "gone.svg")})
    with pytest.raises(InputError, match=r"gone\.svg: no such figure"):
        page(page_run.model_copy(update={"figures": [gone]}), tmp_path)


def test_what_needs_no_labels_has_no_share_of_them(made):
    text = (made / "index.html").read_text()
    assert text.count("<td>CT-RATE lesions</td><td>SimCroP</td><td>–</td>") == 1
    assert text.count("<td>LUNA16 lungs</td><td>SimCroP</td><td>100 %</td>") == 1


def test_what_touches_training_is_told(page_run, made, table_runs, copied, tmp_path):
    assert "<p>Protocol: sound.</p>" in (made / "index.html").read_text()
    assert 'class="warning"' not in (made / "index.html").read_text()
    paths = copied(table_runs["classification"], tmp_path)
    for path in paths:
        found = scores.read(path)
        if found["benchmark"] == "ct-rate":
            found["settings"]["settings"]["select_on"] = "test"
            scores.write(path, {**found, "leaks": ["case_003"], "undefined": ["Hernia"]})
    changes = {"protocol": "published", "scores": [str(path) for path in paths]}
    page(page_run.model_copy(update=changes), tmp_path)
    text = (tmp_path / "index.html").read_text()
    assert "<p>Protocol: published.</p>" in text
    for told in (
        "too high: CT-RATE.",
        "have it: CT-RATE: 1 cases",
        "test cases that show it: CT-RATE: Hernia.",
    ):
        assert told in text
