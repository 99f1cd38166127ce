"""Raw files: made by the suite, or found in a folder, and a record of what came."""

import shutil
from pathlib import Path

import pandas as pd

from simcrop import cohorts, files, runs
from simcrop.errors import InputError
from simcrop.progress import progress

_HASHED = 64 * 2**20


def acquire(run: runs.Acquire, out: Path) -> None:
    """Make the synthetic raw files under out/raw, or find those of the source's folder.

    Writes record.csv last, one row a file: `file` relative to the raw folder, `bytes`, `sha256`.
    Files of more than 64 MiB that were not made here are recorded without a checksum: reading the
    12 TB of a real dataset for that would take a day.

    Raises:
        InputError: the dataset is unknown or cannot be made, or the folder is missing or empty.
    """
    dataset = cohorts.get(run.source.layout or run.dataset)
    made = run.source.source == "synthetic"
    (out / "record.csv").unlink(missing_ok=True)
    if made:
        if not hasattr(dataset, "make"):
            raise InputError(
                f"acquire.{run.dataset}: cannot be synthetic; set source: folder, and folder"
            )
        raw = out / "raw"
        shutil.rmtree(raw, ignore_errors=True)
        dataset.make(raw, run.source.synthetic, run.seed)
    else:
        raw = Path(run.source.folder)
        if not raw.is_dir():
            raise InputError(f"acquire.{run.dataset}.folder: there is no folder {raw}; mend it")
    found = sorted(path for path in raw.rglob("*") if path.is_file())
    if not found:
        raise InputError(f"acquire.{run.dataset}.folder: {raw} holds no file; mend it")
    rows = []
    for path in progress(found, f"{run.dataset} record", total=len(found)):
        size = path.stat().st_size
        digest = files.sha256(path) if made or size <= _HASHED else ""
        rows.append((path.relative_to(raw).as_posix(), size, digest))
    with files.whole(out / "record.csv") as temporary:
        table = pd.DataFrame(rows, columns=["file", "bytes", "sha256"])
        table.to_csv(temporary, index=False, lineterminator="\n")
