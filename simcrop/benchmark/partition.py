"""Which cases a benchmark trains on, validates on and is tested on, at every fraction."""

import hashlib

import pandas as pd

from simcrop import runs
from simcrop.errors import InputError
from simcrop.formats import cases


def splits(run: runs.Evaluation, needs: str = "path") -> dict[str, pd.DataFrame]:
    """The rows of the case table by split, in table order: those with a volume.

    Args:
        run: names the case table.
        needs: the column that must be given, `path` or `mask`.

    Raises:
        InputError: a case or a patient stands in more than one split.
    """
    table = cases.read(run.cases)
    table = table[(table["path"] != "") & (table[needs] != "")]
    return {name: table[table["split"] == name].reset_index(drop=True) for name in cases.SPLITS}


def require(parts: dict[str, pd.DataFrame], run: runs.Evaluation, *names: str) -> None:
    """Raise InputError if one of the splits that the benchmark cannot do without is empty."""
    for name in names:
        if parts[name].empty:
            cohort = run.settings.cohort
            raise InputError(
                f"{run.benchmark}: cohort '{cohort}' has no {name} case that can be used in "
                f"{run.cases}; choose other splits or more cases under prepare.{cohort}"
            )


def fraction_of(table: pd.DataFrame, fraction: float, seed: int) -> pd.DataFrame:
    """The cases of a share of the patients, at least one; a smaller share lies in a larger one."""
    patients = sorted(table["patient"].unique(), key=lambda patient: digest(seed, patient))
    kept = patients[: max(1, round(fraction * len(patients)))]
    return table[table["patient"].isin(kept)].reset_index(drop=True)


def digest(*parts: object) -> int:
    """A seed made of names and numbers, the same on every machine."""
    text = "/".join(map(str, parts))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")
