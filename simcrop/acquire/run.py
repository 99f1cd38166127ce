"""The stage `acquire`."""

import dataclasses
import json
import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, ThreadPoolExecutor, as_completed
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd

from simcrop import cohorts, files, remote, runs
from simcrop.cohorts import official
from simcrop.errors import InputError
from simcrop.formats import record
from simcrop.progress import byte_progress, progress

_HASHED = 64 * 2**20
_CONNECTIONS = 4
_JOURNAL = ".fetched.jsonl"
# What an archive unpacks to, in its own size: no host tells it, and CTs pack to half or more.
_UNPACKED = 2


def acquire(run: runs.Acquire, out: Path) -> None:
    """Make the synthetic raw files under out/raw, find those of a folder, or fetch the host's.

    Writes record.csv last; see `formats.record`. Files of more than 64 MiB that were found in a
    folder are recorded without a checksum: reading 12 TB for that would take a day. What is fetched
    is checked against the host's checksums, and stays when the run is stopped: the next one goes
    on. Archives are removed when they are unpacked, but for those that lay there before. Volumes
    that need not be kept are left at the host, and recorded as remote.

    Raises:
        InputError: the dataset is unknown or cannot be made or fetched, the folder is missing or
            empty, the host refuses or sends something else than it lists, or the disk is too small.
    """
    (out / "record.csv").unlink(missing_ok=True)
    raw = Path(run.source.folder or out / "raw")
    collect = {"synthetic": _made, "folder": _found, "host": _fetched}[run.source.source]
    table = pd.DataFrame(collect(run, raw, out), columns=record.COLUMNS)
    record.write(table.sort_values("file", ignore_index=True), out / "record.csv")
    print(f"{run.dataset}:", *_summary(table), sep="\n  ")


def lists(run: runs.Lists, out: Path) -> None:
    """Put the authors' lists of a dataset, checked, into out/lists; see `cohorts.official`."""
    with tempfile.TemporaryDirectory(dir=out) as temporary:
        copied_from = Path(run.copied_from) if run.copied_from else None
        official.fetch(run.dataset, Path(temporary) / "lists", copied_from)
        shutil.rmtree(out / "lists", ignore_errors=True)
        (Path(temporary) / "lists").replace(out / "lists")


def _summary(table: pd.DataFrame) -> Iterator[str]:
    """The revision, and a line a state of a record: how many files of how many bytes."""
    for revision in filter(None, table["revision"].unique()):
        yield f"revision: {revision}"
    for state, rows in table.groupby("state", sort=False):
        size = pd.to_numeric(rows["bytes"]).sum()
        yield f"{state}: {len(rows)} files, {size / 1e9:.2f} GB"
        for file in rows["file"].head(5) if state == "unusable" else ():
            yield f"  {file}"


def _made(run: runs.Acquire, raw: Path, out: Path) -> list[dict[str, Any]]:
    dataset = cohorts.get(run.source.layout or run.dataset)
    if not hasattr(dataset, "make"):
        raise InputError(
            f"acquire.{run.dataset}: cannot be synthetic; set source: folder, and folder"
        )
    raw = out / "raw"  # whatever the settings say: what lies there is removed
    if raw.is_symlink() or (raw / _JOURNAL).exists():
        raise InputError(
            f"{raw}: is a link or holds what was fetched from a host, and synthetic files take the "
            "place of all that is there; move it away, or remove it"
        )
    shutil.rmtree(raw, ignore_errors=True)
    dataset.make(raw, run.source.synthetic, run.seed)
    return _recorded(run, raw, hashed=None)


def _found(run: runs.Acquire, raw: Path, out: Path) -> list[dict[str, Any]]:
    cohorts.get(run.source.layout or run.dataset)
    if not raw.is_dir():
        raise InputError(f"acquire.{run.dataset}.folder: there is no folder {raw}; mend it")
    return _recorded(run, raw, hashed=_HASHED)


def _recorded(run: runs.Acquire, raw: Path, hashed: int | None) -> list[dict[str, Any]]:
    """Rows of all files below `raw`, with the checksum of those of up to `hashed` bytes."""
    found = [path for path in files.below(raw) if path.is_file()]
    if not found:
        raise InputError(f"acquire.{run.dataset}.folder: {raw} holds no file; mend it")
    rows = []
    for path in progress(found, f"{run.dataset} record", total=len(found)):
        size = path.stat().st_size
        digest = f"sha256:{files.sha256(path)}" if hashed is None or size <= hashed else ""
        name = path.relative_to(raw).as_posix()
        rows.append(_row(name, size, digest, "here"))
    return rows


def _fetched(run: runs.Acquire, raw: Path, out: Path) -> list[dict[str, Any]]:
    host = host_of(run)
    journal = Journal(raw)
    remote.clear(raw)
    listed = remote.listing(host, run.source.revision)
    here, missing, left = sorted_out(run, host, listed.files, journal)
    _check_room(run, raw, missing)
    there, total = (sum(max(f.bytes, 0) for f in some) for some in (here, here + missing))
    with byte_progress(f"{run.dataset} files", total, there) as bar:
        lock = threading.Lock()

        def advanced(count: int) -> None:
            with lock:
                bar.update(count)

        _fetch_all(host, missing, listed.revision, raw, journal, advanced)
    rows = [_row(f.name, f.bytes, f.checksum, "remote", f.url, listed.revision) for f in left]
    for file in here + missing:
        rows += journal.rows(file)
    return rows


def sorted_out(
    run: runs.Acquire, host: remote.Host, listed: list[remote.File], journal: "Journal"
) -> tuple[list[remote.File], list[remote.File], list[remote.File]]:
    """The listed files that are here, those to be fetched, and those that are left at the host."""
    here, missing, left = [], [], []
    for file in listed:
        if not run.source.keep and host.is_volume(file.name):
            left.append(file)
        else:
            (here if journal.has(file) else missing).append(file)
    return here, missing, left


def _fetch_all(
    host: remote.Host,
    missing: list[remote.File],
    revision: str,
    raw: Path,
    journal: "Journal",
    advanced: Callable[[int], None],
) -> None:
    """Fetch and unpack what is missing; the first error, and Ctrl-C, end all transfers at once."""
    stopped = threading.Event()
    unpacking = threading.Lock()

    def came(count: int) -> None:
        if stopped.is_set():
            raise CancelledError
        advanced(count)

    def fetch(file: remote.File) -> None:
        target = raw / file.name
        file = journal.pinned(file)
        ours = journal.packed(file)
        try:
            if digest := _found_digest(file, target):
                came(target.stat().st_size)
            else:
                digest = remote.download(host, file, target, came)
                ours = True
        except remote.Unusable:
            journal.add(file, revision, file.checksum, "unusable", [])
            return
        if not remote.is_archive(file.name):
            journal.add(file, revision, digest, "here", [file.name])
            return
        if ours:
            journal.add(file, revision, digest, "packed", [file.name])
        with unpacking:  # one at a time, since each looks whether the room that is left will do
            came(0)
            members = remote.unpack(target, raw)
        journal.add(file, revision, digest, "here", members)
        if ours:
            target.unlink()

    with ThreadPoolExecutor(_CONNECTIONS) as pool:
        jobs = [pool.submit(fetch, file) for file in missing]
        try:
            for job in as_completed(jobs):
                job.result()
        except BaseException:
            stopped.set()
            pool.shutdown(cancel_futures=True)
            raise


class Journal:
    """What has been fetched and checked so far, a line a file, so that a killed run goes on.

    It lies among the raw files, since it says what they are. A file counts as there while it has
    its size, and is what the host lists by its checksum or, where there is none, by its address.
    """

    def __init__(self, raw: Path) -> None:
        self._path, self._raw = raw / _JOURNAL, raw
        path = self._path
        self._entries: dict[str, dict[str, Any]] = {}
        self._lock = threading.Lock()
        text = path.read_text(encoding="utf-8") if path.exists() else ""
        # A line that a kill cut short must not run into the next one.
        self._start = "\n" if text and not text.endswith("\n") else ""
        for line in text.splitlines():
            try:
                entry = json.loads(line)
            except json.JSONDecodeError:
                continue  # cut short by a kill: its file is fetched again
            self._entries[entry["file"]] = entry

    def has(self, file: remote.File) -> bool:
        """Whether `file` was fetched as it is listed now, and still lies on disk."""
        entry = self._entries.get(file.name)
        return (
            entry is not None
            and entry["state"] == "here"
            and (file.checksum or file.url) == entry["checksum" if file.checksum else "url"]
            and all(_size(self._raw / name) == size for name, size in entry["members"])
        )

    def packed(self, file: remote.File) -> bool:
        """Whether `file` is an archive that a stopped run has fetched, and that may be removed."""
        return self._entries.get(file.name, {}).get("state") == "packed"

    def pinned(self, file: remote.File) -> remote.File:
        """`file` with the checksum of its first fetch from this address, if its host gives none."""
        entry = self._entries.get(file.name)
        if file.checksum or entry is None or entry["url"] != file.url:
            return file
        return dataclasses.replace(file, checksum=entry["checksum"])

    def add(
        self, file: remote.File, revision: str, digest: str, state: str, members: list[str]
    ) -> None:
        """Write down that `file` came, and which files it became."""
        entry = {
            "file": file.name,
            "url": file.url,
            "checksum": digest,
            "state": state,
            "revision": revision,
            "date": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "members": [[name, _size(self._raw / name)] for name in members],
        }
        with self._lock:
            self._entries[file.name] = entry
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._path.open("a", encoding="utf-8") as out:
                out.write(self._start + json.dumps(entry) + "\n")
            self._start = ""

    def rows(self, file: remote.File) -> list[dict[str, Any]]:
        """The rows of the record for `file`: one, or one for each file of an archive."""
        entry = self._entries[file.name]
        told = (entry["url"], entry["revision"], entry["date"])
        if entry["state"] == "unusable":
            return [_row(file.name, file.bytes, file.checksum, "unusable", *told)]
        return [_row(name, n, entry["checksum"], "here", *told) for name, n in entry["members"]]


def host_of(run: runs.Acquire) -> remote.Host:
    """Where the dataset of `run` is kept, or the mirror that its settings name."""
    dataset = cohorts.get(run.source.layout or run.dataset)
    if not hasattr(dataset, "HOST"):
        raise InputError(f"acquire.{run.dataset}: has no host; set source: folder, and folder")
    return dataset.HOST.mirrored(run.source.endpoint)


def needed(raw: Path, missing: list[remote.File]) -> int:
    """Bytes that fetching and unpacking takes on disk, but for what lies in `raw` already.

    Archives are removed when they are unpacked, so that few of them lie there at once.
    """
    sizes = sum(max(f.bytes, 0) for f in missing if not remote.is_archive(f.name))
    packed = sorted(max(f.bytes, 0) for f in missing if remote.is_archive(f.name))
    here = sum(_size(raw / f"{f.name}{end}") for f in missing for end in ("", ".part"))
    return sizes + _UNPACKED * sum(packed) + sum(packed[-_CONNECTIONS:]) - here


def _check_room(run: runs.Acquire, raw: Path, missing: list[remote.File]) -> None:
    raw.mkdir(parents=True, exist_ok=True)
    size, free = needed(raw, missing), shutil.disk_usage(raw).free
    if size > free:
        raise InputError(
            f"acquire.{run.dataset}: {size / 1e9:.1f} GB are to be fetched and unpacked, and {raw} "
            f"has {free / 1e9:.1f} GB left; make room, name another folder, or set keep: false"
        )


def _found_digest(file: remote.File, path: Path) -> str:
    """The checksum of `path` if it is `file` already, put there by other means or before a stop.

    An archive of unknown checksum is taken as it is, since unpacking it checks what it holds.
    """
    if not path.is_file() or file.bytes not in (-1, path.stat().st_size):
        return ""
    if not file.checksum and not remote.is_archive(file.name):
        return ""
    found = remote.checksum(path, file.checksum.partition(":")[0] or "sha256")
    return found if found == (file.checksum or found) else ""


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0


def _row(
    name: str, size: int, digest: str, state: str, origin: str = "", revision: str = "", date=""
) -> dict[str, Any]:
    values = (name, str(size) if size >= 0 else "", digest, state, origin, revision, date)
    return dict(zip(record.COLUMNS, values, strict=True))
