"""Checkpoints from which an interrupted run goes on to the very weights of an uninterrupted one."""

import hashlib
import sys
import zipfile
from pathlib import Path
from typing import Any

import torch

from simcrop import files, runs

_KEPT = 2


def fingerprint(run: runs.Encoder) -> str:
    """A digest of a run's settings and inputs: a checkpoint of any other run is not its own."""
    digest = hashlib.sha256(run.model_dump_json().encode())
    texts = [run.cases, run.sentences] if run.method.objectives.reads_reports else [run.cases]
    if run.text_encoder and Path(run.text_encoder).is_dir():
        texts += sorted(map(str, Path(run.text_encoder).glob("*.*")))
    for path in texts:
        digest.update(files.sha256(path).encode())
    for path in run.volumes:
        with zipfile.ZipFile(path) as store:
            for entry in store.infolist():
                digest.update(f"{entry.filename} {entry.CRC}".encode())
    return digest.hexdigest()


def save(folder: Path, run_fingerprint: str, epoch: int, state: dict[str, Any]) -> None:
    """Write the state after `epoch` epochs, whole or not at all, and keep the last two."""
    with files.whole(folder / f"epoch-{epoch:06d}.pt") as temporary:
        torch.save({"fingerprint": run_fingerprint, "epoch": epoch, **state}, temporary)
    for path in sorted(folder.glob("epoch-*.pt"))[:-_KEPT]:
        path.unlink()


def latest(folder: Path, run_fingerprint: str) -> dict[str, Any] | None:
    """The newest usable checkpoint of this run, on the CPU.

    What is damaged, half-written or of another run is removed, so that it displaces nothing new.
    """
    for path in folder.glob(".*-epoch-*.pt"):
        path.unlink()
    for path in sorted(folder.glob("epoch-*.pt"), reverse=True):
        try:
            state = torch.load(path, map_location="cpu", weights_only=True)
            if state["fingerprint"] == run_fingerprint:
                return state
            reason = "is of other settings or data"
        except Exception as error:  # a damaged file can fail in any way
            reason = f"is damaged ({type(error).__name__})"
        print(f"{path.name} {reason}; not resumed from it", file=sys.stderr)
        path.unlink()
    return None
