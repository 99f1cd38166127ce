import json
import subprocess

import pandas as pd

from simcrop import __version__
from simcrop.formats import record
from simcrop.provenance import _commit, data, provenance


def test_provenance_is_the_same_every_time_and_can_be_written_as_json():
    found = provenance()
    assert found == provenance() == json.loads(json.dumps(found))
    assert found["simcrop"] == __version__
    assert {"torch", "monai", "numpy", "device", "commit"} < set(found)


def test_the_commit_says_whether_files_were_changed_since(tmp_path):
    assert _commit(tmp_path) is None

    def git(*arguments):
        identity = ["-c", "user.name=n", "-c", "user.email=e@example.org"]
        command = ["git", "-C", str(tmp_path), *identity, *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    git("init")
    (tmp_path / "file").write_text("one")
    git("add", "file")
    git("commit", "--no-verify", "-m", "first")
    git("tag", "v1")
    assert _commit(tmp_path) == git("rev-parse", "HEAD")
    (tmp_path / "file").write_text("two")
    assert _commit(tmp_path) == git("rev-parse", "HEAD") + "-dirty"


def test_a_new_dvc_lock_is_no_change_of_the_code(tmp_path):
    for command in (["init"], ["add", "dvc.lock"], ["commit", "--no-verify", "-m", "first"]):
        (tmp_path / "dvc.lock").write_text("one")
        identity = ["-c", "user.name=n", "-c", "user.email=e@example.org"]
        whole = ["git", "-C", tmp_path, *identity, *command]
        subprocess.run(whole, check=True, capture_output=True)
    (tmp_path / "dvc.lock").write_text("two")
    assert "dirty" not in _commit(tmp_path)


def test_data_are_told_by_what_they_hold_and_not_by_when_and_whence_they_came(tmp_path):
    def told(**changes):
        row = {"file": "a", "bytes": "1", "checksum": "md5:0", "state": "here"}
        row |= {"origin": "https://x", "revision": "v2", "date": "2026-01-01T00:00:00Z"}
        other = row | {"file": "b"}
        path = tmp_path / "ct-rate" / "record.csv"
        record.write(pd.DataFrame([row | changes, other]), path)
        return data(path)

    first = told()
    assert first.startswith("ct-rate v2 ")
    assert first == told(date="2026-02-02T00:00:00Z", origin="https://y")
    assert len({first, told(checksum="md5:1"), told(bytes="2"), told(file="c")}) == 4
