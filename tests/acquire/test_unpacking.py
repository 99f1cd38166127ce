"""Datasets that come in archives, and the room that they take on disk."""

import threading
import time

import pytest
from fetching import FILES, VOLUME, run, zipped

from simcrop import remote
from simcrop.acquire import run as module
from simcrop.acquire.run import acquire
from simcrop.errors import InputError
from simcrop.formats import record


def test_archives_are_unpacked_and_dropped(host, tmp_path, capsys):
    subset = zipped("subset0/1.mhd")
    host.zenodo("3723295", {"subset0.zip": subset, "annotations.csv": b"seriesuid\n"})
    host.zenodo("4121926", {})
    acquire(run(host, "luna16", folder=str(tmp_path / "luna")), tmp_path)
    table = record.read(tmp_path / "record.csv").set_index("file")
    assert sorted(table.index) == ["annotations.csv", "subset0/1.mhd"]
    assert table.loc["subset0/1.mhd", "checksum"].startswith("md5:")
    assert table.loc["subset0/1.mhd", "origin"].endswith("subset0.zip/content")
    assert not (tmp_path / "luna/subset0.zip").exists()
    served = dict(host.served)
    acquire(run(host, "luna16", folder=str(tmp_path / "luna")), tmp_path)
    assert host.served == served


def test_an_archive_of_the_user_is_unpacked_and_stays(host, tmp_path):
    subset = zipped("subset0/1.mhd")
    host.zenodo("3723295", {"subset0.zip": subset})
    host.zenodo("4121926", {})
    (tmp_path / "luna").mkdir()
    (tmp_path / "luna/subset0.zip").write_bytes(subset)
    for _ in range(2):
        acquire(run(host, "luna16", folder=str(tmp_path / "luna")), tmp_path)
        assert record.read(tmp_path / "record.csv")["file"].tolist() == ["subset0/1.mhd"]
        assert (tmp_path / "luna/subset0.zip").read_bytes() == subset
    assert host.served == {}


@pytest.fixture
def kaggle(host, monkeypatch):
    """CC-CCII at Kaggle, which gives neither size nor checksum, and the run that fetches it."""
    monkeypatch.setenv("KAGGLE_USERNAME", "user")
    monkeypatch.setenv("KAGGLE_KEY", "key")
    host.kaggle("fakaframe082/cc-ccii", zipped("NCP/1/2/0000.png"), "user", "key")
    return run(host, "cc-ccii")


def test_an_archive_whose_unpacking_was_stopped_is_not_fetched_again(
    host, kaggle, tmp_path, monkeypatch
):
    def stopped(*arguments):
        raise KeyboardInterrupt

    unpack = remote.unpack
    monkeypatch.setattr(remote, "unpack", stopped)
    with pytest.raises(KeyboardInterrupt):
        acquire(kaggle, tmp_path)
    served = dict(host.served)
    (tmp_path / "raw/.unpacking-x").mkdir()  # as a kill leaves it
    monkeypatch.setattr(remote, "unpack", unpack)
    acquire(kaggle, tmp_path)
    assert host.served == served
    assert sorted(path.name for path in (tmp_path / "raw").iterdir()) == [".fetched.jsonl", "NCP"]
    assert record.read(tmp_path / "record.csv")["checksum"].str.startswith("sha256:").all()


def test_what_a_host_has_no_checksum_of_is_held_against_its_first_fetch(host, kaggle, tmp_path):
    acquire(kaggle, tmp_path)
    (tmp_path / "raw/NCP/1/2/0000.png").unlink()
    acquire(kaggle, tmp_path)
    assert set(record.read(tmp_path / "record.csv")["state"]) == {"here"}
    (tmp_path / "raw/NCP/1/2/0000.png").unlink()
    (path,) = (path for path in host.files if "/download/" in path)
    host.files[path] += b"more"
    for _ in range(2):
        acquire(kaggle, tmp_path)
        assert set(record.read(tmp_path / "record.csv")["state"]) == {"unusable"}


def disk_of(monkeypatch, free):
    class Usage:
        pass

    Usage.free = free
    monkeypatch.setattr("shutil.disk_usage", lambda path: Usage)


def test_a_disk_that_is_too_small_is_told_before_anything_is_fetched(host, tmp_path, monkeypatch):
    host.hub("ibrahimhamamci/CT-RATE", FILES)
    disk_of(monkeypatch, 5010)  # 5011 bytes are wanted
    with pytest.raises(InputError, match=r"are to be fetched and unpacked, and .*; make room"):
        acquire(run(host), tmp_path)
    assert host.served == {}


@pytest.mark.parametrize("end", ["", ".part"])
def test_what_lies_there_takes_no_further_room(host, tmp_path, monkeypatch, end):
    host.hub("ibrahimhamamci/CT-RATE", FILES)
    here = tmp_path / "raw" / f"{VOLUME}{end}"
    here.parent.mkdir(parents=True)
    here.write_bytes(b"v" * 1000)
    disk_of(monkeypatch, 4011)
    acquire(run(host), tmp_path)
    assert (tmp_path / "raw" / VOLUME).read_bytes() == FILES[VOLUME]


def test_archives_need_room_for_what_is_in_them(host, tmp_path, monkeypatch):
    files = {f"subset{n}.zip": zipped(f"subset{n}/{n}.mhd") for n in range(5)}
    host.zenodo("3723295", {**files, "annotations.csv": b"seriesuid\n"})
    host.zenodo("4121926", {})
    # Twice the five of them and four that lie there at once, and the table.
    room = 14 * len(files["subset0.zip"]) + 10
    disk_of(monkeypatch, room - 1)
    with pytest.raises(InputError, match="make room"):
        acquire(run(host, "luna16"), tmp_path)
    assert host.served == {}
    disk_of(monkeypatch, room)
    acquire(run(host, "luna16"), tmp_path)
    assert len(record.read(tmp_path / "record.csv")) == 6


def test_archives_are_unpacked_one_at_a_time(host, tmp_path, monkeypatch):
    host.zenodo("3723295", {f"subset{n}.zip": zipped(f"subset{n}/{n}.mhd") for n in range(2)})
    host.zenodo("4121926", {})
    together = threading.Barrier(2, timeout=0.5)
    met = []

    def unpack(*arguments):
        try:
            met.append(together.wait())
        except threading.BrokenBarrierError:
            together.reset()
        return original(*arguments)

    original = remote.unpack
    monkeypatch.setattr(remote, "unpack", unpack)
    acquire(run(host, "luna16"), tmp_path)
    assert met == []


def test_what_waits_to_be_unpacked_stays_packed_on_ctrl_c(host, tmp_path, monkeypatch):
    host.zenodo("3723295", {f"subset{n}.zip": zipped(f"subset{n}/{n}.mhd") for n in range(2)})
    host.zenodo("4121926", {})
    ending = threading.Event()
    unpacked = []

    def unpack(archive, raw):
        ending.wait(10)
        unpacked.append(archive.name)
        return original(archive, raw)

    def interrupted(jobs):
        while len(list(tmp_path.glob("raw/*.zip"))) < 2:
            time.sleep(0.005)
        raise KeyboardInterrupt

    def shutdown(*arguments, **options):
        ending.set()
        shut(*arguments, **options)

    original, shut = remote.unpack, module.ThreadPoolExecutor.shutdown
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(remote, "unpack", unpack)
        patch.setattr(module, "as_completed", interrupted)
        patch.setattr(module.ThreadPoolExecutor, "shutdown", shutdown)
        acquire(run(host, "luna16"), tmp_path)
    assert len(unpacked) == 1
    acquire(run(host, "luna16"), tmp_path)
    files = record.read(tmp_path / "record.csv")["file"]
    assert files.tolist() == ["subset0/0.mhd", "subset1/1.mhd"]
