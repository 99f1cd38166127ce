"""Results go to a remote and come back in another clone, as users of DVC and make do it."""

import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest

pytestmark = pytest.mark.xdist_group("dvc")

CONFIG = "tests/dvc/least.yaml"
TRAINED = "results/pretrain/ct-rate/mae/0"
CHANGED = ("1.0: {steps: 10, lr: 0.001,", "1.0: {steps: 10, lr: 0.1,")
ENVIRONMENT = {
    **os.environ,
    "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    "OMP_NUM_THREADS": "1",
    "GIT_CONFIG_GLOBAL": os.devnull,
    **{f"GIT_{who}_NAME": "n" for who in ("AUTHOR", "COMMITTER")},
    **{f"GIT_{who}_EMAIL": "e@example.org" for who in ("AUTHOR", "COMMITTER")},
}


def attempt(folder: Path, *command: str) -> subprocess.CompletedProcess:
    """Run a command in `folder`; what it printed is kept in one text."""
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    return subprocess.run(command, cwd=folder, env=ENVIRONMENT, check=False, **streams)


def run(folder: Path, *command: str) -> str:
    """What a command printed; fails with it where the command failed."""
    done = attempt(folder, *command)
    assert done.returncode == 0, done.stdout[-6000:]
    return done.stdout


def planned(folder: Path) -> dict[str, int]:
    """How many jobs of each rule Snakemake would run; nothing where all is done."""
    text = run(
        folder, "snakemake", "--dry-run", "--quiet", "rules", "--cores", "1", "--configfile", CONFIG
    )
    lines = [line.split() for line in text.splitlines()]
    counts = {line[0]: int(line[1]) for line in lines if len(line) == 2 and line[1].isdigit()}
    assert counts or "Nothing to be done" in text
    return counts


def contents(folder: Path) -> dict[str, str]:
    """The SHA-256 of every file under `folder`."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }


def tables(folder: Path) -> dict[str, bytes]:
    """The tables and metrics, byte for byte."""
    found = [
        path
        for pattern in ("*.csv", "*.md", "*.tex", "*.html", "summary/*")
        for path in (folder / "results/report").glob(pattern)
        if path.name not in ("log.txt", "benchmark.tsv")
    ]
    return {path.name: path.read_bytes() for path in found}


def numbers(folder: Path) -> list[int]:
    """How far the training of each checkpoint had come."""
    names = [path.name for path in (folder / TRAINED / "checkpoints").glob("[!.]*.pt")]
    return sorted(int(re.search(r"\d+", name)[0]) for name in names)


def flip(path: Path) -> None:
    """Change one byte of a file; its permissions stay."""
    mode = path.stat().st_mode
    path.chmod(0o644)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    path.chmod(mode)


def cached(cache: Path, path: Path) -> Path:
    """Where DVC keeps the content of `path`."""
    digest = hashlib.md5(path.read_bytes()).hexdigest()
    return cache / "files/md5" / digest[:2] / digest[2:]


def clone(source: Path, folder: Path) -> Path:
    """A git clone whose environment counts as set up: that of the tests is used."""
    run(source, "git", "clone", "--quiet", str(source), str(folder))
    (folder / ".venv").mkdir()
    (folder / ".venv/setup.stamp").touch()
    return folder


@pytest.fixture(scope="module")
def space(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder whose `first` is a repository of what the workflow reads, with nothing run."""
    space = tmp_path_factory.mktemp("dvc")
    source = space / "source"
    for name in ("workflow", "config", "tests/dvc"):
        shutil.copytree(root / name, source / name)
    (source / ".dvc").mkdir()
    files = (".dvc/config", ".dvc/.gitignore", ".dvcignore", ".gitignore", "dvc.yaml", "Makefile")
    for name in (*files, "environment.yml", "pyproject.toml", "requirements.lock"):
        shutil.copy(root / name, source / name)
    stages = source / "dvc.yaml"
    text = stages.read_text().replace("config: config/config.yaml", f"config: {CONFIG}")
    stages.write_text(text.replace("encoder: ct-rate/simcrop/0", "encoder: ct-rate/mae/0"))
    for command in (["init", "--quiet"], ["add", "--all"], ["commit", "--quiet", "-m", "code"]):
        run(source, "git", *command)
    clone(source, space / "first")
    return space


@pytest.fixture(scope="module")
def broken_off(space: Path) -> int:
    """Kills `dvc repro` of `first` in the middle of the training; returns how far that had come."""
    folder = space / "first"
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    options = {"cwd": folder, "env": ENVIRONMENT, "start_new_session": True}
    process = subprocess.Popen(["dvc", "repro"], **options, **quiet)
    while max(numbers(folder), default=0) < 5:
        assert process.poll() is None
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert not (folder / TRAINED / "weights.safetensors").exists()
    return max(numbers(folder))


@pytest.fixture(scope="module")
def pushed(space: Path, broken_off: int) -> Path:
    """`first`, brought to its end by another `dvc repro`, pushed and tagged."""
    folder = space / "first"
    run(folder, "dvc", "repro")
    run(folder, "make", "push")
    run(folder, "git", "add", "dvc.lock")
    run(folder, "git", "commit", "--quiet", "-m", "a run")
    run(folder, "git", "tag", "run-1")
    return folder


@pytest.fixture(scope="module")
def pulled(space: Path, pushed: Path) -> Path:
    """Another clone, with what `make pull` brought."""
    folder = clone(pushed, space / "pulled")
    run(folder, "make", "pull")
    return folder


def test_a_training_broken_off_under_dvc_goes_on_from_its_last_checkpoint(pushed, broken_off):
    log = (pushed / TRAINED / "log.txt").read_text()
    counts = [tuple(map(int, pair)) for pair in re.findall(r"\b(\d+)/(\d+) \[", log)]
    (start, steps), (end, _) = counts[0], counts[-1]
    assert start / steps == broken_off / max(numbers(pushed)) > 0
    assert end == steps
    assert list(pd.read_csv(pushed / TRAINED / "history.csv")["epoch"]) == [*range(1, 31)]


def test_what_is_pulled_equals_what_was_pushed_and_nothing_is_to_be_done(pushed, pulled):
    assert tables(pulled) == tables(pushed)
    assert {"classification.md", "metrics.json", "provenance.csv"} < {*tables(pulled)}
    assert planned(pulled) == {}


def test_nothing_that_a_run_goes_on_from_is_pushed_or_cleared(pushed, pulled):
    assert numbers(pushed)
    for name in ("checkpoints", "log.txt", "benchmark.tsv"):
        assert (pushed / TRAINED / name).exists()
        assert not (pulled / TRAINED / name).exists()


def test_after_a_pull_a_changed_setting_reruns_what_depends_on_it(pulled):
    config = pulled / CONFIG
    before = config.read_text()
    config.write_text(before.replace(*CHANGED))
    again = planned(pulled)
    config.write_text(before)
    assert again.pop("all") and again.pop("total")
    reports = {f"report_{name}" for name in ("table", "summary", "figures", "page")}
    assert {*again} == {"benchmark_classification", *reports}
    assert planned(pulled) == {}


def test_weights_can_be_pulled_alone(space, pushed):
    folder = clone(pushed, space / "weights")
    run(folder, "dvc", "pull", "results/pretrain")
    assert [path.name for path in (folder / "results").iterdir()] == ["pretrain"]
    name = f"{TRAINED}/weights.safetensors"
    assert (folder / name).read_bytes() == (pushed / name).read_bytes()


def test_a_rerun_over_read_only_links_succeeds_and_leaves_the_cache_as_it_was(space, pushed):
    """By one who may not write what is read-only: for root, without that privilege."""
    user = ["setpriv", "--bounding-set=-dac_override"] if os.geteuid() == 0 else []
    folder = clone(pushed, space / "linked")
    run(folder, "dvc", "config", "--local", "cache.type", "hardlink")
    run(folder, "make", "pull")
    cache, first = folder / ".dvc/cache", tables(folder)
    for path in (cache / "files").rglob("*"):
        if path.is_file():
            path.chmod(0o444)  # as DVC makes it
    scores = folder / "results/benchmark/ct-rate/mae/0/scores.json"
    assert scores.samefile(cached(cache, scores))
    assert attempt(folder, *user, "test", "-w", str(scores)).returncode == 1

    before = contents(cache)
    config = folder / CONFIG
    config.write_text(config.read_text().replace(*CHANGED))
    run(folder, *user, "make", "run", f"CONFIG={CONFIG}")
    weights = folder / TRAINED / "weights.safetensors"
    assert weights.samefile(cached(cache, weights))  # not trained again
    run(folder, *user, "dvc", "commit", "--force")
    after = contents(cache)
    assert {path: after[path] for path in before} == before
    assert tables(folder) != first

    told = run(folder, "dvc", "params", "diff")
    assert re.search(r"benchmark\.ct-rate\.fractions\.1\.0\.lr +0\.001 +0\.1\n", told)
    told = run(folder, "dvc", "metrics", "diff")
    assert "ct-rate.mae.100 %.auroc" in told and "ct-rate.mae.10 %" not in told

    run(folder, "git", "checkout", "--quiet", "--force", "run-1")
    run(folder, "make", "pull")
    assert tables(folder) == first
    assert planned(folder) == {}


def test_dvc_tells_auroc_by_benchmark_method_and_fraction(pulled):
    told = json.loads(run(pulled, "dvc", "metrics", "show", "--json"))
    rows = pd.read_csv(pulled / "results/report/classification.csv")
    row = rows[(rows["fraction"] == 1) & (rows["metric"] == "auroc")].iloc[0]
    (metrics,) = told[""]["data"].values()
    assert metrics["data"]["ct-rate"]["mae"]["100 %"]["auroc"] == row["mean"]


def test_dvc_plots_the_numbers_and_the_training(pulled, tmp_path):
    run(pulled, "dvc", "plots", "show", "--out", str(tmp_path))
    page = (tmp_path / "index.html").read_text()
    assert "ct-rate mae 100 %" in page
    assert re.search(r'"total": "?\d', page)


def test_a_flipped_byte_in_the_cache_is_told_and_mended(pulled):
    weights = pulled / TRAINED / "weights.safetensors"
    kept = cached(pulled / ".dvc/cache", weights)
    flip(kept)
    told = run(pulled, "dvc", "status")
    assert re.search(r"not in cache: +results/pretrain", told)
    run(pulled, "make", "pull")
    assert kept.read_bytes() == weights.read_bytes()
    assert "up to date" in run(pulled, "dvc", "status")


def test_a_flipped_byte_at_the_remote_does_not_get_in(space, pushed):
    folder = clone(pushed, space / "refused")
    kept = cached(space / "simcrop-dvc", pushed / TRAINED / "weights.safetensors")
    flip(kept)
    done = attempt(folder, "make", "pull")
    flip(kept)
    assert done.returncode != 0
    assert "results/pretrain" in done.stdout.partition("Checkout failed")[2]
    assert not (folder / TRAINED / "weights.safetensors").exists()
    run(folder, "make", "pull")
    assert planned(folder) == {}
