"""The sentence table: one row a sentence of a report, as CSV."""

from pathlib import Path

import pandas as pd

from simcrop import files
from simcrop.errors import InputError

SECTIONS = ("findings", "impression")

#   order        position within the section, from 0
#   start, end   character span in the section's text: text == section[start:end]
COLUMNS = ("case", "section", "order", "text", "start", "end")
_NUMBERS = ("order", "start", "end")


def check(table: pd.DataFrame, source: str) -> pd.DataFrame:
    """Return `table` if it keeps the contract; raises InputError otherwise."""
    if tuple(table.columns) != COLUMNS:
        raise InputError(f"{source}: columns are {list(table.columns)}, expected {list(COLUMNS)}")
    wrong = table[~table["section"].isin(SECTIONS)]
    if len(wrong):
        raise InputError(
            f"{source}: case '{wrong.iloc[0]['case']}' has section '{wrong.iloc[0]['section']}'; "
            f"use one of {', '.join(SECTIONS)}"
        )
    return table


def write(table: pd.DataFrame, path: str | Path) -> None:
    """Write a sentence table, whole or not at all."""
    check(table, str(path))
    with files.whole(path) as temporary:
        table.to_csv(temporary, index=False, lineterminator="\n")


def read(path: str | Path) -> pd.DataFrame:
    """Read a sentence table; text columns as str, the others as int."""
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False)
    except FileNotFoundError:
        raise InputError(f"{path}: no such sentence table; run the prepare stage first") from None
    return check(table.astype({column: int for column in _NUMBERS if column in table}), str(path))
