"""What DVC takes to add a full-size index and to check its status, on volumes of stand-in size.

python benchmarks/index.py
"""

import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from simcrop import settings
from simcrop.formats.volumes import VolumeWriter

ROOT = Path(__file__).parent.parent
CASES = {"ct-rate": 50188, "radchestct": 3630, "cc-ccii": 4178, "luna16": 888, "btcv": 50}


def main() -> None:
    """Print the files, their size, and the seconds of each command."""
    config = settings.read([ROOT / path for path in (*settings.DEFAULTS, "config/paper.yaml")])
    with tempfile.TemporaryDirectory() as name:
        repository = Path(name) / "repository"
        (repository / ".dvc").mkdir(parents=True)
        shutil.copy(ROOT / ".dvc/config", repository / ".dvc")
        shutil.copy(ROOT / ".dvcignore", repository)
        subprocess.run(["git", "init", "--quiet"], cwd=repository, check=True)
        folder = repository / "results/prepare"
        stores = [
            pack(folder, cohort, shard, config.prepare[cohort].shards)
            for cohort in CASES
            for shard in range(config.prepare[cohort].shards)
        ]
        size = sum(path.stat().st_size for path in stores) / 1e6
        print(f"{sum(CASES.values())} cases in {len(stores)} files of {size:.0f} MB")
        print(f"dvc add                  {dvc(repository, 'add', 'results/prepare'):5.1f} s")
        for path in stores:
            path.touch()  # as make pull does: everything is read once more
        print(f"dvc status, after touch  {dvc(repository, 'status'):5.1f} s")
        print(f"dvc status               {dvc(repository, 'status'):5.1f} s")


def pack(folder: Path, cohort: str, shard: int, shards: int) -> Path:
    """Write one volume store of a cohort and return its path."""
    path = folder / cohort / "volumes" / str(shard) / "volumes.zip"
    volume = np.random.default_rng(0).integers(-1000, 1000, (16, 16, 8)).astype(np.int16)
    with VolumeWriter(path) as store:
        for case in range(shard, CASES[cohort], shards):
            volume[0, 0, :2] = case % 1000, case // 1000
            store.add(f"case_{case}", volume, np.eye(4))
    return path


def dvc(repository: Path, *arguments: str) -> float:
    """The seconds that a command of DVC takes."""
    start = time.perf_counter()
    command = [sys.executable, "-m", "dvc", *arguments]
    done = subprocess.run(command, cwd=repository, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(done.stderr)
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
