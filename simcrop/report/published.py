"""Published figures that stand beside ours: a file in which every number has its source."""

import math
from pathlib import Path
from typing import get_args

import pandas as pd

from simcrop import runs
from simcrop.errors import InputError
from simcrop.report.layout import METRICS, MILLIMETRES

TABLES = get_args(runs.Table.model_fields["table"].annotation)

# table      that the row is shown in
# benchmark  its key in the configuration
# fraction   of the training cases, 0 for zero-shot; 1 where nothing is trained
# method     as it is to be printed
# metric     as our tables call it
# value      a share of one, or mm
# source     where the number was read: paper, table and row, or an address
COLUMNS = ("table", "benchmark", "fraction", "method", "metric", "value", "source")


def read(path: str | Path, table: str) -> pd.DataFrame:
    """The rows of one table, COLUMNS with fraction and value as numbers.

    Raises:
        InputError: the file is missing, a column or a source is, a table or metric is not known, or
            a value is none.
    """
    try:
        found = pd.read_csv(path, dtype=str, keep_default_na=False)
    except FileNotFoundError:
        raise InputError(
            f"{path}: no such file; write one that holds at least its header, {','.join(COLUMNS)}"
        ) from None
    if tuple(found.columns) != COLUMNS:
        raise InputError(f"{path}: its header must be {','.join(COLUMNS)}")
    for number, row in enumerate(found.to_dict("records"), 2):
        where = f"{path}: line {number}"
        for column in ("table", "benchmark", "method", "source"):
            if not row[column].strip():
                mend = "say where the number was read" if column == "source" else "name it"
                raise InputError(f"{where} has no {column}; {mend}")
        if row["table"] not in TABLES:
            raise InputError(f"{where}: table '{row['table']}' is none of {', '.join(TABLES)}")
        if row["metric"] not in METRICS:
            raise InputError(f"{where}: metric '{row['metric']}' is none of {', '.join(METRICS)}")
        most = math.inf if row["metric"] in MILLIMETRES else 1
        for column, limit in (("fraction", 1), ("value", most)):
            if not 0 <= _number(row[column]) <= limit:
                unit = "number of mm" if limit > 1 else "share from 0 to 1, such as 0.913"
                raise InputError(f"{where}: {column} '{row[column]}' is no {unit}")
    found = found.assign(fraction=found["fraction"].map(_number), value=found["value"].map(_number))
    doubled = found[found.duplicated([*COLUMNS[:5]])]
    if len(doubled):
        raise InputError(f"{path}: line {doubled.index[0] + 2} states a value once more; keep one")
    return found[found["table"] == table].reset_index(drop=True)


def sources(table: pd.DataFrame) -> str:
    """A sentence that says where each method's numbers were read."""
    told = table.groupby("method", sort=False)["source"].agg(lambda s: "; ".join(dict.fromkeys(s)))
    return "Published, not measured here: " + ". ".join(f"{m}: {s}" for m, s in told.items()) + "."


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan
