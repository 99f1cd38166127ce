"""What is odd about a dataset as a whole: one row a finding, with the cases and what is done."""

import itertools
import re
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pandas as pd

from simcrop.formats import cases

#   finding    what it is, the same words for the same thing in every dataset
#   severity   fault: something is wrong, or left out; note: worth knowing
#   cases      how many it concerns
#   examples   the first five of them
#   decision   what the suite does about it
COLUMNS = ("finding", "severity", "cases", "examples", "decision")
_OUTLIER = 3.0
_NAMED = 5


def findings(table: pd.DataFrame, audit: pd.DataFrame) -> pd.DataFrame:
    """The findings of a cohort.

    Args:
        table: its case table, with the cases that are set aside.
        audit: a row for each of them, in the same order; see `prepare.audit`.
    """
    rows = [
        *_grouped(audit, "reason", "set aside: ", "fault", "left out of the cohort"),
        *_grouped(audit, "note", "", "note", "kept"),
        *_scans(table),
        *_twins(table, audit),
        *_spacings(audit),
        *_equal_labels(table),
        *_split_labels(table),
        *_unmasked(table),
    ]
    return pd.DataFrame(rows, columns=COLUMNS)


def of_lists(lists: Mapping[str, Iterable[str]], patients: Mapping[str, str]) -> pd.DataFrame:
    """The findings of published lists of cases.

    Args:
        lists: the cases of each split.
        patients: the patient of each case that is known.
    """
    rows = []
    for (one, first), (other, second) in itertools.combinations(lists.items(), 2):
        first, second = list(first), set(second)
        shared = [case for case in first if case in second]
        if shared and len(shared) == len(first) == len(second):
            rows.append(
                _row(f"lists {one} and {other} are identical", "fault", shared, f"taken as {other}")
            )
        elif shared:
            rows.append(
                _row(f"cases in lists {one} and {other}", "fault", shared, f"taken as {other}")
            )
        theirs = {patients[case] for case in second if case in patients}
        torn = [case for case in first if case not in second and patients.get(case) in theirs]
        if torn:
            told = f"patients in lists {one} and {other}"
            rows.append(
                _row(
                    told,
                    "fault",
                    torn,
                    "counts as one patient a list, and tables name the test cases",
                )
            )
    return pd.DataFrame(rows, columns=COLUMNS)


def _row(finding: str, severity: str, found: Sequence[str], decision: str) -> tuple[object, ...]:
    return finding, severity, len(found), "; ".join(map(str, found[:_NAMED])), decision


def _grouped(
    audit: pd.DataFrame, column: str, before: str, severity: str, decision: str
) -> Iterable[tuple[object, ...]]:
    """A finding for every kind of text in a column of the audit."""
    told = audit.loc[audit[column] != "", ["case", column]]
    # A note may join several; a reason is one, with its mend after a semicolon.
    texts = told[column].str.split("; ") if column == "note" else told[column]
    told = told.assign(kind=texts).explode("kind")
    kinds = told["kind"].map(_kind)
    for kind, group in told.groupby(kinds, sort=True):
        yield _row(before + kind, severity, group["case"].tolist(), decision)


def _kind(text: str) -> str:
    """A reason without what differs from file to file: its name, numbers, checksums, quotes."""
    text = re.sub(r"^.*?: ", "", text)
    text = re.sub(r"\(.*\)", "", text).split("; ")[0]
    text = re.sub(r"'[^']*'|\b[0-9a-f]{32,}\b", "#", text)
    return " ".join(re.sub(r"(?<![\w-])-?\d[\d.e+-]*(?![\w-])", "#", text).split())


def _scans(table: pd.DataFrame) -> Iterable[tuple[object, ...]]:
    volumes = table[table["path"] != ""]
    several = volumes[volumes["scan"].ne("") & volumes["scan"].duplicated(keep=False)]
    torn = several.groupby("scan")["patient"].transform("nunique") > 1
    for told, severity, found, decision in (
        ("one scan under two patients", "fault", torn, "kept; name one patient"),
        (
            "several reconstructions of one scan",
            "note",
            ~torn,
            "they share scan and patient, and no split parts them",
        ),
    ):
        if found.any():
            yield _row(told, severity, several.loc[found, "case"].tolist(), decision)


def _twins(table: pd.DataFrame, audit: pd.DataFrame) -> Iterable[tuple[object, ...]]:
    known = audit.loc[audit["content"] != "", ["case", "content"]]
    twins = known[known["content"].duplicated(keep=False)].merge(
        table[["case", "patient", "split"]], on="case"
    )
    apart = twins.groupby("content")["split"].transform("nunique") > 1
    strangers = twins.groupby("content")["patient"].transform("nunique") > 1
    for told, severity, found in (
        ("the same volume in two splits", "fault", apart),
        ("the same volume under two patients", "fault", strangers & ~apart),
        ("the same volume twice", "note", ~apart & ~strangers),
    ):
        if found.any():
            yield _row(
                told, severity, twins.loc[found, "case"].tolist(), "kept; look at the source"
            )


def _spacings(audit: pd.DataFrame) -> Iterable[tuple[object, ...]]:
    known = audit.loc[audit["raw_spacing"] != "", ["case", "raw_spacing"]]
    if known.empty:
        return
    spacings = np.array([sorted(map(float, text.split())) for text in known["raw_spacing"]])
    ratio = spacings / np.median(spacings, axis=0)
    far = (ratio > _OUTLIER).any(axis=1) | (ratio < 1 / _OUTLIER).any(axis=1)
    if far.any():
        told = f"spacing more than {_OUTLIER:g} times above or below the median"
        yield _row(told, "note", known.loc[far, "case"].tolist(), "kept; look at the source")


def _equal_labels(table: pd.DataFrame) -> Iterable[tuple[object, ...]]:
    for one, other in itertools.combinations(cases.labels(table), 2):
        first, second = table[cases.LABEL + one], table[cases.LABEL + other]
        if first.equals(second) and (first == 1).any() and (first == 0).any():
            found = table.loc[first == 1, "case"].tolist()
            told = f"labels {one} and {other} are equal in every case"
            yield _row(told, "fault", found, "kept; one is not what its name says")


def _split_labels(table: pd.DataFrame) -> Iterable[tuple[object, ...]]:
    """Splits of which cases lack labels, or labels a class."""
    names = cases.labels(table)
    for split in cases.SPLITS:
        part = table[table["split"] == split]
        if part.empty or not names:
            continue
        values = part[[cases.LABEL + name for name in names]]
        rated = values.notna().any(axis=1)
        if not rated.any():
            severity = "fault" if split == "test" else "note"
            told = f"no {split} case has labels"
            yield _row(told, severity, part["case"].tolist(), "nothing to classify there")
            continue
        if not rated.all():
            told = f"{split} cases without labels"
            yield _row(
                told, "note", part.loc[~rated, "case"].tolist(), "left out where labels count"
            )
        for name in names:
            for told, value in (("positive", 1), ("negative", 0)):
                if not (values[cases.LABEL + name] == value).any():
                    told = f"no {told} {split} case of {name}"
                    yield _row(told, "note", [], "metrics of the label are left out there")


def _unmasked(table: pd.DataFrame) -> Iterable[tuple[object, ...]]:
    """The same of masks, in a cohort that has some."""
    masked = table["mask"] != ""
    for split in cases.SPLITS if masked.any() else ():
        part = (table["split"] == split) & (table["path"] != "")
        found = table.loc[part & ~masked, "case"].tolist()
        if found and not masked[part].any():
            severity = "fault" if split == "test" else "note"
            yield _row(f"no {split} case has a mask", severity, found, "nothing to segment there")
        elif found:
            yield _row(f"{split} cases without a mask", "note", found, "left out where masks count")
