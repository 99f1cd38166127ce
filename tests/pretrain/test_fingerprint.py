import shutil

import numpy as np

from simcrop.formats.volumes import VolumeWriter
from simcrop.pretrain.fingerprint import fingerprint


def test_fingerprint_follows_settings_tables_volumes_and_text_encoder(
    make_run, tmp_path, cohort, text_encoder
):
    shutil.copytree(cohort, tmp_path / "cohort")
    shutil.copytree(text_encoder, tmp_path / "text")
    run = make_run("sentence_alignment").model_copy(
        update={
            "cases": str(tmp_path / "cohort/cases.csv"),
            "sentences": str(tmp_path / "cohort/sentences.csv"),
            "volumes": [str(tmp_path / "cohort/volumes.zip")],
            "text_encoder": str(tmp_path / "text"),
            "start": str(tmp_path / "start.pth"),
        }
    )
    (tmp_path / "start.pth").write_bytes(b"1")
    seen = {fingerprint(run)}
    assert fingerprint(run) in seen
    seen.add(fingerprint(run.model_copy(update={"seed": 99})))
    for name in ("cohort/cases.csv", "cohort/sentences.csv", "text/model.safetensors"):
        with (tmp_path / name).open("ab") as file:
            file.write(b" ")
        seen.add(fingerprint(run))
    with VolumeWriter(tmp_path / "cohort/volumes.zip") as store:
        store.add("c0", np.zeros((4, 4, 4), np.int16), np.eye(4))
    seen.add(fingerprint(run))
    (tmp_path / "start.pth").write_bytes(b"2")
    seen.add(fingerprint(run))
    assert len(seen) == 7


def test_fingerprint_does_not_follow_what_changes_no_result(make_run):
    runs = [
        make_run("sentence_alignment", checkpoint_epochs=epochs, checkpoint_minutes=minutes)
        for epochs, minutes in ((1, 30), (7, 30), (1, 2.5))
    ]
    method = runs[0].method.model_copy(update={"title": "Another row", "compared": True})
    runs.append(runs[0].model_copy(update={"method": method}))
    assert len(set(map(fingerprint, runs))) == 1
