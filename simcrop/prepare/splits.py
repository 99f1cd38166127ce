"""Divides patients into training, validation and test where a dataset does not do so itself."""

import hashlib

import pandas as pd

from simcrop.errors import InputError


def assign(table: pd.DataFrame, validation: float, test: float, seed: int) -> pd.DataFrame:
    """Complete the splits of a case table, by patient.

    The dataset's own splits stay. If no case has a split, all start in training; if there is then
    no test case, the share `test` of the training patients becomes test, and likewise `validation`
    of the training patients that remain. Patients are ranked by a hash of seed and name, so that a
    split depends on nothing else. Each share above 0 takes at least one patient.

    Raises:
        InputError: too few patients for the shares.
    """
    table = table.copy()
    if (table["split"] == "").all():
        table["split"] = "train"
    for split, share in (("test", test), ("val", validation)):
        if share and not (table["split"] == split).any():
            taken = table["patient"].isin(_cut(table, split, share, seed))
            table.loc[taken & (table["split"] == "train"), "split"] = split
    return table


def _cut(table: pd.DataFrame, split: str, share: float, seed: int) -> list[str]:
    patients = sorted(table.loc[table["split"] == "train", "patient"].unique())
    count = max(1, round(share * len(patients)))
    if count >= len(patients):
        raise InputError(
            f"{len(patients)} training patients are too few to take {count} of them for '{split}'; "
            "add cases or state the splits"
        )
    patients.sort(key=lambda patient: hashlib.sha256(f"{seed}/{patient}".encode()).digest())
    return patients[:count]
