"""The whole workflow on a shrunken configuration, run as a user runs it."""

import csv
import fcntl
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from workflow_run import clone, run, snakemake

TABLES = (
    "classification",
    "segmentation",
    "localisation",
    "retrieval",
    "difference",
    "ablation",
)
SEVERAL = ("ct-rate", "radchestct")  # benchmarks of several labels
COLUMNS = [
    *("benchmark", "method", "fraction", "metric"),
    *("mean", "low", "high", "seeds", "cases", "sd", "p", "p_holm"),
]


def tables(folder: Path) -> dict[str, bytes]:
    """The tables, byte for byte."""
    report = folder / "results" / "report"
    return {
        f"{table}.{suffix}": (report / f"{table}.{suffix}").read_bytes()
        for table in TABLES
        for suffix in ("csv", "md", "tex", "html")
    }


@pytest.mark.xdist_group("workflow")
def test_every_table_has_its_columns_and_every_benchmark_its_rows(finished):
    rows = {}
    for table in TABLES:
        with (finished / f"results/report/{table}.csv").open() as file:
            reader = csv.DictReader(file)
            rows[table] = list(reader)
            assert reader.fieldnames == COLUMNS
    found = {row["benchmark"] for table in TABLES for row in rows[table]}
    assert found == {
        *("ct-rate", "radchestct", "cc-ccii", "luna16"),
        *("luna16-lungs", "btcv", "ct-rate-lesions", "ct-rate-reports"),
    }
    assert {row["method"] for row in rows["classification"]} == {"random", "simcrop"}
    assert {row["method"] for row in rows["ablation"]} == {"simcrop", "simcrop-no-report"}


@pytest.mark.xdist_group("workflow")
def test_every_figure_is_there_as_png_svg_and_pdf(finished):
    figures = finished / "results/report/figures"
    names = {path.stem for path in figures.glob("*.png")}
    for suffix in ("svg", "pdf"):
        assert names == {path.stem for path in figures.glob(f"*.{suffix}")}
    assert names == {
        *("label_efficiency", "training_curves", "reconstruction"),
        *(f"per_label_{kind}_{name}" for kind in ("auroc", "difference") for name in SEVERAL),
        *("segmentation_luna16-lungs", "segmentation_btcv", "similarity_ct-rate-lesions"),
    }


@pytest.mark.xdist_group("workflow")
def test_after_a_run_nothing_is_to_be_done(finished):
    assert "Nothing to be done" in run(finished, "--dry-run")


@pytest.mark.xdist_group("workflow")
def test_a_changed_k_reruns_what_depends_on_it_and_nothing_else(finished):
    changed = "methods={simcrop: {objectives: {sentence_alignment: {top_k: 7}}}}"
    plan = run(finished, "--dry-run", "--quiet", "rules", "--config", changed)
    again = {line.split()[0]: int(line.split()[1]) for line in plan.splitlines() if is_count(line)}
    assert again == {
        "all": 1,
        "pretrain_encoder": 2,  # simcrop and the ablation that extends it
        "benchmark_classification": 5,
        "benchmark_segmentation": 2,
        "benchmark_localisation": 2,
        "benchmark_retrieval": 1,
        "report_table": 6,
        "report_figures": 1,
        "report_page": 1,
        "report_summary": 1,
        "total": 22,
    }


@pytest.mark.xdist_group("workflow")
def test_a_run_repeated_by_hand_from_its_settings_gives_the_same_weights(finished, tmp_path):
    source = finished / "results/pretrain/ct-rate/simcrop/0"
    settings = tmp_path / "settings.yaml"
    shutil.copy(source / "settings.yaml", settings)
    subprocess.run(
        [sys.executable, "-m", "simcrop.cli", "pretrain", settings],
        cwd=finished,
        check=True,
        capture_output=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    name = "weights.safetensors"
    assert (tmp_path / name).read_bytes() == (source / name).read_bytes()


@pytest.mark.xdist_group("workflow")
def test_a_run_killed_again_and_again_ends_in_the_same_tables(root, finished, tmp_path):
    folder = clone(root, tmp_path / "killed")
    for seconds in (6, 15, 30):
        process = subprocess.Popen(
            snakemake(folder),
            cwd=folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        time.sleep(seconds)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        run(folder, "--unlock")
    run(folder)
    assert tables(folder) == tables(finished)


def test_a_second_run_in_a_folder_where_one_is_at_work_ends_at_once(root, tmp_path):
    folder, target = clone(root, tmp_path / "shared"), "results/acquire/btcv/record.csv"
    (folder / ".snakemake").mkdir()
    with (folder / ".snakemake/alive.lock").open("w") as alive:
        fcntl.flock(alive, fcntl.LOCK_EX)
        second = subprocess.run(
            snakemake(folder, "--nolock", "--", target),
            cwd=folder,
            capture_output=True,
            text=True,
        )
    assert second.returncode == 1
    assert "another run is at work in this folder" in second.stderr
    assert not (folder / "results").exists()
    run(folder, "--", target)
    assert (folder / target).is_file()


@pytest.mark.parametrize("cards, given", [("0,1", {"0", "1"}), ("1", {"1"})])
@pytest.mark.xdist_group("workflow")
def test_trainings_share_the_cards_and_none_waits_in_vain(
    finished, tmp_path, monkeypatch, cards, given
):
    folder = shutil.copytree(finished, tmp_path / "again")
    methods = ("simcrop", "simcrop-no-report")
    weights = [f"results/pretrain/ct-rate/{method}/0/weights.safetensors" for method in methods]
    for path in weights:
        shutil.rmtree((folder / path).parent)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", cards)
    monkeypatch.setenv("SLURM_JOB_ID", f"test-{os.getpid()}")  # apart from real runs
    run(folder, "--cores", "2", *weights)
    logs = [(folder / path).with_name("log.txt").read_text() for path in weights]
    assert {log.partition("\n")[0].removeprefix("cards: ") for log in logs} == given


def test_jobs_find_the_environment_in_a_folder_with_a_blank_in_its_name(root, tmp_path):
    folder = clone(root, tmp_path / "with blank")
    (folder / "environment").symlink_to(sys.prefix)
    record = "results/acquire/luna16/record.csv"
    python = folder / "environment/bin" / Path(sys.executable).name
    command = [python, *snakemake(folder, "--", record)[1:]]
    subprocess.run(command, cwd=folder, check=True, env={**os.environ, "PATH": os.defpath})
    assert (folder / record).is_file()


def is_count(line: str) -> bool:
    """Whether a line of Snakemake's job table."""
    parts = line.split()
    return len(parts) == 2 and parts[1].isdigit()
