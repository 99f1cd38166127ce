"""The case table: one row a scan, as CSV, its columns checked on write and on read."""

from pathlib import Path

import numpy as np
import pandas as pd

from simcrop import files
from simcrop.errors import InputError

SPLITS = ("train", "val", "test")
LABEL = "label:"

# Text columns that every table has; an empty string stands for "not given".
#   case      the scan's name, unique in the table
#   patient   scans of one patient share it; splits never divide it. Where published lists do,
#             `<patient>@<split>` is the patient's part in each; see `parted` and `leaking`
#   scan      reconstructions of one scan share it
#   split     train, val, test, or empty for cases that belong to none
#   path      the volume, relative to the dataset's raw folder; empty for a report without a volume
#   mask      the voxel mask of the volume, relative to the raw folder
TEXT = ("case", "cohort", "patient", "scan", "split", "path", "mask", "findings", "impression")

# What a dataset's own metadata says of the raw file; empty where the file itself says it.
#   spacing      "x y z" in mm, in the order of the stored axes
#   orientation  axis codes such as "LPS" of the stored axes, for files without an affine; .npz
#                and folders of slices are arrays of [slice, row, column]
#   slope, intercept  HU = slope · stored + intercept, of files without a header or with a blank one
HINTS = ("spacing", "orientation", "slope", "intercept")


def labels(table: pd.DataFrame) -> list[str]:
    """The names of the label columns, without their prefix, in table order."""
    return [column.removeprefix(LABEL) for column in table.columns if column.startswith(LABEL)]


def parted(table: pd.DataFrame) -> pd.DataFrame:
    """The table with each patient of several splits named as one a split, as TEXT says."""
    listed = table["split"] != ""
    splits = table[listed].groupby("patient")["split"].nunique()
    torn = listed & (table["patient"].map(splits) > 1)
    names = table["patient"].where(~torn, table["patient"] + "@" + table["split"])
    return table.assign(patient=names)


def whole_patients(table: pd.DataFrame, split: str) -> pd.Series:
    """The patients of a split, by their names before `parted`; indexed as the table."""
    return table.loc[table["split"] == split, "patient"].str.removesuffix(f"@{split}")


def leaking(table: pd.DataFrame) -> set[str]:
    """The test patients, as named here, whose other part is in training."""
    shared = {*whole_patients(table, "train")} & {*whole_patients(table, "test")}
    return {f"{patient}@test" for patient in shared}


def check(table: pd.DataFrame, source: str) -> pd.DataFrame:
    """Return `table` if it keeps the contract.

    Raises:
        InputError: a column is missing or unknown, a case or patient has no name, a case is
            doubled, a split has no such name, or a patient stands in two splits.
    """
    known = [*TEXT, *HINTS]
    for column in known:
        if column not in table.columns:
            raise InputError(
                f"{source}: column '{column}' is missing; write it, empty where unknown"
            )
    for column in table.columns:
        if column not in known and not column.startswith(LABEL):
            raise InputError(f"{source}: unknown column '{column}'; labels start with '{LABEL}'")
    for column in ("case", "patient"):
        empty = np.flatnonzero(table[column] == "")
        if len(empty):
            raise InputError(
                f"{source}: row {empty[0] + 1} ('{table['case'].iloc[empty[0]]}') has no {column}; "
                "name it"
            )
    doubled = table["case"][table["case"].duplicated()]
    if len(doubled):
        raise InputError(
            f"{source}: case '{doubled.iloc[0]}' stands in more than one row; keep one"
        )
    wrong = table[~table["split"].isin([*SPLITS, ""])]
    if len(wrong):
        row = wrong.iloc[0]
        raise InputError(
            f"{source}: case '{row['case']}' has split '{row['split']}'; "
            f"use one of {', '.join(SPLITS)}"
        )
    pairs = table.loc[table["split"] != "", ["patient", "split"]].drop_duplicates()
    torn = pairs[pairs["patient"].duplicated(keep=False)]
    if len(torn):
        patient = torn.iloc[0]["patient"]
        splits = " and ".join(sorted(torn.loc[torn["patient"] == patient, "split"]))
        raise InputError(
            f"{source}: patient '{patient}' stands in {splits}; a patient belongs to one split"
        )
    return table


def write(table: pd.DataFrame, path: str | Path) -> None:
    """Write a case table, whole or not at all."""
    check(table, str(path))
    with files.whole(path) as temporary:
        table.to_csv(temporary, index=False, lineterminator="\n")


def read(path: str | Path) -> pd.DataFrame:
    """Read a case table: text as str ("" where empty), labels as float (NaN where unknown)."""
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False)
    except FileNotFoundError:
        raise InputError(f"{path}: no such case table; run the prepare stage first") from None
    for column in table.columns:
        if column.startswith(LABEL):
            table[column] = _numbers(table, column, str(path))
    return check(table, str(path))


def _numbers(table: pd.DataFrame, column: str, source: str) -> pd.Series:
    numbers = pd.to_numeric(table[column], errors="coerce").astype(float)
    wrong = table[numbers.isna() & (table[column] != "")]
    if len(wrong):
        case, value = wrong.iloc[0][["case", column]]
        raise InputError(f"{source}: case '{case}' has {column} '{value}'; use 0, 1 or nothing")
    return numbers
