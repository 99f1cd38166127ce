"""What every stage took: hours on the clock, of processors and of cards, and memory."""

import re
from pathlib import Path

import pandas as pd

STAGES = ("acquire", "prepare", "pretrain", "benchmark", "report")
COLUMNS = ("stage", "runs", "wall_hours", "cpu_hours", "gpu_hours", "memory_gb")
_CARDS = re.compile(r"^cards: (.+)$", re.MULTILINE)


def costs(results: Path) -> pd.DataFrame:
    """What the runs that lie in `results` took, from the benchmark.tsv that Snakemake leaves.

    A run counts with the attempt that finished it. Its cards are those that its log names.

    Returns:
        COLUMNS, a row a stage that has runs: sums over its runs, and the most memory of one.
    """
    rows = []
    for stage in STAGES:
        found = [_of_run(path) for path in sorted((results / stage).rglob("*benchmark.tsv"))]
        if found:
            table = pd.DataFrame(found)
            hours = table[["wall", "cpu", "gpu"]].sum() / 3600
            rows.append((stage, len(table), *hours, table["memory"].max() / 1000))
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _of_run(path: Path) -> dict[str, float]:
    """Seconds, and MB; what was too short to be measured is 0."""
    told = pd.read_csv(path, sep="\t").iloc[-1]
    wall, memory, cpu = pd.to_numeric(told[["s", "max_rss", "cpu_time"]], errors="coerce").fillna(0)
    log = path.with_name(path.name.replace("benchmark.tsv", "log.txt"))
    named = _CARDS.findall(log.read_text(errors="replace")) if log.exists() else []
    cards = len(named[-1].split(",")) if named else 0
    return {"wall": wall, "cpu": cpu, "gpu": wall * cards, "memory": memory}
