"""What the datasets' modules share: reading metadata, and writing volumes as others store them."""

import gzip
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from simcrop.cohorts.synthetic import anatomy
from simcrop.errors import InputError
from simcrop.formats import cases

if TYPE_CHECKING:
    import nibabel

# Where a synthetic cohort keeps what its layout has no place for.
SYNTHETIC = "synthetic"
# Of a pattern for raw files: archives made on macOS hold a file ._NAME beside many a NAME.
VISIBLE = "[!.]*"


def read_csv(path: Path, key: str | None, columns: Iterable[str] = ()) -> pd.DataFrame:
    """A metadata CSV with all values as str, rows named by the column `key` if it is given.

    Raises:
        InputError: the file or a column is missing, or a key stands in two rows.
    """
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False)
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; fetch it from the dataset's host") from None
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not readable as CSV ({error}); fetch it again") from None
    for column in (*([key] if key else []), *columns):
        if column not in table.columns:
            raise InputError(
                f"{path}: column '{column}' is missing; fetch the file again, or add the column"
            )
    if key is None:
        return table
    doubled = table[key][table[key].duplicated()]
    if len(doubled):
        raise InputError(f"{path}: '{doubled.iloc[0]}' stands in more than one row; keep one")
    return table.set_index(key)


def labels(path: Path, table: pd.DataFrame) -> pd.DataFrame:
    """0/1 columns as float, NaN where empty; raises InputError on any other value."""
    try:
        values = table.replace("", None).astype(float)
    except ValueError as error:
        raise InputError(f"{path}: a label is no number ({error}); use 0, 1 or nothing") from None
    wrong = ~values.isin([0, 1]) & values.notna()
    for column in values.columns[wrong.any()]:
        row = wrong[column].idxmax()
        raise InputError(
            f"{path}: '{row}' has {values[column][row]:g} for '{column}'; use 0, 1 or nothing"
        )
    return values


def case_table(raw: Path, cohort: str, rows: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """The case table of `rows`; columns that a row does not name are empty.

    Raises:
        InputError: the rows break the contract of the case table, as two of one name do.
    """
    table = pd.DataFrame(rows)
    for column in (*cases.TEXT, *cases.HINTS):
        if column not in table:
            table[column] = ""
    table["cohort"] = cohort
    known = [*cases.TEXT, *cases.HINTS]
    marked = [column for column in table.columns if column.startswith(cases.LABEL)]
    table[known] = table[known].fillna("")
    return cases.check(table[[*known, *marked]], str(raw))


def write_spacings(raw: Path, spacings: Mapping[str, Sequence[float]]) -> None:
    """Write what a layout does not tell, the spacing of each case along its stored axes (mm)."""
    rows = [(case, " ".join(f"{mm:g}" for mm in spacing)) for case, spacing in spacings.items()]
    write_csv(raw / SYNTHETIC / "spacing.csv", pd.DataFrame(rows, columns=["case", "spacing"]))


def read_spacings(raw: Path) -> dict[str, str]:
    """What `write_spacings` wrote; empty where the cohort is no synthetic one."""
    path = raw / SYNTHETIC / "spacing.csv"
    return read_csv(path, "case", ["spacing"])["spacing"].to_dict() if path.exists() else {}


def write_csv(path: Path, table: pd.DataFrame) -> None:
    """Write a CSV as the suite writes all of them, making its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    table.to_csv(path, index=False, lineterminator="\n")


def oriented(array: np.ndarray, affine: np.ndarray, codes: str) -> "nibabel.Nifti1Image":
    """An array in RAS with its axes swapped and flipped to run along `codes`, such as LPS."""
    import nibabel
    from nibabel.orientations import axcodes2ornt, ornt_transform

    steps = ornt_transform(axcodes2ornt("RAS"), axcodes2ornt(codes))
    return nibabel.Nifti1Image(array, affine).as_reoriented(steps)


def write_nifti(path: Path, image: "nibabel.Nifti1Image") -> None:
    """Write a .nii.gz whose bytes depend on the image alone."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(image.to_bytes(), compresslevel=1, mtime=0))


def structure_ids(structures: np.ndarray, ids: Mapping[int, str]) -> np.ndarray:
    """A synthetic case's structures as uint8 with the ids of a dataset, 0 for all that it lacks."""
    table = np.zeros(len(anatomy.STRUCTURES), np.uint8)
    for number, name in ids.items():
        table[anatomy.STRUCTURES.index(name)] = number
    return table[structures]
