"""Every fault that users of the datasets met is planted here, and found."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from simcrop.cohorts import official
from simcrop.formats import cases
from simcrop.prepare import audit as audits
from simcrop.prepare import findings
from simcrop.prepare.readers import Volume

LISTS = Path(__file__).parents[2].parent / "shared/official-splits"


def cohort(count: int = 12) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Case table and audit of a cohort without a fault."""
    names = [f"c{i}" for i in range(count)]
    table = pd.DataFrame({"case": names}).reindex(
        columns=[*cases.TEXT, *cases.HINTS], fill_value=""
    )
    table["patient"] = table["scan"] = table["case"]
    table["path"] = table["case"] + ".nii.gz"
    table["split"] = ["train", "val", "test"] * (count // 3)
    table["label:A"] = ([1.0, 1, 1, 0, 0, 0] * count)[:count]
    table["label:B"] = ([0.0, 0, 0, 1, 1, 1] * count)[:count]
    audit = pd.DataFrame({"case": names}).reindex(columns=[*audits.COLUMNS], fill_value="")
    audit["raw_spacing"] = "0.7 0.7 2"
    audit["content"] = [f"{i:016x}" for i in range(count)]
    return table, audit


def found(table: pd.DataFrame, audit: pd.DataFrame) -> dict[str, pd.Series]:
    return findings.findings(table, audit).set_index("finding").to_dict("index")


def test_a_cohort_without_a_fault_has_no_finding():
    assert found(*cohort()) == {}


def test_cases_set_aside_are_counted_by_the_kind_of_reason():
    table, audit = cohort()
    for i in (1, 2):
        audit.loc[i, "reason"] = f"raw/c{i}.nii.gz: cannot be read (CRC {i}); fetch it again"
    audit.loc[5, "reason"] = "0.3 % of the voxels lie between -980 and -400, so not in HU; mend"
    rows = found(table, audit)
    assert rows["set aside: cannot be read"]["cases"] == 2
    assert rows["set aside: cannot be read"]["examples"] == "c1; c2"
    assert (
        rows["set aside: # % of the voxels lie between # and #, so not in HU"]["severity"]
        == "fault"
    )


@pytest.mark.parametrize(
    ("one", "other", "kind"),
    [
        (
            "/my data/c1.nii.gz: no such file; fetch it again",
            "/my data/c2.nii.gz: no such file; fetch it again",
            "no such file",
        ),
        (
            "a: cannot be read (at 3; 4 bytes more); fetch it again",
            "b: cannot be read (CRC 5; ends); fetch it again",
            "cannot be read",
        ),
        (
            f"https://host/a: has checksum {'0a' * 32} twice, and {'b1' * 32} is listed; report it",
            f"https://host/b: has checksum {'f2' * 32} twice, and {'3c' * 32} is listed; report it",
            "has checksum # twice, and # is listed",
        ),
        (
            "a: spacing '1 1' and orientation 'LPS' in the dataset's metadata; state three",
            "b: spacing 'x' and orientation '' in the dataset's metadata; state three",
            "spacing # and orientation # in the dataset's metadata",
        ),
    ],
)
def test_a_kind_of_reason_does_not_tell_one_file_from_another(one, other, kind):
    table, audit = cohort()
    audit.loc[[1, 2], "reason"] = [one, other]
    rows = found(table, audit)
    assert list(rows) == [f"set aside: {kind}"]
    assert rows[f"set aside: {kind}"]["cases"] == 2


def test_notes_are_counted_each_by_itself():
    table, audit = cohort()
    audit.loc[3, "note"] = "metadata say spacing 1 1 3, the header's is used; no impression"
    audit.loc[4, "note"] = "no impression"
    audit.loc[5, "note"] = "8-bit greys and no HU (no more than 256 values)"
    rows = found(table, audit)
    assert rows["8-bit greys and no HU"]["examples"] == "c5"
    assert rows["metadata say spacing # # #, the header's is used"]["examples"] == "c3"
    assert rows["no impression"]["cases"] == 2


def test_reconstructions_of_one_scan_are_told():
    table, audit = cohort()
    table.loc[3, ["patient", "scan"]] = "c0"
    row = found(table, audit)["several reconstructions of one scan"]
    assert (row["cases"], row["severity"]) == (2, "note")
    table.loc[3, "patient"] = "c3"
    rows = found(table, audit)
    assert list(rows) == ["one scan under two patients"]
    assert rows["one scan under two patients"]["severity"] == "fault"


@pytest.mark.parametrize(
    ("other", "same_patient", "told", "severity"),
    [
        (1, False, "the same volume in two splits", "fault"),
        (3, False, "the same volume under two patients", "fault"),
        (3, True, "the same volume twice", "note"),
    ],
)
def test_the_same_voxels_in_two_cases_are_told(other, same_patient, told, severity):
    table, audit = cohort()
    audit.loc[other, "content"] = audit.loc[0, "content"]
    if same_patient:
        table.loc[other, "patient"] = table.loc[0, "patient"]
    row = found(table, audit)[told]
    assert (row["cases"], row["severity"]) == (2, severity)


def test_a_spacing_far_from_the_others_is_told():
    table, audit = cohort()
    audit.loc[7, "raw_spacing"] = "0.7 0.7 20"
    row = found(table, audit)["spacing more than 3 times above or below the median"]
    assert row["examples"] == "c7"


def test_equal_label_columns_are_told():
    table, audit = cohort()
    table["label:B"] = table["label:A"]
    row = found(table, audit)["labels A and B are equal in every case"]
    assert row["severity"] == "fault" and row["cases"] == (table["label:A"] == 1).sum()


def test_a_label_without_a_positive_case_and_cases_without_labels_are_told():
    table, audit = cohort()
    table.loc[table["split"] == "test", "label:A"] = 0.0
    table.loc[1, ["label:A", "label:B"]] = np.nan
    rows = found(table, audit)
    assert "no positive test case of A" in rows
    assert rows["val cases without labels"]["examples"] == "c1"
    table.loc[table["split"] == "test", "label:A"] = 1.0
    assert "no negative test case of A" in found(table, audit)


def test_a_split_without_any_label_is_told_once_and_is_a_fault_of_the_test_cases():
    table, audit = cohort()
    table.loc[table["split"] != "train", ["label:A", "label:B"]] = np.nan
    rows = found(table, audit)
    assert {told: row["severity"] for told, row in rows.items()} == {
        "no val case has labels": "note",
        "no test case has labels": "fault",
    }


def test_test_cases_without_masks_are_told_where_others_have_some():
    table, audit = cohort()
    table.loc[table["split"] != "test", "mask"] = "m.nii.gz"
    row = found(table, audit)["no test case has a mask"]
    assert (row["cases"], row["severity"]) == (4, "fault")
    table.loc[2, "mask"] = "m.nii.gz"
    row = found(table, audit)["test cases without a mask"]
    assert (row["examples"], row["severity"]) == ("c5; c8; c11", "note")


def test_lists_that_are_one_or_share_cases_or_patients_are_told():
    lists = {"train": ["a", "b", "c"], "val": ["x", "y"], "test": ["y", "x"]}
    rows = findings.of_lists(lists, {"c": "p", "x": "p"}).set_index("finding")
    assert rows.loc["lists val and test are identical", "cases"] == 2
    assert rows.loc["patients in lists train and test", "examples"] == "c"
    assert set(rows["severity"]) == {"fault"}
    rows = findings.of_lists({"train": ["a", "b"], "test": ["b"]}, {}).set_index("finding")
    assert rows.loc["cases in lists train and test", "examples"] == "b"
    assert findings.of_lists({"train": ["a"], "test": ["b"]}, {"a": "p", "b": "q"}).empty


@pytest.mark.skipif(not LISTS.exists(), reason=f"no copy of the lists at {LISTS}")
@pytest.mark.parametrize("dataset", ["ct-rate", "cc-ccii", "luna16"])
def test_the_real_validation_lists_are_the_test_lists(dataset, tmp_path):
    official.fetch(dataset, tmp_path, LISTS)
    lists = {split: listed.index for split, listed in official.read(dataset, tmp_path).items()}
    rows = findings.of_lists(lists, {}).set_index("finding")
    assert list(rows.index) == ["lists val and test are identical"]


@pytest.mark.skipif(not LISTS.exists(), reason=f"no copy of the lists at {LISTS}")
def test_the_two_effusions_of_the_real_lists_are_equal(tmp_path):
    official.fetch("radchestct", tmp_path, LISTS)
    lists = official.read("radchestct", tmp_path)
    assert findings.of_lists({split: part.index for split, part in lists.items()}, {}).empty
    table = pd.concat([part.assign(split=split) for split, part in lists.items()])
    table = table.rename_axis("case").reset_index()
    named = table.columns.union([*cases.TEXT, *cases.HINTS], sort=False)
    table = table.reindex(columns=named, fill_value="")
    audit = table[["case"]].reindex(columns=[*audits.COLUMNS], fill_value="")
    table["patient"] = table["case"]
    rows = found(table, audit)
    assert [told for told, row in rows.items() if row["severity"] == "fault"] == [
        "labels Pericardial effusion and Pleural effusion are equal in every case"
    ]


@pytest.mark.skipif(not LISTS.exists(), reason=f"no copy of the lists at {LISTS}")
def test_the_real_validation_scans_for_segmentation_are_test_scans_too():
    entries = json.loads((LISTS / "segmentation/LUNA16/dataset_100.json").read_text())
    lists = {
        key: [Path(entry["image"]).name for entry in entries[key]]
        for key in ("validation", "testing")
    }
    rows = findings.of_lists(lists, {}).set_index("finding")
    assert rows.loc["cases in lists validation and testing", "cases"] == 26


def scan(array: np.ndarray, **values: object) -> Volume:
    return Volume(array, np.diag([10.0, 10.0, 10.0, 1.0]), **values)


HINTS = dict.fromkeys(cases.HINTS, "")


def test_greys_of_8_bits_are_noted():
    rng = np.random.default_rng(0)
    greys = rng.integers(0, 256, (40, 40, 40)) * 5.88 - 1350
    assert "8-bit greys" in audits.raw(scan(greys.astype(np.float32)), HINTS)["note"]
    hu = rng.integers(-1000, 1000, (40, 40, 40)).astype(np.int16)
    assert audits.raw(scan(hu), HINTS)["note"] == ""


def test_a_blank_header_and_a_contradicted_spacing_are_noted():
    hu = np.random.default_rng(0).integers(-1000, 1000, (40, 40, 40)).astype(np.int16)
    assert "blank header" in audits.raw(scan(hu, blank=True), HINTS)["note"]
    contradicted = audits.raw(scan(hu), {**HINTS, "spacing": "10 10 5"})
    assert "metadata say spacing 10 10 5" in contradicted["note"]


def test_the_content_tells_volumes_apart():
    hu = np.random.default_rng(0).integers(-1000, 400, (8, 8, 8)).astype(np.int16)
    other = hu.copy()
    other[0, 0, 0] += 1
    one, same, another = (audits.resampled(scan(a))["content"] for a in (hu, hu.copy(), other))
    assert one == same != another


def test_a_left_lung_on_the_right_is_noted():
    names = {1: "left lung", 2: "right lung", 3: "trachea"}
    mask = np.zeros((10, 4, 4), np.uint8)
    mask[1:4], mask[6:9], mask[5] = 1, 2, 3
    assert list(audits.swapped_sides(mask, names)) == []
    assert list(audits.swapped_sides(mask[::-1], names)) == [
        "left lung lies to the right of the right one, look at the codes of the mask"
    ]
    mask[mask == 1] = 0
    assert list(audits.swapped_sides(mask[::-1], names)) == []
