"""The full-size configuration is planned from its settings alone, in a few hundred jobs."""

import re
import shutil
import subprocess
import sys


def test_no_case_is_read_to_plan_the_jobs_of_the_paper(root, tmp_path):
    for name in ("workflow", "config"):
        shutil.copytree(root / name, tmp_path / name)
    shutil.copy(root / "environment.yml", tmp_path)
    # Tables that could not be read, in the place of those of 60,000 cases.
    for cohort in ("ct-rate", "radchestct", "cc-ccii", "luna16", "luna16-1mm", "btcv"):
        index = tmp_path / "results/prepare" / cohort / "index"
        index.mkdir(parents=True)
        for file in ("cases.csv", "findings.csv", "settings.yaml"):
            (index / file).write_bytes(b"\xff no table")
    command = [sys.executable, "-m", "snakemake", "--dry-run", "--quiet", "rules"]
    command += ["--cores", "all", "--configfile", "config/paper.yaml"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    counts = {rule: int(count) for rule, count in re.findall(r"(?m)^(\w+) +(\d+)$", done.stdout)}
    # CT-RATE in 200 shards of 251 volumes, the others in 41.
    assert counts["prepare_volumes"] == 241
    assert counts["total"] < 3000
