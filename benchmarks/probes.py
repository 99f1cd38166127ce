"""All linear probes of one encoder on one benchmark, against running the encoder at every step.

    snakemake --cores all results/benchmark/ct-rate/simcrop/0/scores.json
    python benchmarks/probes.py results/benchmark/ct-rate/simcrop/0/settings.yaml

Three fractions, five probes each, from the settings of a run that was made; features are computed
anew. Both sides go through `simcrop.benchmark.probe`: a drop path of 1e-9 lets the encoder read a
step's cases at that step and drops nothing. `--drop-path 0.1` is the published protocol.
"""

import argparse
import json
import tempfile
import time
from pathlib import Path

import numpy as np

from simcrop import runs
from simcrop.benchmark.probe import classification


def scored(run: runs.Classify, drop_path: float) -> tuple[float, dict[float, float]]:
    """Seconds, and the AUROC at every fraction as a mean over probes."""
    settings = run.settings.model_copy(update={"drop_path": drop_path})
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        classification(run.model_copy(update={"settings": settings}), Path(folder))
        seconds = time.perf_counter() - start
        found = json.loads((Path(folder) / "scores.json").read_text(encoding="utf-8"))
    return seconds, {r["fraction"]: r["metrics"]["auroc"] for r in found["records"]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("settings", help="settings.yaml of a classification")
    parser.add_argument("--fractions", type=float, nargs="+", default=[0.1, 0.3, 1.0])
    parser.add_argument("--probes", type=int, default=5)
    parser.add_argument("--steps", type=int, help="of every probe, if not those of the settings")
    parser.add_argument("--drop-path", type=float, default=1e-9, help="of the slower side")
    told = parser.parse_args()
    run = runs.load(told.settings)
    schedules = run.settings.fractions
    nearest = {f: min(schedules, key=lambda s, f=f: abs(s - f)) for f in told.fractions}
    steps = {"steps": told.steps} if told.steps else {}
    changes = {
        "fractions": {f: schedules[s].model_copy(update=steps) for f, s in nearest.items()},
        "probe_seeds": told.probes,
        "zero_shot": None,
    }
    settings = run.settings.model_copy(update=changes)
    run = run.model_copy(update={"settings": settings, "text_encoder": None})
    fast, areas = scored(run, 0.0)
    slow, others = scored(run, told.drop_path)
    print(f"{len(told.fractions)} fractions, {told.probes} probes each, {run.benchmark}")
    print(f"features computed once: {fast:.1f} s")
    print(f"encoder run at every step, drop path {told.drop_path:g}: {slow:.1f} s")
    print(f"{slow / fast:.0f} times as fast")
    for fraction, area in areas.items():
        print(f"AUROC at {fraction:g}: {area:.4f} and {others[fraction]:.4f}")
    apart = np.mean([*areas.values()]) - np.mean([*others.values()])
    print(f"mean AUROC: {np.mean([*areas.values()]):.4f}, {apart:+.4f}")


if __name__ == "__main__":
    main()
