"""The sentence table keeps text and spans to the character."""

import pandas as pd
import pytest

from simcrop.errors import InputError
from simcrop.formats import sentences

ROWS = [
    ("001", "findings", 0, 'A "quoted", long\nsentence.', 0, 26),
    ("001", "findings", 1, "NA", 27, 29),
    ("001", "impression", 0, "None.", 3, 8),
]


def table(rows: list[tuple] = ROWS) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=sentences.COLUMNS)


@pytest.mark.parametrize("rows", [ROWS, []])
def test_what_is_written_is_read(tmp_path, rows):
    sentences.write(table(rows), tmp_path / "sentences.csv")
    read = sentences.read(tmp_path / "sentences.csv")
    assert list(read.itertuples(index=False, name=None)) == rows
    assert tuple(read.columns) == sentences.COLUMNS
    assert all(read[column].dtype == int for column in ("order", "start", "end"))


def test_an_unknown_section_is_named(tmp_path):
    with pytest.raises(InputError, match="case 'a' has section 'technique'"):
        sentences.write(table([("a", "technique", 0, "x", 0, 1)]), tmp_path / "sentences.csv")


def test_a_missing_column_is_named(tmp_path):
    table().drop(columns="end").to_csv(tmp_path / "sentences.csv", index=False)
    with pytest.raises(InputError, match=r"sentences\.csv: columns are"):
        sentences.read(tmp_path / "sentences.csv")


def test_a_missing_table_is_named(tmp_path):
    with pytest.raises(InputError, match=r"sentences\.csv: no such sentence table"):
        sentences.read(tmp_path / "sentences.csv")
