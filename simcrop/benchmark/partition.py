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
        InputError: a case or a patient stands in more than one split, or the encoder was trained on
            scans of a test patient.
    """
    table = cases.read(run.cases)
    for path in run.trained_on:
        _refuse_seen(table, path, run)
    table = table[(table["path"] != "") & (table[needs] != "")]
    return {name: table[table["split"] == name].reset_index(drop=True) for name in cases.SPLITS}


def _refuse_seen(table: pd.DataFrame, trained_on: str, run: runs.Evaluation) -> None:
    """Raise InputError if a test patient is one that another cohort's encoder was trained on."""
    seen = {*cases.whole_patients(cases.read(trained_on), "train")}
    tested = cases.whole_patients(table, "test")
    told = table["patient"].isin(cases.leaking(table))  # already named below the tables
    found = tested[tested.isin(seen) & ~told]
    if len(found):
        raise InputError(
            f"{run.benchmark}: test case '{table.loc[found.index[0], 'case']}' is of patient "
            f"'{found.iloc[0]}', on whose scans its encoder was trained ({trained_on}); give both "
            "cohorts the same splits, or name other encoders"
        )


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
