"""Sentences of real reports: nothing lost or cut in 800, and 57 that a reader has marked.

`marked_reports.csv` holds where the sentences of a report start and end, and no text of it. The
sample `hard` was chosen for its difficult places, `random` was drawn from the rest.
"""

import hashlib
import re
from pathlib import Path

import pandas as pd
import pytest

from simcrop.prepare.sentences import split

MARKED = pd.read_csv(Path(__file__).parent / "marked_reports.csv")
UNCUT = re.compile(
    r"""
    \d+(?:[.,/:x]\d+)+ | \d+\ ?x\ ?\d | \d\ ?(?:mm|cm)\b  # decimals, dates, sizes
    | \b(?:Assist|Prof|Dr|lab|approx|vs|i\.e|e\.g)\.\s*\w | T\d+\.\ ?vertebra
    """,
    re.VERBOSE,
)


@pytest.fixture(scope="module")
def reports(real_data: Path) -> list[str]:
    path = real_data / "reports/ct_rate_labelled_800.csv"
    if not path.is_file():
        pytest.skip(f"no real reports at ../shared/data/reports/{path.name}")
    return pd.read_csv(path)["report_text"].tolist()


def test_no_character_of_800_reports_is_lost(reports):
    for report in reports:
        last = 0
        for text, start, end in split(report):
            assert text == report[start:end] == text.strip() != ""
            assert not report[last:start].strip()
            last = end
        assert not report[last:].strip()
    assert len(reports) == 800


def test_no_number_size_or_abbreviation_of_800_reports_is_cut(reports):
    found = 0
    for report in reports:
        starts = [start for _, start, _ in split(report)]
        for match in UNCUT.finditer(report):
            found += 1
            assert not any(match.start() < start < match.end() for start in starts), match
    assert found > 1000


@pytest.mark.parametrize(
    ("row", "sha256", "spans"),
    MARKED[["report", "sha256", "spans"]].values.tolist(),
    ids=MARKED["report"].astype(str).tolist(),
)
def test_a_marked_report_has_the_sentences_that_the_reader_sees(reports, row, sha256, spans):
    report = reports[row]
    assert hashlib.sha256(report.encode()).hexdigest() == sha256, "the report has changed"
    marks = [tuple(map(int, span.split("-"))) for span in spans.split()]
    assert [(start, end) for _, start, end in split(report)] == marks


def test_the_marks_are_of_many_reports_and_cover_them(reports):
    assert len(MARKED) == MARKED["report"].nunique() >= 44
    for row, spans in zip(MARKED["report"], MARKED["spans"], strict=True):
        rest = list(reports[row])
        for span in spans.split():
            start, end = map(int, span.split("-"))
            rest[start:end] = " " * (end - start)
        assert not "".join(rest).strip()
