"""The three steps together: a raw folder becomes stores, tables and an audit; faults are named."""

import gzip
from pathlib import Path

import nibabel
import numpy as np
import pandas as pd
import pytest

from simcrop import cohorts, runs
from simcrop.errors import InputError
from simcrop.formats import cases, record, sentences
from simcrop.formats.volumes import VolumeStore
from simcrop.prepare.run import collect, index
from simcrop.prepare.shard import volumes

AFFINE = np.diag([-20.0, 20.0, 30.0, 1.0])
SPACING = (20.0, 20.0, 30.0)
COLUMNS = [*cases.TEXT, *cases.HINTS, "label:Nodule"]


def chest(seed: int) -> np.ndarray:
    """(8, 7, 6) int16: tissue in air."""
    array = np.random.default_rng(seed).integers(-1000, -800, (8, 7, 6)).astype(np.int16)
    array[2:6, 2:5, 1:5] = 40
    return array


class Dataset:
    """A raw folder of eight scans, two of which carry masks, and one report without a volume."""

    SPLITS = True

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.rows = []
        for i in range(8):
            nibabel.save(nibabel.Nifti1Image(chest(i), AFFINE), folder / f"c{i}.nii.gz")
            mask = f"m{i}.nii.gz" if i < 2 else ""
            if mask:
                codes = (chest(i) > 0).astype(np.uint8) * 3
                nibabel.save(nibabel.Nifti1Image(codes, AFFINE), folder / mask)
            self.rows.append(self.row(f"c{i}", path=f"c{i}.nii.gz", mask=mask))
        self.rows.append(self.row("r0", findings="Text only. No scan."))

    def row(self, case: str, **values: str) -> dict[str, str]:
        text = {
            "findings": f"Finding 3.5 mm of {case}. Heart is normal.",
            "impression": "Not given.",
        }
        return {
            **dict.fromkeys(COLUMNS, ""),
            **text,
            **{"case": case, "patient": f"p{case}", "cohort": "tiny", "label:Nodule": 1.0},
            **values,
        }

    def index(self, raw: Path, cohort: str) -> pd.DataFrame:
        assert (raw, cohort) == (self.folder, "tiny")
        return pd.DataFrame(self.rows, columns=COLUMNS)

    def prepare(
        self, out: Path, shards: int = 2, test: float = 0.25, max_set_aside: float = 0.01
    ) -> Path:
        """All steps, as the workflow runs them; returns the folder of the cohort."""
        shared = {"cohort": "tiny", "dataset": "tiny", "raw": str(self.folder)}
        for folder in ("index", *(f"volumes/{i}" for i in range(shards))):
            (out / folder).mkdir(parents=True, exist_ok=True)
        index(runs.Index(**shared, seed=0, validation=0.1, test=test), out / "index")
        table = str(out / "index/cases.csv")
        listed = str(out / "record.csv")
        record.write(pd.DataFrame(columns=record.COLUMNS), listed)
        audits, stores = [], []
        for i in range(shards):
            part = {"spacing": SPACING, "shard": i, "shards": shards}
            volumes(
                runs.Volumes(**shared, **part, cases=table, record=listed), out / f"volumes/{i}"
            )
            audits.append(str(out / f"volumes/{i}/audit.csv"))
            stores.append(str(out / f"volumes/{i}/volumes.zip"))
        inputs = {"cases": table, "findings": str(out / "index/findings.csv")}
        inputs |= {"audits": audits, "volumes": stores}
        collect(runs.Collect(cohort="tiny", max_set_aside=max_set_aside, **inputs), out)
        return out


@pytest.fixture
def dataset(tmp_path, monkeypatch) -> Dataset:
    (tmp_path / "raw").mkdir()
    dataset = Dataset(tmp_path / "raw")
    monkeypatch.setattr(cohorts, "get", lambda name: dataset, raising=False)
    return dataset


def audit_of(out: Path) -> pd.DataFrame:
    return pd.read_csv(out / "audit.csv", dtype=str, keep_default_na=False).set_index("case")


def test_volumes_lie_in_ras_on_the_cohorts_grid_striped_over_shards(dataset, tmp_path):
    out = dataset.prepare(tmp_path / "out")
    stores = [VolumeStore(out / f"volumes/{i}/volumes.zip") for i in range(2)]
    assert stores[0].cases == ["c0", "c2", "c4", "c6"]
    assert stores[1].cases == ["c1", "c3", "c5", "c7"]
    assert np.array_equal(stores[1].read("c3"), chest(3)[::-1])
    assert stores[1].read("c3").dtype == np.int16
    assert np.allclose(stores[1].affine("c3")[:3, :3], np.diag(SPACING))


def test_the_audit_has_a_row_a_case_in_the_order_of_the_index(dataset, tmp_path):
    audit = audit_of(dataset.prepare(tmp_path / "out"))
    assert list(audit.index) == [*(f"c{i}" for i in range(8)), "r0"]
    assert (audit["reason"] == "").all()
    row = audit.loc["c3"]
    assert row["raw_shape"] == row["shape"] == "8 7 6"
    assert (row["raw_spacing"], row["raw_orientation"]) == ("20 20 30", "LAS")
    assert [float(row[f"hu_{name}"]) for name in ("min", "median", "max")] == [
        chest(3).min(),
        np.round(np.median(chest(3))),
        40,
    ]
    assert audit.loc["r0", "note"] == "no volume"


def test_cases_and_sentences_keep_reports_without_a_volume(dataset, tmp_path):
    out = dataset.prepare(tmp_path / "out")
    table = cases.read(out / "cases.csv")
    assert "r0" in set(table["case"])
    assert (table["label:Nodule"] == 1).all()
    rows = sentences.read(out / "sentences.csv")
    texts = rows[rows["case"] == "c3"]["text"].to_list()
    assert texts == ["Finding 3.5 mm of c3.", "Heart is normal."]
    assert list(rows["section"].unique()) == ["findings"], "'Not given.' is no sentence"
    assert rows[rows["case"] == "r0"]["order"].to_list() == [0, 1]


def test_an_empty_report_is_a_note(dataset, tmp_path):
    dataset.rows[2] |= {"findings": "", "impression": ""}
    dataset.rows[3] |= {"impression": "All is well."}
    notes = audit_of(dataset.prepare(tmp_path / "out"))["note"]
    assert notes["c2"] == "no findings; no impression"
    assert notes["c3"] == ""


def test_a_cohort_without_any_report_has_no_such_notes_and_an_empty_sentence_table(
    dataset, tmp_path
):
    for row in dataset.rows:
        row |= {"findings": "", "impression": ""}
    out = dataset.prepare(tmp_path / "out")
    assert (audit_of(out)["note"].drop("r0") == "").all()
    assert sentences.read(out / "sentences.csv").empty


def test_masks_become_structure_ids_on_the_grid_of_their_volume(dataset, tmp_path):
    dataset.MASK_CODES = {3: 2, 4: 1}
    out = dataset.prepare(tmp_path / "out", shards=1)
    masks = VolumeStore(out / "volumes/0/masks.zip")
    assert masks.cases == ["c0", "c1"]
    mask = masks.read("c1")
    assert mask.dtype == np.uint8
    assert np.array_equal(mask, (chest(1)[::-1] > 0) * 2)
    volume = VolumeStore(out / "volumes/0/volumes.zip")
    assert np.allclose(masks.affine("c1"), volume.affine("c1"))


def test_masks_of_lesions_stay_bits(dataset, tmp_path):
    lesions = np.where(chest(0) > 0, 1 << 30 | 1, 0).astype(np.int32)
    nibabel.save(nibabel.Nifti1Image(lesions, AFFINE), dataset.folder / "m0.nii.gz")
    out = dataset.prepare(tmp_path / "out")
    mask = VolumeStore(out / "volumes/0/masks.zip").read("c0")
    assert mask.dtype == np.int32
    assert np.array_equal(mask, lesions[::-1])


def test_a_mask_with_a_code_that_the_dataset_does_not_have_is_set_aside(dataset, tmp_path):
    dataset.MASK_CODES = {4: 1}
    audit = audit_of(dataset.prepare(tmp_path / "out", max_set_aside=1))
    assert "m1.nii.gz: holds code 3" in audit.loc["c1", "reason"]


def plant(dataset: Dataset, fault: str) -> None:
    """Spoil the raw files of case c5."""
    path = dataset.folder / "c5.nii.gz"
    array, affine = chest(5).astype(np.float32), AFFINE
    if fault == "missing":
        path.unlink()
        return
    if fault == "truncated":
        path.write_bytes(path.read_bytes()[:400])
        return
    if fault == "corrupt":
        data = bytearray(gzip.decompress(path.read_bytes()))
        packed = bytearray(gzip.compress(bytes(data)))
        packed[-6] ^= 1  # a bit of the checksum
        path.write_bytes(bytes(packed))
        return
    if fault == "nan":
        array[0, 0, 0] = np.nan
    elif fault == "constant":
        array[:] = 0
    elif fault == "grey":
        array = (array + 1000) / 8
    elif fault == "stored with a padding":
        array += 1024
        array[0] = -2000
    elif fault == "rescaled twice":
        array -= 1024
    elif fault == "blank":
        affine = np.eye(4)
    elif fault == "tiny spacing":
        affine = np.diag([0.02, 0.02, 0.03, 1])
    nibabel.save(nibabel.Nifti1Image(array, affine), path)


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("missing", "no such file"),
        ("truncated", "cannot be read"),
        ("corrupt", "CRC"),
        ("nan", "NaN"),
        ("constant", "every voxel is 0"),
        ("grey", "0 % of the voxels .* not in HU"),
        ("stored with a padding", "0 % of the voxels .* not in HU"),
        ("rescaled twice", "intercept applied twice"),
        ("blank", "spacing is stated neither"),
        ("tiny spacing", "mend the spacing"),
    ],
)
def test_a_bad_case_is_set_aside_with_its_reason_and_the_run_goes_on(
    dataset, tmp_path, fault, reason
):
    plant(dataset, fault)
    out = dataset.prepare(tmp_path / "out", max_set_aside=0.2, test=0.5)
    bad = audit_of(out)["reason"]
    assert pd.Series([bad["c5"]]).str.contains(reason).all(), bad["c5"]
    assert (bad.drop("c5") == "").all()
    usable = set(cases.read(out / "cases.csv")["case"])
    assert usable == {*(f"c{i}" for i in range(8)), "r0"} - {"c5"}
    assert "c5" not in set(sentences.read(out / "sentences.csv")["case"])
    stored = VolumeStore([out / f"volumes/{i}/volumes.zip" for i in range(2)]).cases
    assert set(stored) == usable - {"r0"}


def test_more_bad_cases_than_allowed_fail_the_run_naming_the_first_and_the_limit(dataset, tmp_path):
    plant(dataset, "missing")
    with pytest.raises(InputError) as caught:
        dataset.prepare(tmp_path / "out", max_set_aside=0.1)
    message = str(caught.value)
    assert "1 of 8 scans" in message
    assert "prepare.tiny.max_set_aside = 0.1" in message
    assert "c5: " in message and "no such file" in message


def test_a_spacing_that_the_metadata_contradict_is_a_note(dataset, tmp_path):
    dataset.rows[4]["spacing"] = "20 20 15"
    dataset.rows[5]["spacing"] = "20.01 30 20"
    dataset.rows[6]["spacing"] = "unknown"
    notes = audit_of(dataset.prepare(tmp_path / "out"))["note"]
    assert "20 20 15" in notes["c4"]
    assert notes["c5"] == ""
    assert "unknown" in notes["c6"]


def test_a_cohort_that_loses_all_of_its_test_cases_is_refused(dataset, tmp_path):
    for i, row in enumerate(dataset.rows):
        row["split"] = "test" if i == 5 else "train"
    plant(dataset, "missing")
    with pytest.raises(InputError, match="tiny: needs test cases"):
        dataset.prepare(tmp_path / "out", max_set_aside=1)


def test_a_dataset_without_splits_by_nature_keeps_them_empty(dataset, tmp_path):
    dataset.SPLITS = False
    out = dataset.prepare(tmp_path / "out")
    assert (cases.read(out / "cases.csv")["split"] == "").all()


def test_index_refuses_a_missing_or_empty_raw_folder(dataset, tmp_path):
    dataset.rows = []
    with pytest.raises(InputError, match="no case of tiny"):
        dataset.prepare(tmp_path / "out")
    dataset.folder = tmp_path / "nowhere"
    with pytest.raises(InputError, match="nowhere: no such folder"):
        dataset.prepare(tmp_path / "out")


def test_collect_refuses_to_go_on_without_a_shard(dataset, tmp_path):
    out = dataset.prepare(tmp_path / "out")
    run = runs.Collect(
        cohort="tiny",
        max_set_aside=0.01,
        cases=str(out / "index/cases.csv"),
        findings=str(out / "index/findings.csv"),
        volumes=[str(out / "volumes/0/volumes.zip")],
        audits=[str(out / "volumes/0/audit.csv")],
    )
    with pytest.raises(InputError, match="'c1' is in no shard's audit"):
        collect(run, out)


def test_a_second_run_gives_the_same_bytes(dataset, tmp_path):
    first, second = (dataset.prepare(tmp_path / name) for name in ("first", "second"))
    files = [path.relative_to(first) for path in sorted(first.rglob("*")) if path.is_file()]
    assert len(files) == 3 + 2 * 3 + 5
    for file in files:
        assert (first / file).read_bytes() == (second / file).read_bytes(), file


def test_a_killed_shard_leaves_what_was_there_and_nothing_else(dataset, tmp_path, monkeypatch):
    out = dataset.prepare(tmp_path / "out")
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}

    def killed(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("simcrop.prepare.audit.resampled", killed)
    with pytest.raises(KeyboardInterrupt):
        dataset.prepare(out)
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before
