"""What a checkpoint of pre-training belongs to: settings and inputs, but not how it was run."""

import hashlib
from pathlib import Path

from simcrop import files, hub, runs
from simcrop.formats.volumes import VolumeStore


def fingerprint(run: runs.Encoder) -> str:
    """A digest of a run's settings and inputs: a checkpoint of any other run is not its own."""
    digest = hashlib.sha256(run.model_dump_json(exclude=run.CHANGES_NOTHING).encode())
    texts = [run.cases, run.sentences] if run.method.objectives.reads_reports else [run.cases]
    if run.text_encoder and Path(run.text_encoder).is_dir():
        texts += sorted(map(str, Path(run.text_encoder).glob("*.*")))
    if run.start:
        texts.append(hub.weights_file(run.start))
    for path in texts:
        digest.update(files.sha256(path).encode())
    store = VolumeStore(run.volumes)
    for case in store.cases:
        digest.update(f"{case} {store.checksum(case)}".encode())
    return digest.hexdigest()
