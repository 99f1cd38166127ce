"""Sample: a folder of one's own CTs and reports, in whatever folders they lie.

Raw layout:
    any/where/scan.nii.gz     or .nii, .mhd, .mha, .nrrd: a CT; its name without suffix is the case
    any/where/mask.nii.gz     a mask, of the CTs in the same folder
    any/where/reports.csv     reports: a column report_text, or Findings_EN and Impressions_EN
A report belongs to the CT that the columns VolumeName, case or AccessionNo name, and to none if
there is no such CT or column; without the column its case is called <path of the file>-<number>.
Other CSVs, hidden files, and other columns, labels included, are passed over. Links are followed.

Labels and splits: none. The masks keep their codes.
"""

from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from simcrop import files
from simcrop.cohorts import layout
from simcrop.errors import InputError

SPLITS = False
_SUFFIXES = (".nii.gz", ".nii", ".mhd", ".mha", ".nrrd")
_NAMES = ("VolumeName", "case", "AccessionNo")
_REPORTS = ("report_text", "Findings_EN")
_HEAD = 2**16


def index(raw: Path, cohort: str) -> pd.DataFrame:
    """The case table of all CTs and of all reports.

    Raises:
        InputError: there is neither, or two CTs or two reports have one name.
    """
    volumes = {}
    for path, case in _volumes(raw):
        if case in volumes:
            raise InputError(
                f"{path}: there is another CT called '{case}' in {volumes[case].parent}; "
                "rename one of them"
            )
        volumes[case] = path
    masks = {path.parent: path for path, case in _volumes(raw, masks=True)}
    rows = {}
    for case, path in volumes.items():
        mask = masks.get(path.parent)
        rows[case] = {
            "path": path.relative_to(raw).as_posix(),
            "mask": mask.relative_to(raw).as_posix() if mask else "",
        }
    reported: dict[str, Path] = {}
    for path, case, findings, impression in _reports(raw):
        if case in reported:
            raise InputError(
                f"{path}: a report of '{case}' stands in {reported[case]} already; keep one"
            )
        reported[case] = path
        rows.setdefault(case, {}).update(findings=findings, impression=impression)
    if not rows:
        raise InputError(
            f"{raw}: neither a CT ({', '.join(_SUFFIXES)}) nor a CSV with a column report_text or "
            "Findings_EN; mend acquire.sample.folder"
        )
    named = [{"case": case, "patient": case, "scan": case, **row} for case, row in rows.items()]
    return layout.case_table(raw, cohort, named)


def _volumes(raw: Path, masks: bool = False) -> Iterator[tuple[Path, str]]:
    for path in files.below(raw):
        suffix = next((s for s in _SUFFIXES if path.name.lower().endswith(s)), None)
        if suffix and not path.name.startswith("."):
            case = path.name[: -len(suffix)]
            if (case == "mask") == masks:
                yield path, case


def _reports(raw: Path) -> Iterator[tuple[Path, str, str, str]]:
    for path in files.below(raw):
        if path.suffix != ".csv" or path.name.startswith(".") or not _may_report(path):
            continue
        table = layout.read_csv(path, None)
        findings = next((c for c in _REPORTS if c in table), None)
        if findings is None:
            continue
        name = next((column for column in _NAMES if column in table), None)
        stem = "-".join(path.relative_to(raw).with_suffix("").parts)
        for number, row in enumerate(table.to_dict("records"), 1):
            case = row[name] if name else f"{stem}-{number}"
            for suffix in _SUFFIXES:
                case = case.removesuffix(suffix)
            yield path, case, row[findings], row.get("Impressions_EN", "")


def _may_report(path: Path) -> bool:
    """Whether a CSV names a column of reports, in whatever encoding; others may be unreadable."""
    if not path.exists():
        return True  # a link that leads nowhere, of which reading tells
    with path.open("rb") as stream:
        head = stream.read(_HEAD).replace(b"\0", b"")
    return any(column.encode() in head for column in _REPORTS)
