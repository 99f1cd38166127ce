"""CT-RATE's layout: what is made is what the index and the files then say."""

import shutil

import nibabel
import numpy as np
import pandas as pd
import pytest

from simcrop import sections
from simcrop.cohorts import ct_rate
from simcrop.cohorts.synthetic import case, space
from simcrop.cohorts.synthetic.lesions import LABELS
from simcrop.errors import InputError
from simcrop.formats import cases

SEED = 3
NO_CHEST = "dataset/metadata/no_chest_train.txt"
METADATA = "dataset/metadata/train_metadata.csv"
REPORTS = "dataset/radiology_text_reports/validation_reports.csv"
MARKS = "dataset/multi_abnormality_labels/train_predicted_labels.csv"


@pytest.fixture(scope="module")
def raw(synthetic):
    return synthetic("ct-rate")


@pytest.fixture(scope="module")
def table(raw):
    return ct_rate.index(raw, "mine").set_index("case")


@pytest.fixture
def copy(raw, tmp_path):
    return shutil.copytree(raw, tmp_path / "raw")


def edit(path, change):
    change(pd.read_csv(path, dtype=str)).to_csv(path, index=False)


def redrawn(row):
    name = row.name
    grid = space.field_like(space.generator(SEED, f"{name}/storage"), (7, 7, 14))
    settings = sections.Synthetic(cases=24)
    return case.draw(
        row.scan, SEED, settings, grid, patient=row.patient, reconstruction=int(name[-1])
    )


def test_the_index_lists_every_volume_once_with_its_split(raw, table):
    files = sorted(p.relative_to(raw).as_posix() for p in (raw / "dataset").rglob("*.nii.gz"))
    assert sorted(table["path"]) == files
    assert len(table) == 24
    assert (table["cohort"] == "mine").all()
    assert table["split"].value_counts().to_dict() == {"train": 19, "test": 5}
    assert (table["split"] == "train").equals(table["path"].str.startswith("dataset/train/"))


def test_reconstructions_share_their_scan_and_scans_their_patient(table):
    assert (table.index.str.rsplit("_", n=1).str[0] == table["scan"]).all()
    assert (table["scan"].str.rsplit("_", n=1).str[0] == table["patient"]).all()
    doubled = table[table["scan"].duplicated(keep=False)]
    assert len(doubled)
    assert len(doubled[["scan", "findings"]].drop_duplicates()) == doubled["scan"].nunique()


def test_labels_and_reports_are_those_of_the_csvs(raw, table):
    for split, name in (("train", "train"), ("valid", "validation")):
        marks = pd.read_csv(raw / f"dataset/multi_abnormality_labels/{split}_predicted_labels.csv")
        reports = pd.read_csv(raw / f"dataset/radiology_text_reports/{name}_reports.csv")
        for row in marks.to_dict("records"):
            case_row = table.loc[row.pop("VolumeName").removesuffix(".nii.gz")]
            assert {label: case_row[cases.LABEL + label] for label in LABELS} == row
        for row in reports.to_dict("records"):
            case_row = table.loc[row["VolumeName"].removesuffix(".nii.gz")]
            assert case_row["findings"] == row["Findings_EN"]
            assert case_row["impression"] == row["Impressions_EN"]


def test_every_way_of_storing_leads_back_to_the_drawn_volume(raw, table):
    seen = set()
    for name, row in table.iterrows():
        image = nibabel.load(raw / row["path"])
        mask = nibabel.load(raw / row["mask"])
        drawn = redrawn(table.loc[name])
        if np.array_equal(image.affine, np.eye(4)):
            seen.add("blank")
            assert row["orientation"] == "LPS"
            assert row["spacing"] == " ".join(f"{mm:g}" for mm in drawn.grid.spacing)
            stored = np.asarray(image.dataobj) * float(row["slope"]) + float(row["intercept"])
            volume, lesions = stored[::-1, ::-1], np.asarray(mask.dataobj)[::-1, ::-1]
        else:
            seen.add("HU" if image.dataobj.inter == 0 else "intercept")
            image, mask = (nibabel.as_closest_canonical(i) for i in (image, mask))
            assert image.affine == pytest.approx(drawn.grid.affine, abs=1e-3)
            volume, lesions = image.get_fdata(), np.asarray(mask.dataobj)
        assert np.array_equal(volume, drawn.volume)
        assert np.array_equal(lesions, drawn.lesion_mask)
    assert seen == {"blank", "HU", "intercept"}


def test_lesions_csv_names_every_bit_of_every_mask_and_a_sentence_of_the_report(raw, table):
    lesions = pd.read_csv(raw / "synthetic/lesions.csv", keep_default_na=False)
    assert list(lesions.columns) == ["case", "lesion", "label", "side", "sentence"]
    for name, row in table.iterrows():
        told = lesions[lesions["case"] == name]
        bits = np.bitwise_or.reduce(np.asarray(nibabel.load(raw / row["mask"]).dataobj), axis=None)
        assert bits == sum(1 << (number - 1) for number in told["lesion"])
        assert all(sentence in row["findings"] for sentence in told["sentence"])
        assert set(told["label"]) == {label for label in LABELS if row[cases.LABEL + label]}


def test_a_case_does_not_depend_on_how_many_are_made(raw, tmp_path):
    ct_rate.make(tmp_path, sections.Synthetic(cases=10), SEED)
    few = [p.relative_to(tmp_path) for p in tmp_path.rglob("*.nii.gz")]
    assert len(few) == 20
    assert all((tmp_path / path).read_bytes() == (raw / path).read_bytes() for path in few)


def test_a_listed_volume_that_is_missing_stays_listed(copy, table):
    (copy / table.loc["train_1_a_1", "path"]).unlink()
    assert ct_rate.index(copy, "mine")["case"].tolist() == table.index.tolist()


@pytest.mark.parametrize("content", [b"", b"\x1f\x8b\x08\x00damaged", b"no archive"])
def test_a_damaged_volume_stays_listed(copy, table, content):
    (copy / table.loc["train_1_a_1", "path"]).write_bytes(content)
    assert ct_rate.index(copy, "mine")["case"].tolist() == table.index.tolist()


def test_the_fixed_folder_comes_first_and_is_taken_to_be_hu(copy, table):
    blank = table.index[0]
    assert table.loc[blank, "slope"] == "1"
    split = blank.split("_")[0]
    (copy / f"dataset/{split}").rename(copy / f"dataset/{split}_fixed")
    row = ct_rate.index(copy, "mine").set_index("case").loc[blank]
    assert row["path"] == table.loc[blank, "path"].replace(split, f"{split}_fixed", 1)
    assert (row["slope"], row["intercept"]) == ("", "")


@pytest.mark.parametrize(
    "line", ["train/train_1/train_1_a/train_1_a_1.nii.gz", "train_1_a_1.nii.gz", "train_1_a_1"]
)
def test_scans_listed_as_no_chest_are_left_out(copy, table, line):
    (copy / NO_CHEST).write_text(f"{line}\ntrain/train_99/train_99_a/train_99_a_1.nii.gz\n")
    left = set(table.index) - set(ct_rate.index(copy, "mine")["case"])
    assert left == {"train_1_a_1"}


def test_a_list_of_head_scans_that_has_none_of_the_volumes_is_named(copy, table):
    (copy / NO_CHEST).write_text("valid/valid_1/valid_1_a/valid_1_a_1.nii.gz\n")
    with pytest.raises(InputError, match=rf"{NO_CHEST}: none of its 1 scans.*valid_1_a_1"):
        ct_rate.index(copy, "mine")
    (copy / NO_CHEST).write_text("")
    assert ct_rate.index(copy, "mine")["case"].tolist() == table.index.tolist()


def test_a_volume_without_labels_or_report_has_them_unknown(copy):
    edit(copy / MARKS, lambda t: t[t["VolumeName"] != "train_1_a_1.nii.gz"])
    edit(
        copy / "dataset/radiology_text_reports/train_reports.csv",
        lambda t: t[t["VolumeName"] != "train_1_a_1.nii.gz"],
    )
    row = ct_rate.index(copy, "mine").set_index("case").loc["train_1_a_1"]
    assert row.filter(like=cases.LABEL).isna().all()
    assert row["findings"] == ""


def test_a_split_of_which_nothing_is_there_is_left_out(copy):
    shutil.rmtree(copy / "dataset/train")
    (copy / METADATA).unlink()
    assert set(ct_rate.index(copy, "mine")["split"]) == {"test"}


@pytest.mark.parametrize("file", [METADATA, REPORTS, MARKS])
def test_a_missing_csv_is_named(copy, file):
    (copy / file).unlink()
    with pytest.raises(InputError, match=file):
        ct_rate.index(copy, "mine")


@pytest.mark.parametrize(
    ("file", "column"),
    [(METADATA, "ZSpacing"), (REPORTS, "Findings_EN"), (MARKS, "Emphysema"), (MARKS, "VolumeName")],
)
def test_a_missing_column_is_named(copy, file, column):
    edit(copy / file, lambda t: t.drop(columns=column))
    with pytest.raises(InputError, match=f"{file}.*{column}"):
        ct_rate.index(copy, "mine")


@pytest.mark.parametrize("file", [METADATA, MARKS])
def test_a_doubled_volume_is_named(copy, file):
    edit(copy / file, lambda t: pd.concat([t, t.iloc[:1]]))
    with pytest.raises(InputError, match=r"train_1_a_1\.nii\.gz.*more than one row"):
        ct_rate.index(copy, "mine")


def test_a_label_that_is_neither_0_nor_1_is_named(copy):
    edit(copy / MARKS, lambda t: t.assign(Emphysema="2"))
    with pytest.raises(InputError, match=r"train_1_a_1\.nii\.gz.*2.*Emphysema"):
        ct_rate.index(copy, "mine")


def test_a_foreign_name_is_named(copy):
    edit(copy / METADATA, lambda t: t.replace("train_1_a_1.nii.gz", "scan.nii.gz"))
    with pytest.raises(InputError, match=r"scan\.nii\.gz"):
        ct_rate.index(copy, "mine")


def test_an_empty_folder_tells_which_folder_is_meant(tmp_path):
    with pytest.raises(InputError, match=r"acquire\.ct-rate\.folder"):
        ct_rate.index(tmp_path, "mine")
