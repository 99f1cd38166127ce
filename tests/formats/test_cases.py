"""The case table keeps its contract on write and on read."""

import numpy as np
import pandas as pd
import pytest

from simcrop.errors import InputError
from simcrop.formats import cases

COLUMNS = ("case", "patient", "split")


def table(**columns: list) -> pd.DataFrame:
    """Three cases of three patients, one a split, with `columns` laid over them."""
    rows = {name: ["", "", ""] for name in (*cases.TEXT, *cases.HINTS)}
    rows |= {"case": ["a", "b", "c"], "patient": ["p", "q", "r"], "split": list(cases.SPLITS)}
    return pd.DataFrame(rows | columns)


def test_what_is_written_is_read(tmp_path):
    written = table(
        findings=['A "quoted", long\nreport.\r\nEnd', " NA ", "null"],
        case=["001", "1e5", "NaN"],
        spacing=["0.7 0.7 1", "", ""],
        **{"label:Nodule": [1.0, 0.0, np.nan], "label:Lung opacity": [np.nan, np.nan, 1.0]},
    )
    cases.write(written, tmp_path / "cases.csv")
    pd.testing.assert_frame_equal(cases.read(tmp_path / "cases.csv"), written)


def test_labels_that_are_all_unknown_stay_numbers(tmp_path):
    cases.write(table(**{"label:Nodule": [np.nan] * 3}), tmp_path / "cases.csv")
    read = cases.read(tmp_path / "cases.csv")
    assert read["label:Nodule"].dtype == float
    assert read["label:Nodule"].isna().all()


def test_labels_are_named_in_table_order():
    assert cases.labels(table(**{"label:B": [1, 1, 1], "label:A": [0, 0, 0]})) == ["B", "A"]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"case": ["a", "b", "a"]}, "case 'a' stands in more than one row"),
        ({"case": ["a", "", "c"]}, r"row 2 \(''\) has no case"),
        ({"patient": ["p", "q", ""]}, r"row 3 \('c'\) has no patient"),
        ({"split": ["train", "valid", ""]}, "case 'b' has split 'valid'"),
        ({"patient": ["p", "p", "q"]}, "patient 'p' stands in train and val"),
        ({"Nodule": [0, 1, 0]}, "unknown column 'Nodule'"),
    ],
)
def test_a_table_that_breaks_the_contract_is_neither_written_nor_read(tmp_path, change, reason):
    path = tmp_path / "cases.csv"
    with pytest.raises(InputError, match=reason):
        cases.write(table(**change), path)
    assert not path.exists()
    table(**change).to_csv(path, index=False)
    with pytest.raises(InputError, match=rf"cases\.csv: {reason}"):
        cases.read(path)


def test_a_patient_may_have_scans_outside_of_any_split():
    cases.check(table(patient=["p", "p", "q"], split=["train", "", "test"]), "table")


@pytest.mark.parametrize("column", ["mask", "orientation"])
def test_a_missing_column_is_named(tmp_path, column):
    table().drop(columns=column).to_csv(tmp_path / "cases.csv", index=False)
    with pytest.raises(InputError, match=f"column '{column}' is missing"):
        cases.read(tmp_path / "cases.csv")


def test_a_label_that_is_no_number_is_named(tmp_path):
    table(**{"label:Nodule": ["1", "yes", ""]}).to_csv(tmp_path / "cases.csv", index=False)
    with pytest.raises(InputError, match=r"case 'b' has label:Nodule 'yes'"):
        cases.read(tmp_path / "cases.csv")


def test_a_missing_table_is_named(tmp_path):
    with pytest.raises(InputError, match=r"cases\.csv: no such case table"):
        cases.read(tmp_path / "cases.csv")


def test_patients_of_two_splits_become_parts_that_keep_the_contract_and_are_found_again():
    torn = table(
        case=["a", "b", "c", "d", "e", "f"],
        patient=["p", "q", "p", "q", "p", "r"],
        split=["train", "train", "test", "val", "", "test"],
        **{name: [""] * 6 for name in (*cases.TEXT, *cases.HINTS) if name not in COLUMNS},
    )
    parted = cases.check(cases.parted(torn), "here")
    assert parted["patient"].tolist() == ["p@train", "q@train", "p@test", "q@val", "p", "r"]
    assert cases.leaking(parted) == {"p@test"}
    assert cases.whole_patients(parted, "train").to_dict() == {0: "p", 1: "q"}


def test_patients_of_one_split_keep_their_names_and_leak_nothing():
    pd.testing.assert_frame_equal(cases.parted(table()), table())
    assert cases.leaking(table()) == set()
