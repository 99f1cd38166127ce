"""The authors' lists: checked against their pinned content, and laid over a case table."""

import hashlib
import json
from pathlib import Path

import pandas as pd
import pytest

from simcrop import runs, settings
from simcrop.acquire import run as acquire
from simcrop.cohorts import layout, official
from simcrop.errors import InputError

COPY = Path(__file__).parents[2].parent / "shared/official-splits"
needs_lists = pytest.mark.skipif(not COPY.exists(), reason=f"no copy of the lists at {COPY}")


@pytest.fixture
def lists(tmp_path, monkeypatch):
    """Small lists in the spelling of the real ones, pinned in their place."""
    content = {
        "radchestct/train.csv": "NoteAcc_DEID,Emphysema,Hietal Hernia\ntrn1,1,0\ntrn2,0,1\n",
        "radchestct/test.csv": "NoteAcc_DEID,Emphysema,Hietal Hernia\ntst1,1,1\n",
        "cc-ccii/train.csv": "img_list,label\n10.nii.gz,1\n11.nii.gz,0\n",
        "cc-ccii/test.csv": "img_list,label\n12.nii.gz,2\n",
        "btcv/all.json": json.dumps(
            {
                "training": [{"image": "imagesTr/btcv_001.nii.gz"}],
                "validation": [{"image": "imagesTr/btcv_035.nii.gz"}],
                "test": ["imagesTs/img0061.nii.gz"],
            }
        ),
    }
    pinned = {}
    for path, text in content.items():
        (tmp_path / "copy" / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "copy" / path).write_text(text)
        dataset, split = path.split(".")[0].split("/")
        digest = hashlib.sha256(text.encode()).hexdigest()
        pinned.setdefault(dataset, {})[split] = (path, digest)
    monkeypatch.setattr(official, "FILES", pinned)
    return tmp_path / "copy"


def table(*rows):
    return layout.case_table(Path("raw"), "mine", [dict(scan=row["case"], **row) for row in rows])


def test_splits_and_named_labels_are_those_of_the_lists(lists, tmp_path):
    acquire.lists(runs.Lists(dataset="radchestct", copied_from=str(lists)), tmp_path)
    own = {"label:Emphysema": 0.0, "label:Hiatal hernia": 0.0, "label:Other": 1.0}
    cases = ("trn2", "trn1", "tst1", "tst2")
    before = table(*({"case": c, "patient": c, "split": "train", **own} for c in cases))
    after = official.applied(before, official.read("radchestct", tmp_path / "lists"))
    after = after.set_index("case")
    assert after["split"].to_dict() == {
        "trn2": "train",
        "trn1": "train",
        "tst1": "test",
        "tst2": "",
    }
    assert after["label:Emphysema"].to_dict() == {"trn2": 0, "trn1": 1, "tst1": 1, "tst2": 0}
    assert after["label:Hiatal hernia"].to_dict() == {"trn2": 1, "trn1": 0, "tst1": 1, "tst2": 0}
    assert (after["label:Other"] == 1).all()


def test_patients_in_two_lists_are_told_and_become_one_a_list(lists, tmp_path, capsys):
    acquire.lists(runs.Lists(dataset="cc-ccii", copied_from=str(lists)), tmp_path)
    rows = [{"case": str(n), "patient": p} for n, p in ((10, "a"), (11, "b"), (12, "a"))]
    after = official.applied(table(*rows), official.read("cc-ccii", tmp_path / "lists"))
    assert after["split"].tolist() == ["train", "train", "test"]
    assert after["patient"].tolist() == ["a@train", "b", "a@test"]
    assert "1 patients stand in two lists" in capsys.readouterr().out


def test_btcv_is_tested_on_its_labelled_validation_cases(lists, tmp_path):
    acquire.lists(runs.Lists(dataset="btcv", copied_from=str(lists)), tmp_path)
    rows = [{"case": case, "patient": case} for case in ("img0001", "btcv_035", "img0002")]
    after = official.applied(table(*rows), official.read("btcv", tmp_path / "lists"))
    assert after["split"].tolist() == ["train", "test", ""]


def test_a_cohort_that_is_not_the_listed_one_is_refused(lists, tmp_path):
    acquire.lists(runs.Lists(dataset="btcv", copied_from=str(lists)), tmp_path)
    with pytest.raises(InputError, match="none of the 1 cases of the official train list"):
        official.applied(
            table({"case": "x", "patient": "x"}), official.read("btcv", tmp_path / "lists")
        )


def test_another_content_than_the_pinned_one_is_refused_and_nothing_written(lists, tmp_path):
    (lists / "btcv/all.json").write_text("{}")
    with pytest.raises(InputError, match=r"all\.json: is not the list of commit b10fd08"):
        acquire.lists(runs.Lists(dataset="btcv", copied_from=str(lists)), tmp_path)
    assert not (tmp_path / "lists").exists()
    (lists / "btcv/all.json").unlink()
    with pytest.raises(InputError, match=r"all\.json: cannot be read"):
        acquire.lists(runs.Lists(dataset="btcv", copied_from=str(lists)), tmp_path)


def test_lists_come_from_their_repository_at_the_pinned_commit(lists, tmp_path, monkeypatch):
    from local_host import LocalHost

    with LocalHost() as host:
        address = host.url + "/ToniChopp/SimCroP/{commit}/{path}"
        monkeypatch.setattr(official, "_ADDRESS", address)
        monkeypatch.setattr(official, "_FOLDERS", {"btcv": "there"})
        path = f"/ToniChopp/SimCroP/{official.COMMIT}/there/all.json"
        host.files[path] = (lists / "btcv/all.json").read_bytes()
        acquire.lists(runs.Lists(dataset="btcv", copied_from=None), tmp_path)
    assert (tmp_path / "lists/btcv/all.json").read_bytes() == host.files[path]


@needs_lists
@pytest.mark.parametrize(
    ("dataset", "sizes"),
    [
        ("ct-rate", {"train": 46363, "val": 3009, "test": 3009}),
        ("radchestct", {"train": 2286, "val": 984, "test": 360}),
        ("cc-ccii", {"train": 2899, "val": 1243, "test": 1243}),
        ("luna16", {"train": 621, "val": 267, "test": 267}),
        ("btcv", {"train": 24, "test": 6}),
    ],
)
def test_the_real_lists_are_the_pinned_ones(dataset, sizes, tmp_path):
    acquire.lists(runs.Lists(dataset=dataset, copied_from=str(COPY)), tmp_path)
    read = official.read(dataset, tmp_path / "lists")
    assert {split: len(table) for split, table in read.items()} == sizes


@needs_lists
def test_the_real_lists_of_radchestct_have_two_equal_effusions(tmp_path):
    acquire.lists(runs.Lists(dataset="radchestct", copied_from=str(COPY)), tmp_path)
    for part in official.read("radchestct", tmp_path / "lists").values():
        assert (part["label:Pericardial effusion"] == part["label:Pleural effusion"]).all()
        assert "label:Hiatal hernia" in part


def test_the_published_protocol_takes_the_lists_where_files_are_real(raw_config, tmp_path):
    raw_config["acquire"]["btcv"] = {"source": "folder", "folder": str(tmp_path)}
    config = settings.load({**raw_config, "protocol": "published"})
    assert config.prepare["btcv"].splits == "published"
    assert config.prepare["ct-rate"].splits == "sound"


def test_a_dataset_without_lists_cannot_be_split_by_them(raw_config, tmp_path):
    raw_config["acquire"]["mine"] = {"layout": "sample", "source": "folder", "folder": "x"}
    raw_config["prepare"]["mine"] = {"spacing": [1, 1, 1], "splits": "published"}
    with pytest.raises(InputError, match=r"prepare\.mine\.splits: the authors have no list"):
        settings.load(raw_config)


def test_empty_frames_of_lists_have_no_labels(lists, tmp_path):
    acquire.lists(runs.Lists(dataset="cc-ccii", copied_from=str(lists)), tmp_path)
    assert all(
        isinstance(part, pd.DataFrame) and part.empty and len(part.index)
        for part in official.read("cc-ccii", tmp_path / "lists").values()
    )
