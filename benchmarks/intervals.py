"""Whether intervals and tests keep what they promise, on simulated predictions; and what they cost.

    python benchmarks/intervals.py

Scores are binormal: noise, to which a positive adds d. Their AUROC is Phi(d / sqrt 2).
"""

import argparse
import math
import time

import numpy as np
import pandas as pd
from scipy.stats import norm

from simcrop.report.measures import auroc, metrics, weighted_mean
from simcrop.report.statistics import expanded, holm, p_value, resample_weights, summary

METHODS, BENCHMARKS = 4, 3


def covered_auroc(patients: int, prevalence: float, area: float, trial: int) -> bool:
    """Whether the interval of one simulated test set holds the true AUROC."""
    rng = np.random.default_rng([patients, trial])
    labels = (rng.random(patients) < prevalence).astype(int)
    scores = math.sqrt(2) * norm.ppf(area) * labels + rng.normal(size=patients)
    weights = resample_weights(np.arange(patients).astype(str), 1000, "trial", trial)
    _, low, high = summary([auroc(scores, labels, weights)], expanded(0.95, patients))
    return low <= area <= high


def covered_mean(patients: int, trial: int) -> tuple[bool, bool]:
    """Whether the interval of a mean of normal values holds it; and the plain percentile one."""
    values = np.random.default_rng([patients, trial]).normal(size=patients)
    weights = resample_weights(np.arange(patients).astype(str), 1000, "trial", trial)
    means = weighted_mean(values, weights)
    both = [summary([means], share)[1:] for share in (expanded(0.95, patients), 0.95)]
    return tuple(low <= 0 <= high for low, high in both)


def found(patients: int, ahead: float, trial: int) -> np.ndarray:
    """Which of METHODS × BENCHMARKS differences are significant after Holm's correction.

    The example's d is 1 + `ahead`, that of all others 1; half of the noise is the patient's own.
    """
    values = []
    for benchmark in range(BENCHMARKS):
        rng = np.random.default_rng([benchmark, trial])
        labels = (rng.random(patients) < 0.3).astype(int)
        common = rng.normal(size=patients)
        weights = resample_weights(np.arange(patients).astype(str), 1000, str(benchmark), trial)
        areas = [
            auroc(d * labels + (common + rng.normal(size=patients)) / math.sqrt(2), labels, weights)
            for d in [1 + ahead] + METHODS * [1.0]
        ]
        values += [p_value(areas[0] - other, patients) for other in areas[1:]]
    return np.stack([np.array(values), holm(np.array(values))]) < 0.05


def timed(patients: int = 3000, labels: int = 18) -> float:
    """CPU seconds that all metrics of one run take at one fraction, under 1,000 resamples."""
    rng = np.random.default_rng(0)
    truth = (rng.random((patients, labels)) < 0.2).astype(int)
    told = 1 / (1 + np.exp(2 - 2 * truth - rng.normal(size=truth.shape)))
    columns = {f"score:{i}": column for i, column in enumerate(told.T)}
    columns |= {f"label:{i}": column for i, column in enumerate(truth.T)}
    table = pd.DataFrame(columns).assign(fraction=1.0)
    weights = resample_weights(np.arange(patients).astype(str), 1000, "trial", 0)
    start = time.process_time()
    metrics(table, "classification", {"kind": "multilabel"}, weights)
    return time.process_time() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=1000)
    trials = range(parser.parse_args().trials)
    print(f"3,000 cases × 18 labels × 1,000 resamples, all metrics: {timed():.1f} CPU s")
    print("AUROC: patients, prevalence, truth → share of 95 % intervals that hold it")
    for case in ((100, 0.3, 0.76), (200, 0.3, 0.76), (200, 0.3, 0.92), (300, 0.1, 0.76)):
        share = np.mean([covered_auroc(*case, trial) for trial in trials])
        print(f"  {case[0]:4d}  {case[1]:.1f}  {case[2]:.2f} → {100 * share:.1f} %", flush=True)
    print("mean of normal values: patients → the same, and without the expansion")
    for patients in (6, 20, 100):
        shares = np.mean([covered_mean(patients, trial) for trial in trials], axis=0)
        print(f"  {patients:4d} → {100 * shares[0]:.1f} %, {100 * shares[1]:.1f} %", flush=True)
    print(f"{METHODS * BENCHMARKS} comparisons: patients, AUROC ahead → any found, share found")
    for patients, ahead in ((100, 0.0), (300, 0.0), (300, 0.5)):
        plain, corrected = np.mean(
            [[(h.any(), h.mean()) for h in found(patients, ahead, trial)] for trial in trials],
            axis=0,
        )
        areas = norm.cdf(np.array([1 + ahead, 1.0]) / math.sqrt(2))
        print(
            f"  {patients:4d}  {areas[0] - areas[1]:.3f} → uncorrected {100 * plain[0]:.1f} %, "
            f"{100 * plain[1]:.1f} %; Holm {100 * corrected[0]:.1f} %, {100 * corrected[1]:.1f} %",
            flush=True,
        )


if __name__ == "__main__":
    main()
