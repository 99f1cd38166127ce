"""The step of `prepare` that resamples a shard of volumes.

Each case is finished by itself, so that a run that was stopped goes on with the next one.
"""

import hashlib
import json
import multiprocessing
import os
import shutil
import threading
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from multiprocessing import connection
from pathlib import Path

import numpy as np
import pandas as pd

from simcrop import cohorts, files, remote, runs
from simcrop.errors import InputError
from simcrop.formats import cases, record
from simcrop.formats.volumes import VolumeWriter, pack
from simcrop.prepare import audit, readers, resample
from simcrop.progress import progress


def volumes(run: runs.Volumes, out: Path) -> None:
    """Write volumes.zip, masks.zip and audit.csv of one shard.

    A case that cannot be used is set aside with its reason in the audit, and the run goes on.
    Row i of the case table belongs to shard i modulo the number of shards. Masks are empty where
    the dataset has none. Volumes that are not kept are fetched from their host, one a process, and
    dropped again.

    Raises:
        InputError: a host refuses or cannot be reached. What is finished by then stays.
    """
    table = cases.read(run.cases).iloc[run.shard :: run.shards]
    rows = table[table["path"] != ""].to_dict("records")
    raw = record.read(run.record)
    folder = out / f"unfinished-{_fingerprint(run, table, raw)}"
    for other in out.glob("unfinished-*"):
        if other != folder:
            shutil.rmtree(other)
    folder.mkdir(parents=True, exist_ok=True)
    at_host = _at_host(raw, {row["path"] for row in rows})
    tasks = [
        _Task(run, row, folder / str(number), at_host.get(row["path"]))
        for number, row in enumerate(rows)
    ]
    left = [task for task in tasks if not task.audit.exists()]
    done = len(tasks) - len(left)
    for _ in progress(_finished(run, left), f"{run.cohort} volumes", total=len(tasks), done=done):
        pass
    found = [json.loads(task.audit.read_text(encoding="utf-8")) for task in tasks]
    with (
        VolumeWriter(out / "volumes.zip") as volume_store,
        VolumeWriter(out / "masks.zip") as mask_store,
    ):
        for task in tasks:
            for path, store in ((task.volume, volume_store), (task.mask, mask_store)):
                if path.exists():
                    store.add_packed(task.case["case"], path.read_bytes())
    with files.whole(out / "audit.csv") as temporary:
        table = pd.DataFrame(found, columns=audit.COLUMNS)
        table.to_csv(temporary, index=False, lineterminator="\n")
    shutil.rmtree(folder)


@dataclass(frozen=True)
class _Task:
    """One case; its audit is written last, and says that volume and mask are there."""

    run: runs.Volumes
    case: dict[str, str]
    stem: Path
    file: remote.File | None

    @property
    def volume(self) -> Path:
        return self.stem.with_suffix(".volume")

    @property
    def mask(self) -> Path:
        return self.stem.with_suffix(".mask")

    @property
    def audit(self) -> Path:
        return self.stem.with_suffix(".json")


def _finished(run: runs.Volumes, tasks: list[_Task]) -> Iterable[None]:
    """Carry tasks out, several at once where the settings say so."""
    if run.processes == 1:
        yield from map(_finish, tasks)
        return
    # Not forked, since libraries with threads of their own do not survive that.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(run.processes, context, _end_with_parent) as pool:
        jobs = [pool.submit(_finish, task) for task in tasks]
        try:
            for job in as_completed(jobs):
                yield job.result()
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def _end_with_parent() -> None:
    """End this process when its parent is killed, rather than write beside the next run."""

    def watch() -> None:
        connection.wait([multiprocessing.parent_process().sentinel])
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _finish(task: _Task) -> None:
    case = task.case["case"]
    scratch = task.stem.with_suffix(".raw")
    try:
        path = _fetched(task, scratch)
    except remote.Unusable as error:
        files.write_text(task.audit, json.dumps({"case": case, "reason": str(error)}))
        return
    try:
        volume, mask, found = _prepared(path, task.case, task.run)
    except InputError as error:
        files.write_text(task.audit, json.dumps({"case": case, "reason": str(error)}))
    else:
        task.volume.write_bytes(pack(volume.array, volume.affine))
        if mask is not None:
            task.mask.write_bytes(pack(mask, volume.affine))
        files.write_text(task.audit, json.dumps({"case": case, **found}))
    shutil.rmtree(scratch, ignore_errors=True)


def _fetched(task: _Task, scratch: Path) -> Path:
    """The raw volume of a case: where it lies, or fetched into `scratch`."""
    kept = Path(task.run.raw) / task.case["path"]
    if task.file is None or kept.exists():
        return kept
    # The name is kept, since readers choose the format by its end.
    target = scratch / kept.name
    if not target.exists():
        host = cohorts.get(task.run.dataset).HOST.mirrored(task.run.endpoint)
        remote.download(host, task.file, target)
    return target


def _prepared(
    path: Path, case: dict[str, str], run: runs.Volumes
) -> tuple[readers.Volume, np.ndarray | None, dict[str, str]]:
    """A case's resampled volume, its mask on the same grid if it has one, and its audit."""
    scan = readers.read(path, case)
    found = audit.raw(scan, case)
    volume = resample.resample(scan, run.spacing)
    found |= audit.resampled(volume)
    if not case["mask"]:
        return volume, None, found
    mask = readers.read_mask(Path(run.raw) / case["mask"], like=scan)
    mask = resample.onto(mask, volume.array.shape, volume.affine, order=0)
    ids = _structures(mask.array, run.dataset, case["mask"])
    structures = getattr(cohorts.get(run.dataset), "STRUCTURES", {})
    notes = [found["note"], *audit.swapped_sides(ids, structures)]
    return volume, ids, {**found, "note": "; ".join(filter(None, notes))}


def _structures(mask: np.ndarray, dataset: str, path: str) -> np.ndarray:
    """A raw mask as the store wants it: uint8 structure ids, or int32 bits where there are none."""
    cohort = cohorts.get(dataset)
    codes = getattr(cohort, "MASK_CODES", None)
    if codes is None and not hasattr(cohort, "STRUCTURES"):
        return mask
    codes = codes or {code: code for code in range(1, 256)}
    unknown = sorted(set(np.unique(mask).tolist()) - {0, *codes})
    if unknown:
        raise InputError(f"{path}: holds code {unknown[0]}, which {dataset} does not have")
    ids = np.zeros(mask.shape, np.uint8)
    for code, structure in codes.items():
        ids[mask == code] = structure
    return ids


def _fingerprint(run: runs.Volumes, table: pd.DataFrame, raw: pd.DataFrame) -> str:
    """What the cases' files depend on: those of other settings are not taken up."""
    content = raw[["file", "bytes", "checksum"]]
    parts = [run.dataset, str(run.spacing), table.to_csv(index=False), content.to_csv(index=False)]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]


def _at_host(raw: pd.DataFrame, wanted: set[str]) -> dict[str, remote.File]:
    """Those of the wanted raw files that are still at their host."""
    left = raw[(raw["state"] == "remote") & raw["file"].isin(wanted)]
    return {
        row.file: remote.File(row.file, int(row.bytes or -1), row.checksum, row.origin)
        for row in left.itertuples()
    }
