"""Every dataset from its host, in the host's own protocol and layout, to the volume store."""

import shutil
import zipfile
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from local_host import LocalHost

from simcrop import cohorts, runs, sections
from simcrop.acquire.run import acquire
from simcrop.formats import cases, record
from simcrop.formats.volumes import VolumeStore
from simcrop.prepare.run import collect, index
from simcrop.prepare.shard import volumes
from simcrop.remote import hosts

SPACING = (14.0, 14.0, 28.0)


def zipped(files: dict[str, bytes]) -> bytes:
    content = BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return content.getvalue()


def serve(host: LocalHost, dataset: str, raw: Path) -> None:
    """Put the raw files of a dataset where its host has them, in archives where they are."""
    files = {
        path.relative_to(raw).as_posix(): path.read_bytes()
        for path in sorted(raw.rglob("*"))
        if path.is_file()
    }
    if dataset == "ct-rate":
        host.hub("ibrahimhamamci/CT-RATE", files, token="hf_right")
    elif dataset == "radchestct":
        host.zenodo("6406114", files)
    elif dataset == "cc-ccii":
        host.kaggle("fakaframe082/cc-ccii", zipped(files), "user", "key")
    elif dataset == "btcv":
        host.figshare("29077214", {"BTCV.zip": zipped(files)})
    else:
        folders = {name.partition("/")[0] for name in files if "/" in name}
        packed = {
            f"{folder}.zip": zipped({n: d for n, d in files.items() if n.startswith(f"{folder}/")})
            for folder in folders
        }
        packed |= {name: data for name, data in files.items() if "/" not in name}
        host.zenodo("4121926", {f"subset{n}.zip": packed.pop(f"subset{n}.zip") for n in (7, 8, 9)})
        host.zenodo("3723295", packed)


def prepared(run: runs.Acquire, out: Path) -> Path:
    """Acquire, index, resample and collect, as the workflow does."""
    shared = {"cohort": "mine", "dataset": run.dataset, "raw": run.source.folder}
    for folder in ("acquire", "index", "volumes"):
        (out / folder).mkdir(parents=True)
    acquire(run, out / "acquire")
    index(runs.Index(**shared, seed=0, validation=0.1, test=0.2), out / "index")
    table, listed = str(out / "index/cases.csv"), str(out / "acquire/record.csv")
    part = {"spacing": SPACING, "shard": 0, "shards": 1, "cases": table, "record": listed}
    volumes(runs.Volumes(**shared, **part, endpoint=run.source.endpoint), out / "volumes")
    inputs = {
        "cases": table,
        "findings": str(out / "index/findings.csv"),
        "audits": [str(out / "volumes/audit.csv")],
        "volumes": [str(out / "volumes/volumes.zip")],
    }
    collect(runs.Collect(cohort="mine", max_set_aside=0.2, **inputs), out)
    return out


@pytest.mark.parametrize(
    ("dataset", "keep"),
    [
        ("ct-rate", True),
        ("ct-rate", False),
        ("radchestct", True),
        ("radchestct", False),
        ("cc-ccii", True),
        ("luna16", True),
        ("btcv", True),
    ],
)
def test_a_dataset_from_its_host_is_the_one_in_a_folder(dataset, keep, tmp_path, monkeypatch):
    raw = tmp_path / "raw"
    cohorts.get(dataset).make(raw, sections.Synthetic(cases=10, spacing=SPACING), 0)
    if dataset == "ct-rate":
        for split in ("train", "valid"):
            (raw / f"dataset/{split}").rename(raw / f"dataset/{split}_fixed")
        shutil.rmtree(raw / "synthetic")
    monkeypatch.setattr(hosts, "BACKOFF", 0.001)
    for name, value in {
        "HF_TOKEN": "hf_right",
        "KAGGLE_USERNAME": "user",
        "KAGGLE_KEY": "key",
    }.items():
        monkeypatch.setenv(name, value)
    with LocalHost() as host:
        serve(host, dataset, raw)
        source = {"source": "host", "endpoint": host.url, "keep": keep}
        source = sections.Dataset(**source, folder=str(tmp_path / "fetched"))
        there = prepared(runs.Acquire(dataset=dataset, seed=0, source=source), tmp_path / "there")
    source = sections.Dataset(source="folder", folder=str(raw))
    here = prepared(runs.Acquire(dataset=dataset, seed=0, source=source), tmp_path / "here")
    for file in ("volumes/volumes.zip", "volumes/masks.zip", "cases.csv", "sentences.csv"):
        assert (there / file).read_bytes() == (here / file).read_bytes(), file
    store = VolumeStore(there / "volumes/volumes.zip")
    table = cases.read(there / "cases.csv")
    assert store.cases == table["case"].tolist() and len(store.cases) >= 8
    assert all(np.median(store.read(case)) < -300 for case in store.cases)
    assert set(table["split"]) == {"train", "val", "test"}
    states = set(record.read(there / "acquire/record.csv")["state"])
    assert states == ({"here"} if keep else {"here", "remote"})
    volumes_left = {path for row in table["path"] if (path := tmp_path / "fetched" / row).exists()}
    assert len(volumes_left) == (len(table) if keep else 0)
