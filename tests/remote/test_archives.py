"""Archives are unpacked whole, or not at all, and nowhere else."""

import errno
import io
import stat
import tarfile
import zipfile
from pathlib import Path

import pytest

from simcrop.errors import InputError
from simcrop.remote import archives, is_archive, unpack


def zipped(path: Path, files: dict[str, bytes], link: str = "") -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
        if link:
            entry = zipfile.ZipInfo(link)
            entry.external_attr = (stat.S_IFLNK | 0o777) << 16
            archive.writestr(entry, "/etc")
    return path


def tarred(path: Path, files: dict[str, bytes], link: str = "") -> Path:
    with tarfile.open(path, "w:gz") as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
        if link:
            entry = tarfile.TarInfo(link)
            entry.type, entry.linkname = tarfile.SYMTYPE, "/etc"
            archive.addfile(entry)
    return path


MAKERS = pytest.mark.parametrize(("make", "name"), [(zipped, "a.zip"), (tarred, "a.tar.gz")])


@MAKERS
def test_files_come_out_as_they_went_in(tmp_path, make, name):
    files = {"s/a.raw": b"1" * 1000, "b.csv": b"x"}
    archive = make(tmp_path / name, files)
    (tmp_path / "out/s").mkdir(parents=True)
    (tmp_path / "out/s/other").write_bytes(b"kept")
    assert unpack(archive, tmp_path / "out") == ["b.csv", "s/a.raw"]
    assert {n: (tmp_path / "out" / n).read_bytes() for n in files} == files
    assert sorted(path.name for path in (tmp_path / "out").rglob("*")) == [
        "a.raw",
        "b.csv",
        "other",
        "s",
    ]


@MAKERS
@pytest.mark.parametrize("bad", ["../out2/a", "/tmp/a", "s/../../a", "..\\a"])
def test_names_that_lead_elsewhere_are_refused_and_nothing_is_unpacked(tmp_path, make, name, bad):
    archive = make(tmp_path / name, {"good": b"1", bad: b"2"})
    with pytest.raises(InputError, match="leads out of the folder"):
        unpack(archive, tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []
    assert not (tmp_path / "out2").exists()


@MAKERS
def test_links_are_refused(tmp_path, make, name):
    archive = make(tmp_path / name, {"good": b"1"}, link="etc")
    with pytest.raises(InputError, match="'etc' is a link"):
        unpack(archive, tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


@MAKERS
def test_a_damaged_archive_is_refused_and_nothing_is_unpacked(tmp_path, make, name):
    archive = make(tmp_path / name, {"a": bytes(range(256)) * 50, "b": b"1"})
    content = bytearray(archive.read_bytes())
    content[60:80] = b"\0" * 20
    archive.write_bytes(content)
    with pytest.raises(InputError, match="cannot be unpacked"):
        unpack(archive, tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


def test_a_tar_of_a_folder_by_its_own_name_comes_out(tmp_path):
    with tarfile.open(tmp_path / "a.tgz", "w:gz") as archive:
        folder = tarfile.TarInfo(".")
        folder.type = tarfile.DIRTYPE
        archive.addfile(folder)
        entry = tarfile.TarInfo("./a.csv")
        entry.size = 1
        archive.addfile(entry, io.BytesIO(b"1"))
    assert unpack(tmp_path / "a.tgz", tmp_path / "out") == ["a.csv"]


def test_a_disk_that_fills_up_is_no_fault_of_the_archive(tmp_path, monkeypatch):
    archive = zipped(tmp_path / "a.zip", {"a": b"0" * 10_000})

    def full(*arguments):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(zipfile.ZipFile, "extractall", full)
    with pytest.raises(OSError, match="No space left"):
        unpack(archive, tmp_path / "out")
    assert archive.exists() and list((tmp_path / "out").iterdir()) == []


def test_what_the_disk_has_no_room_for_is_refused_before_it_is_unpacked(tmp_path, monkeypatch):
    archive = zipped(tmp_path / "a.zip", {"a": b"0" * 10_000})

    class Usage:
        free = 9_999

    monkeypatch.setattr(archives.shutil, "disk_usage", lambda path: Usage)
    with pytest.raises(InputError, match="make room"):
        unpack(archive, tmp_path / "out")


def test_only_archives_are_unpacked():
    assert is_archive("subset0.zip") and is_archive("a.tar.gz") and is_archive("A.ZIP")
    assert not is_archive("a.nii.gz") and not is_archive("a.npz")
