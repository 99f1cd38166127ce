"""Runs of `acquire` that fetch from a local host, and what it serves."""

import zipfile
from io import BytesIO

from local_host import LocalHost

from simcrop import runs, sections

VOLUME = "dataset/train_fixed/train_1/train_1_a/train_1_a_1.nii.gz"
FILES = {
    VOLUME: b"v" * 5000,
    "dataset/metadata/train_metadata.csv": b"VolumeName\n",
    "dataset/train/old.nii.gz": b"not wanted",
}


def run(host: LocalHost, dataset: str = "ct-rate", **source: object) -> runs.Acquire:
    """A run that fetches a dataset from `host`."""
    source = {"source": "host", "endpoint": host.url, **source}
    return runs.Acquire(dataset=dataset, seed=0, source=sections.Dataset(**source))


def zipped(name: str) -> bytes:
    """An archive of one file of 1000 bytes."""
    content = BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr(name, "x" * 1000)
    return content.getvalue()
