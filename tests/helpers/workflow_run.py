"""The workflow on the shrunken configuration, run as a user runs it."""

import shutil
import subprocess
import sys
from pathlib import Path


def snakemake(folder: Path, *arguments: str) -> list[str]:
    """The command line of Snakemake, with the shrunken configuration."""
    return [
        *(sys.executable, "-m", "snakemake", "--cores", "1", "--rerun-incomplete"),
        *("--configfile", "tests/suite/tiny.yaml", *arguments),
    ]


def run(folder: Path, *arguments: str) -> str:
    """What Snakemake printed; fails with it where Snakemake failed."""
    done = subprocess.run(
        snakemake(folder, *arguments), cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-6000:]
    return done.stdout + done.stderr


def clone(root: Path, folder: Path) -> Path:
    """A copy of what the workflow reads."""
    for name in ("workflow", "config", "tests/suite"):
        shutil.copytree(root / name, folder / name)
    shutil.copy(root / "environment.yml", folder)
    return folder
