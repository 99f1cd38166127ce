"""Raw files made or found, and their record."""

import hashlib

import pandas as pd
import pytest

from simcrop import runs, sections
from simcrop.acquire.run import acquire
from simcrop.errors import InputError


def run(dataset, seed=0, **source):
    return runs.Acquire(dataset=dataset, seed=seed, source=sections.Dataset(**source))


def small(dataset, seed=0):
    return run(dataset, seed, source="synthetic", synthetic=sections.Synthetic(cases=10))


def record(folder):
    return pd.read_csv(folder / "record.csv", dtype=str, keep_default_na=False)


@pytest.mark.parametrize("dataset", ["ct-rate", "radchestct", "cc-ccii", "luna16", "btcv"])
def test_the_same_settings_give_the_same_bytes(dataset, tmp_path):
    for name in ("a", "b"):
        acquire(small(dataset), tmp_path / name)
    assert len(record(tmp_path / "a")) >= 10
    assert (tmp_path / "a/record.csv").read_bytes() == (tmp_path / "b/record.csv").read_bytes()


def test_the_record_lists_every_file_as_it_is(tmp_path):
    acquire(small("btcv"), tmp_path)
    raw = tmp_path / "raw"
    table = record(tmp_path)
    found = sorted(p.relative_to(raw).as_posix() for p in raw.rglob("*") if p.is_file())
    assert sorted(table["file"]) == found
    for row in table.to_dict("records"):
        content = (raw / row["file"]).read_bytes()
        assert row["bytes"] == str(len(content))
        assert row["checksum"] == "sha256:" + hashlib.sha256(content).hexdigest()


def test_another_seed_gives_other_volumes(tmp_path):
    for seed in (0, 1):
        acquire(small("btcv", seed), tmp_path / str(seed))
    assert not set(record(tmp_path / "0")["checksum"]) & set(record(tmp_path / "1")["checksum"])


def test_what_a_killed_run_left_behind_is_cleared(tmp_path):
    acquire(small("btcv"), tmp_path / "whole")
    left = tmp_path / "killed/raw/imagesTr/img9999.nii.gz"
    left.parent.mkdir(parents=True)
    left.write_bytes(b"half")
    acquire(small("btcv"), tmp_path / "killed")
    records = [(tmp_path / name / "record.csv").read_bytes() for name in ("whole", "killed")]
    assert records[0] == records[1]


def test_synthetic_files_never_take_the_place_of_others(tmp_path):
    mine = tmp_path / "mine/real.mhd"
    mine.parent.mkdir()
    mine.write_bytes(b"precious")
    asked = small("btcv").source.model_copy(update={"folder": str(mine.parent)})
    acquire(runs.Acquire.model_construct(dataset="btcv", seed=0, source=asked), tmp_path / "out")
    assert (tmp_path / "out/raw/imagesTr").is_dir()
    (tmp_path / "linked").mkdir()
    (tmp_path / "linked/raw").symlink_to(mine.parent)
    with pytest.raises(InputError, match=r"linked/raw: is a link .*; move it away"):
        acquire(small("btcv"), tmp_path / "linked")
    assert [path.name for path in mine.parent.iterdir()] == ["real.mhd"]


def test_an_earlier_record_does_not_outlive_a_run_that_fails(tmp_path):
    acquire(small("btcv"), tmp_path)
    with pytest.raises(InputError):
        acquire(run("btcv", source="folder", folder=str(tmp_path / "none")), tmp_path)
    assert not (tmp_path / "record.csv").exists()


def test_a_folder_is_recorded_and_left_as_it_is(tmp_path):
    raw = tmp_path / "mine"
    (raw / "b").mkdir(parents=True)
    (raw / "b/two.txt").write_bytes(b"22")
    (raw / "a.txt").write_bytes(b"1")
    with (raw / "large").open("wb") as file:
        file.truncate(64 * 2**20 + 1)
    out = tmp_path / "out"
    acquire(run("sample", source="folder", folder=str(raw)), out)
    assert record(out).iloc[:, :3].to_numpy().tolist() == [
        ["a.txt", "1", "sha256:" + hashlib.sha256(b"1").hexdigest()],
        ["b/two.txt", "2", "sha256:" + hashlib.sha256(b"22").hexdigest()],
        ["large", str(64 * 2**20 + 1), ""],
    ]
    assert [path.name for path in out.iterdir()] == ["record.csv"]


def test_what_a_folder_links_to_is_recorded(tmp_path):
    (tmp_path / "disk").mkdir()
    (tmp_path / "disk/a.txt").write_bytes(b"1")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/subset0").symlink_to(tmp_path / "disk")
    (tmp_path / "mine/gone").symlink_to(tmp_path / "nowhere")
    acquire(run("luna16", source="folder", folder=str(tmp_path / "mine")), tmp_path / "out")
    assert record(tmp_path / "out")["file"].tolist() == ["subset0/a.txt"]


def test_a_missing_and_an_empty_folder_are_named_with_their_key(tmp_path):
    for folder in (tmp_path / "none", tmp_path):
        with pytest.raises(InputError, match=rf"acquire\.luna16\.folder.*{folder}"):
            acquire(run("luna16", source="folder", folder=str(folder)), tmp_path / "out")


def test_what_cannot_be_made_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"acquire\.sample.*source: folder"):
        acquire(run("sample"), tmp_path)


def test_a_dataset_in_the_layout_of_another_is_made_as_that_one(tmp_path):
    own = run("mine", layout="btcv", synthetic=sections.Synthetic(cases=10))
    acquire(own, tmp_path / "mine")
    acquire(small("btcv"), tmp_path / "btcv")
    assert record(tmp_path / "mine").equals(record(tmp_path / "btcv"))


def test_the_entry_is_named_and_not_its_layout(tmp_path):
    with pytest.raises(InputError, match=r"acquire\.mine\.folder"):
        acquire(run("mine", layout="btcv", source="folder", folder="gone"), tmp_path)
