"""The layouts of RadChestCT, CC-CCII, LUNA16 and BTCV: what is made is what is then read."""

import re
import shutil

import nibabel
import numpy as np
import pandas as pd
import pytest
import SimpleITK as sitk
from PIL import Image

from simcrop import cohorts, sections
from simcrop.cohorts import btcv, cc_ccii, luna16, radchestct
from simcrop.cohorts.synthetic import case, space
from simcrop.errors import InputError
from simcrop.formats import cases
from simcrop.prepare import readers

SEED = 3
SETTINGS = sections.Synthetic(cases=24)
TRAIN_LABELS = "imgtrain_Abnormality_and_Location_Labels.csv"


def index(synthetic, dataset):
    return cohorts.get(dataset).index(synthetic(dataset), "mine")


def grid_of(name, centre=(0, 0, 0)):
    return space.field_like(space.generator(SEED, f"{name}/storage"), (7, 7, 14), centre)


@pytest.fixture
def copy(synthetic, tmp_path):
    return lambda dataset: shutil.copytree(synthetic(dataset), tmp_path / "raw")


# RadChestCT


def test_radchestct_stores_the_head_first_and_clipped(synthetic):
    raw = synthetic("radchestct")
    row = index(synthetic, "radchestct").set_index("case").loc["tst00002"]
    assert (row["split"], row["spacing"], row["orientation"]) == ("test", "14 7 7", "IPL")
    stored = np.load(raw / row["path"])["ct"]
    shift = space.generator(SEED, "tst00002/storage").uniform(-5, 5, 3)
    grid = space.Grid((7, 7, 14), stored.shape[::-1], tuple(shift))
    drawn = case.draw("tst00002", SEED, SETTINGS, grid)
    assert stored.dtype == np.int16
    volume = stored.transpose(2, 1, 0)[::-1, ::-1, ::-1]
    assert np.array_equal(volume, drawn.volume.clip(-1000, 1000))


def test_radchestct_labels_are_those_drawn(synthetic):
    table = index(synthetic, "radchestct")
    assert cases.labels(table) == list(radchestct.LABELS)
    assert table["split"].value_counts().to_dict() == {"train": 16, "val": 2, "test": 6}
    for row in table.to_dict("records"):
        drawn = case.draw(row["case"], SEED, SETTINGS, space.Grid((40, 40, 40), (8, 8, 8))).labels
        calcified = [drawn.pop(label) for label in list(drawn) if "calcification" in label]
        del drawn["Mosaic attenuation pattern"]
        drawn["Calcification"] = max(calcified)
        assert {label: row[cases.LABEL + label] for label in radchestct.LABELS} == drawn


def test_radchestct_keeps_the_two_effusions_apart(copy):
    raw = copy("radchestct")
    table = pd.read_csv(raw / TRAIN_LABELS)
    pleural = table.columns.str.startswith("pleural_effusion*")
    pericardial = table.columns.str.startswith("pericardial_effusion*")
    table.loc[:, pleural], table.loc[:, pericardial] = 0, 0
    table.loc[0, "pleural_effusion*left"] = 1
    table.loc[1, "pericardial_effusion*other_location"] = 1
    table.to_csv(raw / TRAIN_LABELS, index=False)
    found = radchestct.index(raw, "mine").iloc[:3]
    assert found["label:Pleural effusion"].tolist() == [1, 0, 0]
    assert found["label:Pericardial effusion"].tolist() == [0, 1, 0]


def test_radchestct_takes_large_nodules_but_no_groundglass(copy):
    raw = copy("radchestct")
    table = pd.read_csv(raw / TRAIN_LABELS)
    table[[c for c in table.columns if c.startswith(("nodule", "opacity"))]] = 0
    table["groundglass*left"] = 1
    table.loc[1, "nodulegr1cm*left"] = 1
    table.to_csv(raw / TRAIN_LABELS, index=False)
    found = radchestct.index(raw, "mine").iloc[:3]
    assert found["label:Lung nodule"].tolist() == [0, 1, 0]
    assert found["label:Lung opacity"].tolist() == [0, 0, 0]


def test_radchestct_real_files_have_the_published_spacing_and_patients(copy):
    raw = copy("radchestct")
    (raw / "synthetic/spacing.csv").unlink()
    names = ["trn00001", "trn00002"]
    known = pd.DataFrame({"NoteAcc_DEID": names, "MRN_DEID": "mrn7"})
    known.to_csv(raw / "CT_Scan_Metadata_Complete_35747.csv", index=False)
    table = radchestct.index(raw, "mine").set_index("case")
    assert set(table["spacing"]) == {"0.8 0.8 0.8"}
    assert table.loc[[*names, "trn00003"], "patient"].tolist() == ["mrn7", "mrn7", "trn00003"]


def test_radchestct_names_a_missing_file_and_a_missing_abnormality(copy):
    raw = copy("radchestct")
    table = pd.read_csv(raw / TRAIN_LABELS)
    table.drop(columns=[c for c in table if c.startswith("hernia*")]).to_csv(
        raw / TRAIN_LABELS, index=False
    )
    with pytest.raises(InputError, match=f"{TRAIN_LABELS}.*hernia.*Hiatal hernia"):
        radchestct.index(raw, "mine")
    (raw / TRAIN_LABELS).unlink()
    with pytest.raises(InputError, match=TRAIN_LABELS):
        radchestct.index(raw, "mine")


# CC-CCII


def pictures(folder, row):
    stack = np.stack([np.asarray(Image.open(path)) for path in sorted(folder.glob("*.png"))])
    hu = stack * float(row["slope"]) + float(row["intercept"])
    return hu.transpose(2, 1, 0)[::-1, ::-1, ::-1]


def test_cc_ccii_greys_lead_back_to_hu_within_the_window(synthetic):
    row = index(synthetic, "cc-ccii").iloc[0]
    volume = pictures(synthetic("cc-ccii") / row["path"], row)
    assert row["path"].startswith("Normal/")
    grid = grid_of(row["case"])
    drawn = case.draw(
        row["case"], SEED, SETTINGS, grid, plan=lambda rng: [], patient=row["patient"]
    )
    assert np.abs(volume - drawn.volume.clip(-1350, 150)).max() <= 3
    assert row["spacing"] == " ".join(f"{grid.spacing[axis]:g}" for axis in (2, 1, 0))


def test_cc_ccii_classes_are_the_folders_and_differ_as_described(synthetic):
    table = index(synthetic, "cc-ccii")
    marks = table.filter(like=cases.LABEL)
    assert (marks.sum(axis=1) == 1).all()
    hazy = {}
    for row in table.to_dict("records"):
        name = row["path"].split("/")[0]
        assert row[cases.LABEL + name] == 1
        assert row["path"] == f"{name}/{row['patient']}/{row['case']}"
        volume = pictures(synthetic("cc-ccii") / row["path"], row)
        haze = (volume > -680) & (volume < -480)
        left, right = np.array_split(haze, 2)
        hazy.setdefault(name, []).append(min(left.sum(), right.sum()))
    # Only in NCP is there ground glass on both sides.
    assert min(hazy["NCP"]) > 1.5 * max(hazy["Normal"] + hazy["CP"])


def test_cc_ccii_patients_with_two_scans_exist_and_keep_one_class(synthetic):
    table = index(synthetic, "cc-ccii")
    table["class"] = table["path"].str.split("/").str[0]
    assert table["patient"].duplicated().any()
    assert len(table[["patient", "class"]].drop_duplicates()) == table["patient"].nunique()


def test_cc_ccii_without_stated_spacing_covers_the_assumed_field(copy):
    raw = copy("cc-ccii")
    (raw / "synthetic/spacing.csv").unlink()
    row = cc_ccii.index(raw, "mine").iloc[0]
    files = sorted((raw / row["path"]).glob("*.png"))
    columns, rows = Image.open(files[0]).size
    field = np.array(row["spacing"].split(), float) * (len(files), rows, columns)
    assert field == pytest.approx((300, 340, 340), rel=1e-3)


def test_cc_ccii_counts_the_slices_that_are_read(copy):
    raw = copy("cc-ccii")
    (raw / "synthetic/spacing.csv").unlink()
    row = cc_ccii.index(raw, "mine").iloc[0]
    folder = raw / row["path"]
    files = sorted(folder.glob("*.png"))
    for number, file in enumerate(files):
        if number % 3:
            with Image.open(file) as picture:
                picture.save(file.with_suffix((".jpg", ".JPEG")[number % 3 - 1]))
            file.unlink()
        (folder / f"._{file.name}").write_bytes(b"no picture")
    assert cc_ccii.index(raw, "mine").iloc[0]["spacing"] == row["spacing"]
    assert readers.read(folder, row).array.shape[0] == len(files)


def test_cc_ccii_names_a_missing_class_and_a_doubled_scan(copy):
    raw = copy("cc-ccii")
    scan = next((raw / "CP").glob("*/*"))
    shutil.copytree(scan, raw / "CP/other" / scan.name)
    with pytest.raises(InputError, match=f"'{scan.name}' stands in more than one row"):
        cc_ccii.index(raw, "mine")
    shutil.rmtree(raw / "NCP")
    with pytest.raises(InputError, match="NCP: no such folder"):
        cc_ccii.index(raw, "mine")


# LUNA16


def test_luna16_labels_are_the_annotated_scans(synthetic):
    table = index(synthetic, "luna16")
    annotated = set(pd.read_csv(synthetic("luna16") / "annotations.csv")["seriesuid"])
    assert len(table) == 24
    assert set(table["case"][table["label:Lung nodule"] == 1]) == annotated
    assert 0 < len(annotated) < 24


def test_luna16_volumes_lead_back_to_the_drawn_ones(synthetic):
    raw = synthetic("luna16")
    directions = set()
    for row in index(synthetic, "luna16").head(8).to_dict("records"):
        image = sitk.ReadImage(str(raw / row["path"]))
        directions.add(image.GetDirection())
        grid = grid_of(row["case"])
        patient = case.draw(row["case"], SEED, SETTINGS, grid, plan=lambda rng: [])
        image = sitk.DICOMOrient(image, "LPS")
        array = sitk.GetArrayFromImage(image).T[::-1, ::-1]
        assert image.GetSpacing() == pytest.approx(grid.spacing)
        # The first voxel in LPS is the one that lies farthest right and front.
        corner = grid.affine @ [*np.multiply(grid.shape, (1, 1, 0)) - (1, 1, 0), 1]
        assert image.GetOrigin() == pytest.approx(corner[:3] * (-1, -1, 1), abs=1e-3)
        if not row["label:Lung nodule"]:
            body = patient.structures > 0
            assert np.median(np.abs(array - patient.volume)[body]) == 0
    assert len(directions) > 1


def test_luna16_codes_3_and_4_are_left_and_right_by_their_geometry(synthetic):
    raw = synthetic("luna16")
    for row in index(synthetic, "luna16").head(6).to_dict("records"):
        mask = sitk.DICOMOrient(sitk.ReadImage(str(raw / row["mask"])), "LPS")
        array = sitk.GetArrayFromImage(mask)
        assert set(np.unique(array)) == {0, *luna16.MASK_CODES}
        x = {}
        for code in luna16.MASK_CODES:
            centre = np.argwhere(array == code).mean(0)[::-1]
            x[luna16.STRUCTURES[luna16.MASK_CODES[code]]] = (
                mask.TransformContinuousIndexToPhysicalPoint(centre.tolist())[0]
            )
        assert x["left lung"] > 30
        assert x["right lung"] < -30
        assert abs(x["trachea"]) < 15


def test_luna16_annotations_lie_on_nodules(synthetic):
    raw = synthetic("luna16")
    paths = index(synthetic, "luna16").set_index("case")["path"]
    for row in pd.read_csv(raw / "annotations.csv").to_dict("records"):
        image = sitk.ReadImage(str(raw / paths[row["seriesuid"]]))
        point = [row[column] for column in ("coordX", "coordY", "coordZ")]
        assert image[image.TransformPhysicalPointToIndex(point)] > -250
        assert 30 < row["diameter_mm"] < 65


def test_luna16_lists_scans_of_which_only_candidates_are_there(copy):
    raw = copy("luna16")
    before = luna16.index(raw, "mine")
    gone = before.iloc[5]
    (raw / gone["path"]).unlink()
    shutil.rmtree(raw / "seg-lungs-LUNA16")
    after = luna16.index(raw, "mine")
    assert after["case"].tolist() == before["case"].tolist()
    assert not (raw / after.iloc[5]["path"]).exists()
    assert set(after["mask"]) == {""}


def test_luna16_takes_candidates_as_their_archive_unpacks(copy):
    raw = copy("luna16")
    before = luna16.index(raw, "mine")
    (raw / "candidates_V2").mkdir()
    (raw / "candidates_V2.csv").rename(raw / "candidates_V2/candidates_V2.csv")
    assert luna16.index(raw, "mine").equals(before)


def test_luna16_names_a_missing_csv(copy):
    raw = copy("luna16")
    (raw / "annotations.csv").unlink()
    with pytest.raises(InputError, match=r"annotations\.csv"):
        luna16.index(raw, "mine")


# BTCV


def test_btcv_lists_labelled_cases_only_and_their_masks_hold_every_organ(synthetic):
    raw = synthetic("btcv")
    table = index(synthetic, "btcv")
    assert len(table) == 22
    assert len(list((raw / "imagesTs").iterdir())) == 2
    ways = set()
    for row in table.to_dict("records"):
        image, mask = (nibabel.load(raw / row[key]) for key in ("path", "mask"))
        ways.add((nibabel.aff2axcodes(image.affine), float(image.dataobj.inter)))
        assert np.array_equal(image.affine, mask.affine)
        array = np.asarray(mask.dataobj)
        assert set(np.unique(array)) == {0, *btcv.STRUCTURES}
        image, mask = (nibabel.as_closest_canonical(i) for i in (image, mask))
        array = np.asarray(mask.dataobj)
        x = {
            name: (mask.affine @ [*np.argwhere(array == number).mean(0), 1])[0]
            for number, name in btcv.STRUCTURES.items()
        }
        assert min(x["right kidney"], x["right adrenal"], x["liver"], x["gallbladder"]) > 10
        assert max(x["left kidney"], x["left adrenal"], x["spleen"], x["stomach"]) < -10
        assert np.median(image.get_fdata()[array == 6]) == pytest.approx(110, abs=25)
    assert len(ways) == 6


def test_btcv_reads_the_names_of_the_official_list(copy):
    raw = copy("btcv")
    for folder, name in (("imagesTr", "img"), ("labelsTr", "label")):
        (raw / folder / f"{name}0001.nii.gz").rename(raw / folder / "btcv_001.nii.gz")
    row = btcv.index(raw, "mine").set_index("case").loc["btcv_001"]
    assert row[["path", "mask"]].tolist() == [
        "imagesTr/btcv_001.nii.gz",
        "labelsTr/btcv_001.nii.gz",
    ]


def test_btcv_without_labels_tells_which_folder_is_meant(tmp_path):
    with pytest.raises(InputError, match=r"labelsTr.*acquire\.btcv\.folder"):
        btcv.index(tmp_path, "mine")


def test_the_documented_classes_of_radchestct_are_those_that_are_read(root):
    text = (root / "docs/data.md").read_text(encoding="utf-8")
    table = text.partition("| class | abnormalities |")[2].partition("\n\n")[0]
    rows = re.findall(r"^\| ([A-Z].*?) \| (.*) \|$", table, re.MULTILINE)
    found = {name: tuple(re.findall(r"`(\w+)`", told)) for name, told in rows}
    assert found == radchestct.LABELS


# What archives made on macOS hold beside the data


@pytest.mark.parametrize(
    ("dataset", "file"),
    [("luna16", "subset0/._1.2.mhd"), ("btcv", "labelsTr/._label0001.nii.gz")],
)
def test_files_of_macos_are_no_scans(synthetic, copy, dataset, file):
    raw = copy(dataset)
    (raw / file).write_bytes(b"\0\5\x16\7")
    assert cohorts.get(dataset).index(raw, "mine").equals(index(synthetic, dataset))
