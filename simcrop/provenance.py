"""What made a result: this code, the libraries below it, the device, and the data."""

import hashlib
import json
import subprocess
from importlib.metadata import version
from pathlib import Path
from typing import Any

import simcrop
from simcrop.formats import record

LIBRARIES = ("torch", "monai", "numpy")


def provenance() -> dict[str, str | None]:
    """Version, git commit (None outside a clone, `-dirty` if changed), libraries and device."""
    import torch

    return {
        "simcrop": simcrop.__version__,
        "commit": _commit(Path(simcrop.__file__).parents[1]),
        **{name: version(name) for name in LIBRARIES},
        "device": torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu",
    }


def data(path: str | Path) -> str:
    """The dataset whose record lies at `path`: its name, its revision if the host names one, and a
    digest of its files' names, sizes and checksums, whenever and from wherever they came.

    Raises:
        InputError: there is no such record.
    """
    table = record.read(path)
    files = table[["file", "bytes", "checksum"]].sort_values("file").to_numpy().tolist()
    revisions = sorted(set(table["revision"]) - {""})
    return " ".join([Path(path).parent.name, *revisions, digest(files)])


def digest(value: Any) -> str:
    """Twelve hexadecimal digits that stand for a value which can be written as JSON."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:12]


def _commit(root: Path) -> str | None:
    """The commit of the clone at `root`; dvc.lock tells of results and is no part of the code."""
    if not (root / ".git").exists():
        return None
    try:
        commit = _git(root, "rev-parse", "HEAD")
        options = ("--porcelain", "--untracked-files=no")
        changed = _git(root, "status", *options, "--", ".", ":!dvc.lock")
    except (OSError, subprocess.CalledProcessError):
        return None
    return commit + ("-dirty" if changed else "")


def _git(root: Path, *arguments: str) -> str:
    command = ["git", "-C", str(root), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
