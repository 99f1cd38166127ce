"""A dataset from its host: fetched once, recorded, and taken up again after a stop."""

import errno
import shutil

import pandas as pd
import pytest
from fetching import FILES, VOLUME, run
from local_host import COMMIT, Fault

from simcrop import cohorts, remote, sections, settings
from simcrop.acquire import check
from simcrop.acquire.run import Journal, acquire, sorted_out
from simcrop.cli import main
from simcrop.errors import InputError
from simcrop.formats import record


def test_ct_rate_comes_with_a_token_and_is_recorded(host, tmp_path, monkeypatch):
    host.hub("ibrahimhamamci/CT-RATE", FILES, token="hf_right")
    with pytest.raises(remote.Refused, match=r"accept the terms at .*CT-RATE, set HF_TOKEN"):
        acquire(run(host), tmp_path)
    assert not (tmp_path / "record.csv").exists()
    monkeypatch.setenv("HF_TOKEN", "hf_right")
    acquire(run(host), tmp_path)
    table = record.read(tmp_path / "record.csv").set_index("file")
    assert sorted(table.index) == sorted(set(FILES) - {"dataset/train/old.nii.gz"})
    assert (tmp_path / "raw" / VOLUME).read_bytes() == FILES[VOLUME]
    row = table.loc[VOLUME]
    assert (row["state"], row["revision"], row["bytes"]) == ("here", COMMIT, "5000")
    assert row["checksum"].startswith("sha256:")
    assert table.loc["dataset/metadata/train_metadata.csv", "checksum"].startswith("git:")
    assert row["date"].endswith("Z") and row["origin"].startswith(host.url)


def test_what_is_there_is_not_fetched_again(host, tmp_path):
    host.hub("ibrahimhamamci/CT-RATE", FILES)
    acquire(run(host), tmp_path)
    first = (tmp_path / "record.csv").read_bytes()
    served = dict(host.served)
    acquire(run(host), tmp_path)
    assert host.served == served
    assert (tmp_path / "record.csv").read_bytes() == first
    (tmp_path / "raw" / VOLUME).unlink()
    acquire(run(host), tmp_path)
    assert (tmp_path / "raw" / VOLUME).read_bytes() == FILES[VOLUME]


def test_synthetic_files_do_not_take_the_place_of_what_was_fetched(host, tmp_path):
    host.hub("ibrahimhamamci/CT-RATE", FILES)
    acquire(run(host), tmp_path)
    with pytest.raises(InputError, match=r"raw: .*holds what was fetched from a host.*; move it"):
        acquire(run(host, source="synthetic", endpoint=None), tmp_path)
    assert (tmp_path / "raw" / VOLUME).read_bytes() == FILES[VOLUME]


def test_a_file_that_was_cut_short_since_is_fetched_again(host, tmp_path):
    host.hub("ibrahimhamamci/CT-RATE", FILES)
    acquire(run(host), tmp_path)
    (tmp_path / "raw" / VOLUME).write_bytes(FILES[VOLUME][:-1])
    acquire(run(host), tmp_path)
    assert (tmp_path / "raw" / VOLUME).read_bytes() == FILES[VOLUME]


def test_files_that_were_copied_there_are_checked_and_not_fetched(host, tmp_path):
    host.hub("ibrahimhamamci/CT-RATE", FILES, lfs=0)
    for name in FILES:
        (tmp_path / "raw" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "raw" / name).write_bytes(FILES[name])
    (tmp_path / "raw" / VOLUME).write_bytes(b"w" * 5000)
    acquire(run(host), tmp_path)
    assert [path.rpartition("/")[2] for path in host.served] == ["train_1_a_1.nii.gz"]
    assert (tmp_path / "raw" / VOLUME).read_bytes() == FILES[VOLUME]


def test_a_new_revision_fetches_only_what_changed(host, tmp_path):
    host.hub("ibrahimhamamci/CT-RATE", FILES, lfs=0)
    acquire(run(host), tmp_path)
    before = dict(host.served)
    for table in (host.answers, host.files):
        for path in list(table):
            table[path.replace(COMMIT, "f" * 40)] = table[path]
    for answer in host.answers.values():
        if isinstance(answer, dict):
            answer["sha"] = "f" * 40
    acquire(run(host), tmp_path)
    assert host.served == before
    shutil.rmtree(tmp_path / "raw/dataset/metadata")
    acquire(run(host), tmp_path)
    assert len(host.served) == len(before) + 1


def test_a_journal_cut_short_by_a_kill_is_read_as_far_as_it_goes(host, tmp_path):
    host.hub("ibrahimhamamci/CT-RATE", FILES)
    acquire(run(host), tmp_path)
    journal = tmp_path / "raw/.fetched.jsonl"
    journal.write_text(journal.read_text(encoding="utf-8")[:-20])
    acquire(run(host), tmp_path)
    assert set(record.read(tmp_path / "record.csv")["state"]) == {"here"}
    served = dict(host.served)
    acquire(run(host), tmp_path)
    assert host.served == served


def test_volumes_that_need_not_be_kept_stay_at_the_host(host, tmp_path):
    host.hub("ibrahimhamamci/CT-RATE", FILES)
    acquire(run(host, keep=False), tmp_path)
    table = record.read(tmp_path / "record.csv").set_index("file")
    assert table["state"].to_dict() == {
        VOLUME: "remote",
        "dataset/metadata/train_metadata.csv": "here",
    }
    assert not (tmp_path / "raw" / VOLUME).exists()
    assert not any("train_1_a_1" in path for path, _ in host.asked)


def test_an_error_ends_the_other_downloads_and_what_came_stays(host, tmp_path):
    slow = {f"{name}.csv": name.encode() * 1_000_000 for name in "abc"}
    host.zenodo("3723295", {**slow, "d.csv": b"1"})
    host.zenodo("4121926", {})
    host.pause = 0.05  # after 16 kB: three seconds a file
    refused = "/api/records/3723295/files/d.csv/content"
    host.faults[refused] = Fault(status=403)
    with pytest.raises(remote.Refused):
        acquire(run(host, "luna16"), tmp_path)
    assert not any((tmp_path / "raw" / name).exists() for name in slow)
    del host.faults[refused]
    host.pause = 0
    acquire(run(host, "luna16"), tmp_path)
    assert {name: (tmp_path / "raw" / name).read_bytes() for name in slow} == slow


@pytest.mark.parametrize(
    ("dataset", "status", "told"),
    [
        ("ct-rate", None, ("refused (401)", "accept the terms at https://huggingface.co/datasets")),
        ("ct-rate", 403, ("refused (403)", "accept the terms at https://huggingface.co/datasets")),
        ("cc-ccii", None, ("refused (401)", "https://www.kaggle.com/settings")),
        ("cc-ccii", 403, ("refused (403)", "https://www.kaggle.com/settings")),
    ],
)
def test_a_refusal_names_terms_and_variables_and_never_shows_the_token(
    host, tmp_path, monkeypatch, capfd, dataset, status, told
):
    secrets = {"HF_TOKEN": "hf_w8Secret", "KAGGLE_USERNAME": "user", "KAGGLE_KEY": "k8Secret"}
    for name, value in secrets.items():
        monkeypatch.setenv(name, value)
    token, key = ("hf_other", "other") if status is None else ("hf_w8Secret", "k8Secret")
    host.hub("ibrahimhamamci/CT-RATE", FILES, token=token)
    host.kaggle("fakaframe082/cc-ccii", b"", "user", key)
    if status:
        for path in host.files:
            host.faults[path] = Fault(status=status)
    (tmp_path / "settings.yaml").write_text(run(host, dataset).yaml(), encoding="utf-8")
    assert main(["acquire", str(tmp_path / "settings.yaml")]) == 1
    shown = "".join(capfd.readouterr())
    variables = "HF_TOKEN" if dataset == "ct-rate" else "KAGGLE_USERNAME and KAGGLE_KEY"
    assert f"set {variables}" in shown and all(text in shown for text in told)
    written = [path for path in tmp_path.rglob("*") if path.is_file()]
    for place in (shown, *(path.read_text(encoding="utf-8") for path in written)):
        assert "8Secret" not in place


def test_a_full_disk_is_a_line_that_says_what_to_do(host, tmp_path, monkeypatch, capsys):
    host.hub("ibrahimhamamci/CT-RATE", FILES)

    def full(*arguments):
        raise OSError(errno.ENOSPC, "No space left on device", str(tmp_path / "record.csv"))

    monkeypatch.setattr(record, "write", full)
    (tmp_path / "settings.yaml").write_text(run(host).yaml(), encoding="utf-8")
    assert main(["acquire", str(tmp_path / "settings.yaml")]) == 1
    assert f"{tmp_path / 'record.csv'}: no space left on the disk; make room" in (
        capsys.readouterr().err
    )


def test_the_revision_that_came_is_told(host, tmp_path, capsys):
    host.hub("ibrahimhamamci/CT-RATE", FILES)
    acquire(run(host), tmp_path)
    assert f"  revision: {COMMIT}\n" in capsys.readouterr().out


def test_a_listed_file_that_is_not_there_is_told_and_asked_for_next_time(host, tmp_path, capsys):
    host.hub("ibrahimhamamci/CT-RATE", FILES)
    host.faults[f"/datasets/ibrahimhamamci/CT-RATE/resolve/{COMMIT}/{VOLUME}"] = Fault(status=404)
    acquire(run(host), tmp_path)
    table = record.read(tmp_path / "record.csv").set_index("file")
    assert table.loc[VOLUME, "state"] == "unusable"
    assert "unusable: 1 files" in capsys.readouterr().out
    host.faults.clear()
    acquire(run(host), tmp_path)
    assert set(record.read(tmp_path / "record.csv")["state"]) == {"here"}
    assert (tmp_path / "raw" / VOLUME).read_bytes() == FILES[VOLUME]


def test_a_dataset_without_a_host_says_what_to_do(host, tmp_path):
    with pytest.raises(InputError, match=r"acquire\.sample: has no host; set source: folder"):
        acquire(run(host, "sample"), tmp_path)


@pytest.mark.parametrize("dataset", ["ct-rate", "radchestct", "cc-ccii", "luna16", "btcv"])
def test_every_benchmark_has_a_host(dataset):
    assert cohorts.get(dataset).HOST.names


def test_check_tells_what_is_there_and_missing_and_fetches_nothing(host, tmp_path, monkeypatch):
    host.hub("ibrahimhamamci/CT-RATE", FILES, token="hf_secret")
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/a.csv").write_bytes(b"12")

    class Config:
        seed = 0
        acquire = {  # noqa: RUF012
            "ct-rate": run(host, keep=False).source,
            "btcv": sections.Dataset(source="folder", folder="mine"),
            "luna16": sections.Dataset(),
        }
        raw = settings.Config.raw

    lines = list(check.check(Config()))
    text = "\n".join(lines)
    assert "; HF_TOKEN set" in text and "hf_secret" not in text
    assert f"  revision: {COMMIT}" in lines
    assert "  missing: 1 files, 0.00 GB" in lines
    assert "  needed on disk, archives unpacked: 0.00 GB" in lines
    assert any(line.startswith("  remote, fetched when") for line in lines)
    assert "btcv: folder, mine" in lines and "  here: 1 files, 0.00 GB" in lines
    assert "luna16: synthetic, results/acquire/luna16/raw" in lines
    assert host.served == {}


def test_check_reads_configurations_one_over_the_other(root, monkeypatch, tmp_path, capsys):
    monkeypatch.chdir(root)
    over = tmp_path / "mine.yaml"
    over.write_text(f"acquire: {{btcv: {{source: folder, folder: {tmp_path}}}}}\n")
    assert main(["acquire", "--check", str(over)]) == 0
    told = capsys.readouterr().out
    assert f"btcv: folder, {tmp_path}" in told
    assert "ct-rate: synthetic, results/acquire/ct-rate/raw" in told


def test_the_record_of_a_folder_is_read_back(tmp_path):
    table = pd.DataFrame([["a", "1", "", "here", "", "", ""]], columns=record.COLUMNS)
    record.write(table, tmp_path / "record.csv")
    assert record.read(tmp_path / "record.csv").equals(table)
    (tmp_path / "record.csv").write_text("file,bytes,sha256\n")
    with pytest.raises(InputError, match="run the acquire stage again"):
        record.read(tmp_path / "record.csv")


def test_fifty_thousand_files_are_sorted_out_in_no_time(host, tmp_path):
    hub = cohorts.get("ct-rate").HOST
    listed = [remote.File(f"{i}.nii.gz", 1, "", f"{host.url}/{i}") for i in range(50_000)]
    for keep, sizes in ((True, (0, 50_000, 0)), (False, (0, 0, 50_000))):
        parts = sorted_out(run(host, keep=keep), hub, listed, Journal(tmp_path))
        assert tuple(map(len, parts)) == sizes
