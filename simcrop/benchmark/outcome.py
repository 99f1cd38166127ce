"""What every evaluation leaves: the predictions, and the scores made of them."""

from pathlib import Path
from typing import Any

import pandas as pd

from simcrop import files, runs
from simcrop.formats import cases, scores
from simcrop.provenance import data, provenance


def write(
    run: runs.Evaluation,
    out: Path,
    records: list[dict[str, Any]],
    predictions: pd.DataFrame,
    **further: Any,
) -> None:
    """Write predictions.csv and then scores.json; see `simcrop.formats.scores` for both.

    Args:
        records: one a fraction.
        predictions: one row a test case and fraction.
        further: what the scores of this task hold besides.
    """
    leaking = predictions["patient"].isin(cases.leaking(cases.read(run.cases)))
    scores.write_predictions(out / "predictions.csv", predictions)
    scores.write(
        out / "scores.json",
        {
            "benchmark": run.benchmark,
            "method": run.method,
            "seed": run.seed,
            "task": run.settings.task,
            "records": records,
            "leaks": predictions.loc[leaking, "case"].unique().tolist(),
            **further,
            "settings": run.model_dump(mode="json"),
            "provenance": {
                **provenance(),
                "data": data(run.record),
                "weights": files.sha256(run.weights),
            },
        },
    )
