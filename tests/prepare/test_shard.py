"""A shard that is stopped goes on; volumes that are not kept are fetched, resampled and dropped."""

import gzip
import subprocess
import sys
import time
from pathlib import Path

import nibabel
import numpy as np
import pandas as pd
import pytest
from local_host import Fault, LocalHost

from simcrop import cohorts, remote, runs
from simcrop.errors import InputError
from simcrop.formats import cases, record
from simcrop.formats.volumes import VolumeStore
from simcrop.prepare import shard
from simcrop.remote import hosts

AFFINE = np.diag([-20.0, 20.0, 30.0, 1.0])


def scan(seed: int) -> bytes:
    array = np.random.default_rng(seed).integers(-1000, -800, (8, 7, 6)).astype(np.int16)
    array[2:6, 2:5, 1:5] = 40
    return gzip.compress(nibabel.Nifti1Image(array, AFFINE).to_bytes(), mtime=0)


class Place:
    """Four scans, at a local host and nowhere else, as one shard of ct-rate."""

    def __init__(self, folder: Path, host: LocalHost) -> None:
        self.host, self.folder, self.out = host, folder, folder / "out"
        self.files = {f"c{i}.nii.gz": scan(i) for i in range(4)}
        self.serve()
        table = pd.DataFrame({"case": [f"c{i}" for i in range(4)]})
        table = table.reindex(columns=[*cases.TEXT, *cases.HINTS], fill_value="")
        table["patient"], table["path"] = table["case"], table["case"] + ".nii.gz"
        cases.write(table, folder / "cases.csv")

    def serve(self) -> None:
        """Put `files` at the host, and what it lists of them into the record."""
        self.host.hub("ibrahimhamamci/CT-RATE", self.files)
        hub = remote.Host("hub", ("ibrahimhamamci/CT-RATE",), endpoint=self.host.url)
        listed = remote.listing(hub)
        self.urls = {file.name: file.url.removeprefix(self.host.url) for file in listed.files}
        rows = [
            (f.name, f.bytes, f.checksum, "remote", f.url, listed.revision, "")
            for f in listed.files
        ]
        record.write(pd.DataFrame(rows, columns=record.COLUMNS), self.folder / "record.csv")

    def stated(self, **settings: object) -> runs.Volumes:
        settings = {"spacing": (20, 20, 30), **settings}
        return runs.Volumes(
            cohort="mine",
            dataset="ct-rate",
            raw=str(self.folder / "raw"),
            shard=0,
            shards=1,
            **settings,
            record=str(self.folder / "record.csv"),
            cases=str(self.folder / "cases.csv"),
        )

    def run(self, **settings: object) -> None:
        shard.volumes(self.stated(**settings), self.out)

    def audit(self) -> pd.DataFrame:
        table = pd.read_csv(self.out / "audit.csv", dtype=str, keep_default_na=False)
        return table.set_index("case")


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.setattr(hosts, "BACKOFF", 0.001)
    monkeypatch.delenv("HF_TOKEN", raising=False)
    with LocalHost() as host:
        yield Place(tmp_path, host)


def test_volumes_are_fetched_resampled_and_dropped(place):
    place.run()
    store = VolumeStore(place.out / "volumes.zip")
    assert store.cases == ["c0", "c1", "c2", "c3"]
    assert store.read("c2").max() == 40
    assert sorted(path.name for path in place.out.iterdir()) == [
        "audit.csv",
        "masks.zip",
        "volumes.zip",
    ]
    assert not (place.folder / "raw").exists()


def test_a_mirror_is_shown_the_token_and_another_address_is_not(place, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_right")
    place.host.tokens["/datasets/"] = "Bearer hf_right"
    with pytest.raises(InputError, match=r"c0\.nii\.gz: refused"):
        place.run()
    place.run(endpoint=place.host.url)
    assert VolumeStore(place.out / "volumes.zip").cases == ["c0", "c1", "c2", "c3"]


def test_never_more_than_one_raw_volume_a_process_lies_on_disk(place, monkeypatch):
    most = []
    original = shard.readers.read

    def spied(path, hints):
        most.append(len(list(place.out.rglob("*.nii.gz*"))))
        return original(path, hints)

    monkeypatch.setattr(shard.readers, "read", spied)
    place.run()
    assert most == [1, 1, 1, 1]


def test_what_was_finished_before_a_stop_is_neither_fetched_nor_resampled_again(place):
    lost = place.urls["c2.nii.gz"]
    place.host.faults[lost] = Fault(status=403)
    with pytest.raises(remote.Refused):
        place.run()
    assert not (place.out / "volumes.zip").exists()
    served = dict(place.host.served)
    place.host.faults.clear()
    place.run()
    assert VolumeStore(place.out / "volumes.zip").cases == ["c0", "c1", "c2", "c3"]
    assert all(place.host.served[path] == count for path, count in served.items())


def test_an_interrupted_run_ends_in_the_same_bytes_with_other_processes_too(place):
    place.run()
    names = ("volumes.zip", "masks.zip", "audit.csv")
    whole = [(place.out / name).read_bytes() for name in names]
    for name in names:
        (place.out / name).unlink()
    place.host.faults[place.urls["c1.nii.gz"]] = Fault(status=401)
    with pytest.raises(remote.Refused):
        place.run()
    place.host.faults.clear()
    finished = place.host.served[place.urls["c0.nii.gz"]]
    place.run(processes=2)
    assert place.host.served[place.urls["c0.nii.gz"]] == finished
    assert [(place.out / name).read_bytes() for name in names] == whole


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="children are told by /proc")
def test_no_process_outlives_a_run_that_is_killed_and_the_next_one_ends_in_the_same_bytes(place):
    place.run()
    whole = (place.out / "volumes.zip").read_bytes()
    (place.out / "volumes.zip").unlink()
    (place.out / "settings.yaml").write_text(place.stated(processes=2).yaml(), encoding="utf-8")
    for path in place.urls.values():
        place.host.faults[path] = Fault(cut=10)  # and asked again a second later
    command = [sys.executable, "-m", "simcrop.cli", "prepare", str(place.out / "settings.yaml")]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    while len(list(place.out.rglob("*.part"))) < 2:
        assert process.poll() is None
        time.sleep(0.005)
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    process.kill()
    process.wait()
    assert len(children) >= 2
    until = time.monotonic() + 20
    while any(Path(f"/proc/{child}").exists() for child in children):
        assert time.monotonic() < until, "they go on"
        time.sleep(0.01)
    place.host.faults.clear()
    place.run()
    assert (place.out / "volumes.zip").read_bytes() == whole


def test_other_settings_take_nothing_up(place):
    place.host.faults[place.urls["c3.nii.gz"]] = Fault(status=403)
    with pytest.raises(remote.Refused):
        place.run()
    place.host.faults.clear()
    place.run(spacing=(40, 40, 60))
    assert VolumeStore(place.out / "volumes.zip").shape("c0") == (4, 4, 3)
    assert not list(place.out.glob("unfinished-*"))


def test_a_file_that_has_changed_is_taken_up_anew(place):
    place.host.faults[place.urls["c3.nii.gz"]] = Fault(status=403)
    with pytest.raises(remote.Refused):
        place.run()
    place.host.faults.clear()
    place.files["c0.nii.gz"] = scan(9)
    place.serve()
    place.run()
    assert np.array_equal(VolumeStore(place.out / "volumes.zip").read("c0"), upright(9))


def test_a_case_whose_row_has_changed_is_taken_up_anew(place):
    place.host.faults[place.urls["c3.nii.gz"]] = Fault(status=403)
    with pytest.raises(remote.Refused):
        place.run()
    place.host.faults.clear()
    table = cases.read(place.folder / "cases.csv")
    table["path"] = [f"c{i}.nii.gz" for i in (1, 0, 2, 3)]
    cases.write(table, place.folder / "cases.csv")
    place.run()
    assert np.array_equal(VolumeStore(place.out / "volumes.zip").read("c0"), upright(1))


def upright(seed: int) -> np.ndarray:
    """The voxels of `scan` in RAS."""
    image = nibabel.Nifti1Image.from_bytes(gzip.decompress(scan(seed)))
    return nibabel.as_closest_canonical(image).get_fdata()


def test_what_the_host_lists_and_does_not_have_is_set_aside(place):
    place.host.faults[place.urls["c1.nii.gz"]] = Fault(status=404)
    spoilt = place.urls["c2.nii.gz"]
    place.host.files[spoilt] = place.host.files[spoilt][:-1] + b"x"
    place.run()
    audit = place.audit()
    assert "not there (404)" in audit.loc["c1", "reason"]
    assert "has checksum" in audit.loc["c2", "reason"]
    assert (audit.loc[["c0", "c3"], "reason"] == "").all()
    assert VolumeStore(place.out / "volumes.zip").cases == ["c0", "c3"]


def test_several_processes_give_the_same_bytes(place):
    place.run()
    single = (place.out / "volumes.zip").read_bytes()
    (place.out / "volumes.zip").unlink()
    place.run(processes=2)
    assert (place.out / "volumes.zip").read_bytes() == single


def test_a_volume_that_lies_on_disk_is_not_fetched(place):
    assert cohorts.get("ct-rate").HOST.kind == "hub"
    (place.folder / "raw").mkdir()
    (place.folder / "raw/c0.nii.gz").write_bytes(place.files["c0.nii.gz"])
    place.run()
    assert place.urls["c0.nii.gz"] not in place.host.served
