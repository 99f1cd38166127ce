"""Scores and predictions come back as written."""

import numpy as np
import pandas as pd
import pytest

from simcrop.errors import InputError
from simcrop.formats import scores


def test_scores_are_read_as_written_and_equal_ones_give_equal_bytes(tmp_path):
    record = {"fraction": 0.1, "metrics": {"auroc": 0.5 + 1e-16, "ü": 1 / 3}, "train_cases": 3}
    scores.write(tmp_path / "1.json", {"benchmark": "b", "records": [record]})
    scores.write(tmp_path / "2.json", {"records": [record], "benchmark": "b"})
    assert scores.read(tmp_path / "1.json") == {"benchmark": "b", "records": [record]}
    assert (tmp_path / "1.json").read_bytes() == (tmp_path / "2.json").read_bytes()


def test_predictions_keep_names_as_text_and_numbers_to_the_last_bit(tmp_path):
    table = pd.DataFrame(
        {
            "fraction": [0.1, 1.0],
            "case": ["001", "NA"],
            "patient": ["1e5", "null"],
            "score:Nodule": [1 / 3, 0.1 + 0.2],
            "label:Nodule": [1.0, np.nan],
        }
    )
    scores.write_predictions(tmp_path / "p.csv", table)
    pd.testing.assert_frame_equal(
        scores.read_predictions(tmp_path / "p.csv"), table, check_exact=True
    )


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(InputError, match=r"s\.json: no such"):
        scores.read(tmp_path / "s.json")
    with pytest.raises(InputError, match=r"p\.csv: no such"):
        scores.read_predictions(tmp_path / "p.csv")
