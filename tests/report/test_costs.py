"""What runs took: hours, cards and memory, summed by stage."""

import os
import subprocess
import sys

import pandas as pd
import pytest

from simcrop.report.costs import COLUMNS, costs

HEADER = "s\th:m:s\tmax_rss\tmax_vms\tmax_uss\tmax_pss\tio_in\tio_out\tmean_load\tcpu_time\n"


def ran(path, seconds, memory, cpu, log=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(HEADER + f"{seconds}\t0:00:00\t{memory}\t1\t1\t1\t0\t0\t99\t{cpu}\n")
    if log is not None:
        path.with_name(path.name.replace("benchmark.tsv", "log.txt")).write_text(log)


def test_hours_are_summed_by_stage_and_cards_are_those_that_the_log_names(tmp_path):
    encoder = tmp_path / "pretrain" / "ct-rate" / "simcrop"
    ran(encoder / "0" / "benchmark.tsv", 7200, 4000, 3600, "cards: 0, 3\nepoch 1\n")
    ran(encoder / "1" / "benchmark.tsv", 1800, 6000, 900, "waiting\ncards: 2\n")
    ran(tmp_path / "pretrain" / "ct-rate" / "text" / "benchmark.tsv", 360, 100, 360, "on a cpu\n")
    ran(tmp_path / "report" / "ablation.benchmark.tsv", 36, 500, "NA")
    table = costs(tmp_path).set_index("stage")
    assert list(table.index) == ["pretrain", "report"]
    expected = {"runs": 3, "wall_hours": 2.6, "cpu_hours": 1.35, "gpu_hours": 4.5, "memory_gb": 6}
    assert table.loc["pretrain"].to_dict() == pytest.approx(expected)
    expected = {"runs": 1, "wall_hours": 0.01, "cpu_hours": 0, "gpu_hours": 0, "memory_gb": 0.5}
    assert table.loc["report"].to_dict() == pytest.approx(expected)


def test_the_cards_that_a_run_takes_are_those_that_count(tmp_path):
    taken = subprocess.run(
        [sys.executable, "-c", "from simcrop import devices; devices.lease(2)"],
        env={**os.environ, "CUDA_VISIBLE_DEVICES": "GPU-a,GPU-b,GPU-c"},
        capture_output=True,
        text=True,
        check=True,
    )
    ran(tmp_path / "benchmark" / "benchmark.tsv", 3600, 1000, 1800, taken.stderr)
    assert costs(tmp_path)["gpu_hours"].item() == 2


def test_without_runs_there_are_no_costs(tmp_path):
    assert costs(tmp_path).equals(pd.DataFrame(columns=list(COLUMNS)))
