"""Which runs a table refuses, and what it says below itself of those that it takes."""

import re
from pathlib import Path

import numpy as np
import pytest

from simcrop import runs
from simcrop.errors import InputError
from simcrop.formats import scores
from simcrop.report.tables import table


def test_missing_predictions_are_named(copied, table_runs, tmp_path):
    paths = copied(table_runs["segmentation"], tmp_path)
    lost = paths[2].with_name("predictions.csv")
    lost.unlink()
    run = table_runs["segmentation"].model_copy(update={"scores": [str(p) for p in paths]})
    with pytest.raises(InputError, match=re.escape(str(lost))):
        table(run, tmp_path / "out")


def test_a_probability_that_is_no_number_is_named(copied, table_runs, tmp_path):
    paths = copied(table_runs["classification"], tmp_path)
    predictions = scores.read_predictions(paths[0].with_name("predictions.csv"))
    column = next(name for name in predictions if name.startswith("score:"))
    predictions.loc[predictions["case"] == "case_007", column] = np.nan
    scores.write_predictions(paths[0].with_name("predictions.csv"), predictions)
    run = table_runs["classification"].model_copy(update={"scores": [str(p) for p in paths]})
    with pytest.raises(InputError, match=f"case 'case_007' has no number in '{column}'"):
        table(run, tmp_path / "out")


def test_missing_scores_are_named(table_runs, tmp_path):
    run = table_runs["segmentation"].model_copy(update={"scores": [str(tmp_path / "scores.json")]})
    with pytest.raises(InputError, match=r"scores\.json: no such scores"):
        table(run, tmp_path)


def test_runs_on_different_test_cases_are_refused(copied, table_runs, tmp_path):
    paths = copied(table_runs["segmentation"], tmp_path)
    other = paths[-1].with_name("predictions.csv")
    scores.write_predictions(other, scores.read_predictions(other).iloc[1:])
    run = table_runs["segmentation"].model_copy(update={"scores": [str(p) for p in paths]})
    with pytest.raises(InputError, match="the same cases"):
        table(run, tmp_path / "out")


def test_a_method_without_title_is_refused(table_runs, tmp_path):
    run = table_runs["segmentation"]
    titles = {key: title for key, title in run.titles.items() if key != "mae"}
    with pytest.raises(InputError, match="'mae' is not in the report's titles"):
        table(run.model_copy(update={"titles": titles}), tmp_path)


def _changed(copied, run: runs.Table, folder: Path, part: str, **changes) -> runs.Table:
    """The run over copies of its scores; those whose path has `part` are changed."""
    paths = copied(run, folder)
    for path in paths:
        if part in str(path):
            found = scores.read(path)
            settings = found["settings"]["settings"] | changes.get("settings", {})
            other = {key: value for key, value in changes.items() if key != "settings"}
            scores.write(path, found | other | {"settings": {"settings": settings}})
    return run.model_copy(update={"scores": [str(path) for path in paths]})


def test_a_state_chosen_on_the_test_cases_is_refused_by_a_sound_table(copied, table_runs, tmp_path):
    run = table_runs["classification"]
    run = _changed(copied, run, tmp_path, "/ct-rate/mae/1/", settings={"select_on": "test"})
    with pytest.raises(InputError, match=r"ct-rate/mae/1: its state was chosen on the test cases"):
        table(run, tmp_path / "out")


def test_what_the_published_protocol_lets_touch_training_is_named_below_the_table(
    copied, table_runs, tmp_path
):
    run = table_runs["classification"].model_copy(update={"protocol": "published"})
    run = _changed(copied, run, tmp_path, "/ct-rate/", settings={"select_on": "test"})
    run = _changed(copied, run, tmp_path / "2", "/cc-ccii/", leaks=["case_003", "case_004"])
    table(run, tmp_path / "out")
    for suffix in ("md", "tex", "html"):
        text = (tmp_path / "out" / f"classification.{suffix}").read_text(encoding="utf-8")
        assert "State chosen on the test cases, as published, so that scores are too high: " in text
        assert "so that scores are too high: CT-RATE." in text
        assert "in training too, as the published lists have it: CC-CCII: 2 cases" in text


def test_labels_that_no_test_case_shows_are_named_below_the_table(
    copied, table_runs, tmp_path, made
):
    run = _changed(
        copied,
        table_runs["classification"],
        tmp_path,
        "/ct-rate/",
        undefined=["Hernia", "Medical material"],
    )
    table(run, tmp_path / "out")
    told = "for want of test cases that show it: CT-RATE: Hernia, Medical material."
    assert told in (tmp_path / "out/classification.md").read_text(encoding="utf-8")
    assert "for want of" not in (made / "classification.md").read_text(encoding="utf-8")
