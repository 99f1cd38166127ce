"""A folder of one's own scans and reports; and the list of datasets."""

import sys

import nibabel
import numpy as np
import pandas as pd
import pytest

from simcrop import cohorts
from simcrop.cohorts import sample
from simcrop.errors import InputError


def scan(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    nibabel.save(nibabel.Nifti1Image(np.zeros((3, 3, 3), np.int16), np.eye(4)), path)


def test_scans_get_the_mask_beside_them_and_the_report_that_names_them(tmp_path):
    scan(tmp_path / "a/one.nii.gz")
    scan(tmp_path / "a/mask.nii.gz")
    scan(tmp_path / "b/two.nii")
    reports = pd.DataFrame(
        {
            "VolumeName": ["two.nii.gz", "three.nii.gz"],
            "Findings_EN": ["Second.", "Third."],
            "Impressions_EN": ["", "Done."],
            "Emphysema": [1, 0],
        }
    )
    reports.to_csv(tmp_path / "reports.csv", index=False)
    (tmp_path / "other.csv").write_text("x,y\n1,2\n")
    table = sample.index(tmp_path, "mine").set_index("case")
    fields = ["path", "mask", "findings", "impression", "split"]
    assert table[fields].T.to_dict("list") == {
        "one": ["a/one.nii.gz", "a/mask.nii.gz", "", "", ""],
        "two": ["b/two.nii", "", "Second.", "", ""],
        "three": ["", "", "Third.", "Done.", ""],
    }
    assert not [column for column in table if column.startswith("label:")]


def test_reports_without_names_are_numbered(tmp_path):
    (tmp_path / "mine.csv").write_text("report_text\nClear lungs.\nA nodule.\n")
    assert sample.index(tmp_path, "mine")["case"].tolist() == ["mine-1", "mine-2"]


def test_reports_without_names_in_two_folders_are_told_apart(tmp_path):
    for folder in "ab":
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "reports.csv").write_text("report_text\nClear lungs.\n")
    assert sample.index(tmp_path, "mine")["case"].tolist() == ["a-reports-1", "b-reports-1"]


def test_linked_folders_are_read_also_where_they_lead_back(tmp_path):
    scan(tmp_path / "elsewhere/deep/one.nii.gz")
    (tmp_path / "elsewhere/deep/r.csv").write_text("report_text\nClear lungs.\n")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/linked").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere/back").symlink_to(tmp_path / "mine")
    table = sample.index(tmp_path / "mine", "mine")
    assert table["case"].tolist() == ["one", "linked-deep-r-1"]
    assert table["path"].tolist() == ["linked/deep/one.nii.gz", ""]


def test_csvs_without_reports_and_hidden_ones_need_not_be_readable(tmp_path):
    scan(tmp_path / "one.nii.gz")
    (tmp_path / "doctors.csv").write_bytes("name\nMüller\n".encode("latin-1"))
    (tmp_path / "empty.csv").write_bytes(b"")
    (tmp_path / "._mine.csv").write_bytes(b"\0\5\x16\7report_text\xff")
    (tmp_path / "mine.csv").write_text("case,report_text\none,Clear lungs.\n")
    assert sample.index(tmp_path, "mine")["findings"].tolist() == ["Clear lungs."]


def test_reports_that_are_not_readable_are_named(tmp_path):
    (tmp_path / "mine.csv").write_text("case,report_text\none,Größe.\n", encoding="utf-16")
    with pytest.raises(InputError, match=r"mine\.csv: not readable as CSV"):
        sample.index(tmp_path, "mine")


def test_two_scans_of_one_name_are_named(tmp_path):
    scan(tmp_path / "a/one.nii.gz")
    scan(tmp_path / "b/one.nii")
    with pytest.raises(InputError, match=r"b/one\.nii.*'one'.*rename"):
        sample.index(tmp_path, "mine")


def test_two_reports_of_one_case_are_named(tmp_path):
    (tmp_path / "mine.csv").write_text("case,report_text\nx,One.\nx,Two.\n")
    with pytest.raises(InputError, match=r"report of 'x'"):
        sample.index(tmp_path, "mine")


def test_a_folder_with_nothing_to_read_says_what_is_looked_for(tmp_path):
    with pytest.raises(InputError, match="report_text"):
        sample.index(tmp_path, "mine")


def test_the_shared_real_data_are_found(root):
    folder = root.parent / "shared/data"
    if not folder.exists():
        pytest.skip(f"{folder} is missing")
    table = sample.index(folder, "mine")
    scans = table[table["path"] != ""]
    assert scans[["path", "mask"]].to_numpy().tolist() == [
        ["chest-ct/cxr.nii.gz", "chest-ct/mask.nii.gz"]
    ]
    assert (table["findings"] != "").sum() == 800


def test_every_dataset_can_be_indexed_and_an_unknown_one_is_refused():
    known = {"ct-rate", "radchestct", "cc-ccii", "luna16", "btcv", "sample"}
    assert set(cohorts.names()) == known  # and not the modules that they share
    assert all(callable(cohorts.get(name).index) for name in known)
    with pytest.raises(InputError, match="there is no dataset 'layout'"):
        cohorts.get("layout")
    with pytest.raises(InputError, match=r"'luna'.*luna16"):
        cohorts.get("luna")


def test_a_new_file_is_a_new_dataset(tmp_path, monkeypatch):
    (tmp_path / "my_scans.py").write_text("def index(raw, cohort):\n    return cohort\n")
    monkeypatch.setattr(cohorts, "__path__", [*cohorts.__path__, str(tmp_path)])
    assert cohorts.get("my-scans").index(tmp_path, "mine") == "mine"
    assert "my-scans" in cohorts.names()
    monkeypatch.delitem(sys.modules, "simcrop.cohorts.my_scans")
    monkeypatch.delattr(cohorts, "my_scans")
