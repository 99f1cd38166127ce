"""Splits are by patient, depend on seed and names alone, and keep what a dataset states."""

import pandas as pd
import pytest

from simcrop.errors import InputError
from simcrop.prepare.splits import assign


def table(splits: list[str], scans: int = 2) -> pd.DataFrame:
    """`scans` rows for each of the patients p0, p1, …, whose splits are given."""
    rows = [(f"c{i}-{j}", f"p{i}", split) for i, split in enumerate(splits) for j in range(scans)]
    return pd.DataFrame(rows, columns=["case", "patient", "split"])


def patients(result: pd.DataFrame, split: str) -> set[str]:
    return set(result.loc[result["split"] == split, "patient"])


def test_a_dataset_without_splits_is_cut_by_patient_to_the_shares():
    result = assign(table([""] * 50), validation=0.1, test=0.2, seed=0)
    train, val, test = (patients(result, split) for split in ("train", "val", "test"))
    assert (len(train), len(val), len(test)) == (36, 4, 10)
    assert not train & val and not train & test and not val & test


def test_official_splits_stay():
    official = table(["train"] * 6 + ["val"] * 2 + ["test"] * 2)
    pd.testing.assert_frame_equal(assign(official, 0.5, 0.5, seed=0), official)


def test_validation_is_cut_from_training_and_never_from_an_official_test_split():
    official = table(["train"] * 10 + ["test"] * 10)
    result = assign(official, validation=0.2, test=0.2, seed=0)
    assert patients(result, "test") == patients(official, "test")
    assert len(patients(result, "val")) == 2
    assert patients(result, "val") < patients(official, "train")


def test_a_missing_test_split_is_cut_from_training_and_official_validation_stays():
    official = table(["train"] * 10 + ["val"] * 3)
    result = assign(official, validation=0.2, test=0.2, seed=0)
    assert patients(result, "val") == patients(official, "val")
    assert len(patients(result, "test")) == 2


def test_cases_outside_of_official_splits_stay_outside():
    result = assign(table(["train"] * 8 + [""] * 4), 0.2, 0.2, seed=0)
    assert patients(result, "") == {"p8", "p9", "p10", "p11"}


def test_a_small_share_takes_one_patient_and_none_takes_none():
    result = assign(table([""] * 5), validation=0, test=0.01, seed=0)
    assert len(patients(result, "test")) == 1
    assert not patients(result, "val")


def test_splits_depend_on_seed_and_names_but_not_on_order_or_scans():
    rows = table([""] * 40)
    result = assign(rows, 0.1, 0.2, seed=3)
    turned = assign(rows[::-1], 0.1, 0.2, seed=3)
    single = assign(table([""] * 40, scans=1), 0.1, 0.2, seed=3)
    other = assign(rows, 0.1, 0.2, seed=4)
    for split in ("val", "test"):
        assert patients(result, split) == patients(turned, split) == patients(single, split)
    assert patients(result, "test") != patients(other, "test")
    # The first eight by the SHA-256 of "3/p0", "3/p1", …; worked out with sha256sum.
    assert patients(result, "test") == {f"p{i}" for i in (32, 15, 4, 11, 33, 21, 12, 8)}


def test_too_few_patients_are_refused():
    with pytest.raises(InputError, match="1 training patients are too few"):
        assign(table([""]), 0.1, 0.2, seed=0)
