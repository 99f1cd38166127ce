import json
import subprocess

from simcrop import __version__
from simcrop.provenance import _commit, provenance


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
