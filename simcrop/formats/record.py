"""The record of a dataset's raw files: one row a file, as CSV."""

from pathlib import Path

import pandas as pd

from simcrop import files
from simcrop.errors import InputError

#   file       relative to the raw folder
#   bytes      empty where a host does not say
#   checksum   "sha256:…", "md5:…" or "git:…", that of the archive where it came in one; or empty
#   state      here; remote: at its host, fetched when it is read; unusable: not what was listed
#   origin     address of the file, or of its archive; empty where it was not fetched
#   revision   of the dataset, as its host names it
#   date       of the fetch, UTC
COLUMNS = ("file", "bytes", "checksum", "state", "origin", "revision", "date")


def write(table: pd.DataFrame, path: str | Path) -> None:
    """Write a record, whole or not at all."""
    with files.whole(path) as temporary:
        table[list(COLUMNS)].to_csv(temporary, index=False, lineterminator="\n")


def read(path: str | Path) -> pd.DataFrame:
    """Read a record; all values are str.

    Raises:
        InputError: there is none, or its columns are others.
    """
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False)
    except FileNotFoundError:
        raise InputError(f"{path}: no such record; run the acquire stage first") from None
    if tuple(table.columns) != COLUMNS:
        raise InputError(f"{path}: columns are {list(table.columns)}; run the acquire stage again")
    return table
