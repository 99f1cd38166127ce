"""Retrieval: which volume of the test cases does a report belong to?"""

from pathlib import Path

import numpy as np
import pandas as pd

from simcrop import runs
from simcrop.benchmark import outcome
from simcrop.benchmark.metrics import mean
from simcrop.benchmark.partition import require, splits
from simcrop.benchmark.similarity import scores
from simcrop.formats import sentences
from simcrop.formats.scores import RECALL_DEPTHS
from simcrop.formats.volumes import VolumeStore


def retrieval(run: runs.Retrieve, out: Path) -> None:
    """Rank the test volumes by every test report → scores.json, predictions.csv.

    A report's score of a volume is the mean over its findings' sentences where the method aligns
    sentences, and that of the whole report where it contrasts reports. Cases without findings are
    left out.

    Raises:
        InputError: no test case has findings, or the weights cannot compare texts with volumes.
    """
    test = splits(run)["test"]
    spoken = sentences.read(run.sentences)
    spoken = spoken[spoken["section"] == "findings"]
    test = test[test["case"].isin(spoken["case"])].reset_index(drop=True)
    require({"test": test}, run, "test")
    reports = (test["findings"] + " " + test["impression"]).str.strip()
    if run.unit == "report":
        told = [[report] for report in reports]
    else:
        by_case = spoken.sort_values(["case", "order"]).groupby("case")["text"].agg(list)
        told = [by_case[case] for case in test["case"]]
    different, number = np.unique(np.concatenate(told), return_inverse=True)
    cases = list(test["case"])
    fits = scores(
        run.weights,
        run.text_encoder,
        VolumeStore(run.volumes),
        cases,
        different.tolist(),
        run.max_words,
    )
    parts = np.split(number, np.cumsum([len(texts) for texts in told])[:-1])
    by_report = np.stack([fits[:, part].mean(axis=1) for part in parts])
    table = pd.DataFrame(
        {
            "fraction": 1.0,
            "case": cases,
            "patient": test["patient"],
            **ranked(by_report, pd.factorize(reports)[0]),
        }
    )
    metrics = {f"recall_{k}": mean((table["rank"] <= k).to_numpy(float)) for k in RECALL_DEPTHS}
    metrics |= {f"chance_{k}": mean(table[f"chance_{k}"].to_numpy(float)) for k in RECALL_DEPTHS}
    record = {"fraction": 1.0, "metrics": metrics, "train_cases": 0, "test_cases": len(cases)}
    outcome.write(run, out, [record], table)


def ranked(fits: np.ndarray, report: np.ndarray) -> dict[str, np.ndarray]:
    """The rank of each report's volume, and the chance that it comes so far by luck.

    Any volume with the same report is as good as its own. What scores no less than the best of
    them stands before it.

    Args:
        fits: (N, N), row i how well each volume fits the report of case i.
        report: (N,) int, equal for equal reports.

    Returns:
        rank: (N,) from 1.
        chance_1, chance_5, chance_10: (N,) that one of so many volumes drawn is right.
    """
    right = report[:, None] == report
    best = np.where(right, fits, -np.inf).max(axis=1, keepdims=True)
    result = {"rank": 1 + ((fits >= best) & ~right).sum(axis=1)}
    wrong = (~right).sum(axis=1).astype(float)
    for depth in RECALL_DEPTHS:
        drawn = np.arange(min(depth, len(fits)))
        missed = (np.maximum(wrong[:, None] - drawn, 0) / (len(fits) - drawn)).prod(axis=1)
        result[f"chance_{depth}"] = 1 - missed
    return result
