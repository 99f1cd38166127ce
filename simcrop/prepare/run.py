"""Two steps of `prepare`: index the raw layout, and collect the shards."""

from pathlib import Path

import pandas as pd

from simcrop import cohorts, files, runs
from simcrop.cohorts import official
from simcrop.errors import InputError
from simcrop.formats import cases
from simcrop.formats import sentences as sentence_table
from simcrop.formats.volumes import VolumeStore
from simcrop.prepare import findings, page, sentences, splits


def index(run: runs.Index, out: Path) -> None:
    """Write cases.csv: every scan that the dataset lists, each with its split; and findings.csv, of
    the published lists, where they are used.

    Raises:
        InputError: the raw folder is missing or holds no case.
    """
    if not Path(run.raw).is_dir():
        raise InputError(f"{run.raw}: no such folder; run the acquire stage or mend its path")
    dataset = cohorts.get(run.dataset)
    table = dataset.index(Path(run.raw), run.cohort)
    if table.empty:
        raise InputError(f"{run.raw}: no case of {run.dataset} found; compare docs/data.md")
    found = findings.of_lists({}, {})
    if run.lists:
        lists = official.read(run.dataset, Path(run.lists))
        found = findings.of_lists(
            {split: listed.index for split, listed in lists.items()},
            dict(zip(table["case"], table["patient"], strict=True)),
        )
        table = official.applied(table, lists)
    elif getattr(dataset, "SPLITS", True):
        table = splits.assign(table, run.validation, run.test, run.seed)
    cases.write(table, out / "cases.csv")
    _write(found, out / "findings.csv")


def collect(run: runs.Collect, out: Path) -> None:
    """Write cases.csv of the usable cases and their sentences.csv; audit.csv of all cases, and
    what it shows as findings.csv and audit.html.

    Reports without a volume stay. An empty report is a note in the audit.

    Raises:
        InputError: a shard is missing, more cases are set aside than max_set_aside, or a cohort
            with splits is left without test cases.
    """
    table = cases.read(run.cases)
    shards = [_read(path) for path in run.audits]
    audit = pd.concat(shards).set_index("case")
    scans = table["path"] != ""
    missing = table["case"][scans & ~table["case"].isin(audit.index)]
    if len(missing):
        raise InputError(
            f"{run.cohort}: case '{missing.iloc[0]}' is in no shard's audit; prepare them again"
        )
    audit = audit.reindex(table["case"], fill_value="").reset_index()
    bad = (audit["reason"] != "").to_numpy()
    _check_share(run, audit[bad], int(scans.sum()))
    usable = table[~bad]
    if (table["split"] != "").any():
        _check_test(run, table, usable)
    notes = [audit["note"], table["path"].map(lambda path: "" if path else "no volume")]
    notes += _report_notes(table)
    audit["note"] = ["; ".join(filter(None, row)) for row in zip(*notes, strict=True)]
    cases.write(usable, out / "cases.csv")
    sentence_table.write(_sentences(usable), out / "sentences.csv")
    _write(audit, out / "audit.csv")
    found = pd.concat([_read(run.findings), findings.findings(table, audit)])
    _write(found, out / "findings.csv")
    page.write(out / "audit.html", run.cohort, table, audit, found, VolumeStore(run.volumes))


def _check_share(run: runs.Collect, bad: pd.DataFrame, total: int) -> None:
    listed = [f"  {row.case}: {row.reason}" for row in bad.head(5).itertuples()]
    if len(bad) > run.max_set_aside * total:
        raise InputError(
            f"{run.cohort}: {len(bad)} of {total} scans are set aside, more than "
            f"prepare.{run.cohort}.max_set_aside = {run.max_set_aside} of them; mend them "
            "or raise it. The first of them, all are in the audit.csv of its shards:\n"
            + "\n".join(listed)
        )
    print(f"{run.cohort}: {total - len(bad)} of {total} scans usable", *listed, sep="\n")


def _check_test(run: runs.Collect, table: pd.DataFrame, usable: pd.DataFrame) -> None:
    listed, left = ((t[t["path"] != ""]["split"] == "test").sum() for t in (table, usable))
    if not left:
        raise InputError(
            f"{run.cohort}: needs test cases, but of {listed} scans listed for testing none is "
            "usable; see the audits of its shards"
        )


def _report_notes(table: pd.DataFrame) -> list[pd.Series]:
    """A note for every section that a report leaves out and other reports of the cohort have."""
    notes = []
    for section in sentence_table.SECTIONS:
        given = table[section].map(sentences.given)
        if given.any():
            notes.append(given.map({True: "", False: f"no {section}"}))
    return notes


def _sentences(table: pd.DataFrame) -> pd.DataFrame:
    rows = [
        (case, section, order, *sentence)
        for case, *texts in table[["case", *sentence_table.SECTIONS]].itertuples(index=False)
        for section, text in zip(sentence_table.SECTIONS, texts, strict=True)
        if sentences.given(text)
        for order, sentence in enumerate(sentences.split(text))
    ]
    return pd.DataFrame(rows, columns=sentence_table.COLUMNS)


def _read(path: str) -> pd.DataFrame:
    return pd.read_csv(path, dtype=str, keep_default_na=False)


def _write(table: pd.DataFrame, path: Path) -> None:
    with files.whole(path) as temporary:
        table.to_csv(temporary, index=False, lineterminator="\n")
