import pandas as pd
import pytest

from simcrop import runs
from simcrop.benchmark.partition import fraction_of, require, splits
from simcrop.errors import InputError


@pytest.fixture
def run(tmp_path):
    return runs.Classify(
        benchmark="probe-of-tiny",
        method="random",
        seed=0,
        weights="",
        record=str(tmp_path / "record.csv"),
        cases=str(tmp_path / "cases.csv"),
        volumes=[],
        settings={
            "task": "classification",
            "title": "Tiny",
            "cohort": "tiny",
            "kind": "binary",
            "fractions": {1.0: {"steps": 1, "lr": 1, "warmup": 0, "batch": 2}},
        },
    )


def test_smaller_fractions_lie_in_larger_ones_and_keep_patients_whole():
    table = pd.DataFrame({"case": range(60), "patient": [f"p{i // 3}" for i in range(60)]})
    before = set()
    for fraction, patients in ((0.01, 1), (0.1, 2), (0.5, 10), (1.0, 20)):
        part = fraction_of(table, fraction, seed=3)
        assert part["patient"].nunique() == patients
        assert len(part) == 3 * patients
        assert before <= set(part["case"])
        before = set(part["case"])


def test_the_patients_of_a_fraction_change_with_the_seed_but_not_with_the_order_of_rows():
    table = pd.DataFrame({"case": range(40), "patient": [f"p{i}" for i in range(40)]})
    chosen = [set(fraction_of(table, 0.5, seed)["case"]) for seed in (0, 1)]
    assert chosen[0] != chosen[1]
    assert set(fraction_of(table[::-1], 0.5, 0)["case"]) == chosen[0]


def test_a_patient_in_train_and_test_is_named(run, case_table):
    case_table(["train", "test", "test"], {"A": [0, 1, 0]}, patients=["ann", "bob", "ann"])
    with pytest.raises(InputError, match=r"cases\.csv: patient 'ann' stands in test and train"):
        splits(run)


def test_a_case_in_train_and_test_is_named(run, case_table, tmp_path):
    table = case_table(["train", "test"], {"A": [0, 1]})
    table["case"] = "scan-7"
    table.to_csv(tmp_path / "cases.csv", index=False)
    with pytest.raises(InputError, match="case 'scan-7' stands in more than one row"):
        splits(run)


@pytest.mark.parametrize("missing", ["train", "test"])
def test_a_cohort_without_train_or_test_cases_is_named(run, case_table, missing):
    other = "test" if missing == "train" else "train"
    case_table([other, "val"], {"A": [0, 1]})
    with pytest.raises(InputError, match=f"probe-of-tiny: cohort 'tiny' has no {missing} case"):
        require(splits(run), run, "train", "test")


def test_reports_without_a_volume_are_no_cases(run, case_table, tmp_path):
    table = case_table(["train", "train", "test"], {"A": [0, 1, 0]})
    table.loc[0, "path"] = ""
    table.to_csv(tmp_path / "cases.csv", index=False)
    assert list(splits(run)["train"]["case"]) == ["case01"]


def _pretraining(tmp_path, table, **changes) -> str:
    """The case table of another cohort of the same dataset: other splits or names."""
    path = tmp_path / "other.csv"
    table.assign(**changes).to_csv(path, index=False)
    return str(path)


def test_a_test_patient_that_the_encoder_was_trained_on_is_refused_by_name(
    run, case_table, tmp_path
):
    table = case_table(["train", "test", "test"], {"A": [0, 1, 0]}, patients=["ann", "bob", "eve"])
    other = _pretraining(tmp_path, table, split=["train", "test", "train"])
    run = run.model_copy(update={"trained_on": [other]})
    told = r"probe-of-tiny: test case 'case02' is of patient 'eve', on whose scans .*other\.csv"
    with pytest.raises(InputError, match=told):
        splits(run)


def test_an_encoder_may_have_seen_training_and_validation_patients(run, case_table, tmp_path):
    table = case_table(["train", "val", "test"], {"A": [0, 1, 0]})
    other = _pretraining(tmp_path, table, split=["train", "train", "test"])
    parts = splits(run.model_copy(update={"trained_on": [other]}))
    assert list(parts["test"]["case"]) == ["case02"]


def test_a_part_of_a_patient_is_that_patient_to_an_encoder(run, case_table, tmp_path):
    table = case_table(["", "test"], {"A": [0, 1]}, patients=["ann", "bob"])
    other = _pretraining(tmp_path, table, patient=["bob@train", "bob@val"], split=["train", "val"])
    with pytest.raises(InputError, match="test case 'case01' is of patient 'bob'"):
        splits(run.model_copy(update={"trained_on": [other]}))
