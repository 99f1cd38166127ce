import pytest
import torch

from simcrop.pretrain import checkpoints


def state(value):
    return {"model": {"weight": torch.full((3,), float(value))}, "history": [{"epoch": value}]}


def test_the_last_two_are_kept_and_the_newest_is_taken(tmp_path):
    for epoch in (8, 9, 10):
        checkpoints.save(tmp_path, "run", epoch, state(epoch))
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "epoch-000009.pt",
        "epoch-000010.pt",
    ]
    found = checkpoints.latest(tmp_path, "run")
    assert found["epoch"] == 10 and found["history"] == [{"epoch": 10}]
    assert found["model"]["weight"].tolist() == [10.0] * 3


@pytest.mark.parametrize("damage", ["cut", "scrambled", "empty", "other", "pickle"])
def test_a_damaged_checkpoint_is_skipped_for_the_one_before(tmp_path, damage, capsys):
    for epoch in (1, 2):
        checkpoints.save(tmp_path, "run", epoch, state(epoch))
    newest = tmp_path / "epoch-000002.pt"
    content = newest.read_bytes()
    if damage == "cut":
        newest.write_bytes(content[: len(content) // 2])
    elif damage == "scrambled":
        newest.write_bytes(bytes(len(content)))
    elif damage == "empty":
        newest.write_bytes(b"")
    elif damage == "other":
        torch.save([1, 2], newest)
    else:
        torch.save({"fingerprint": "run", "epoch": 2, "path": tmp_path}, newest)
    assert checkpoints.latest(tmp_path, "run")["epoch"] == 1
    assert "epoch-000002.pt is damaged" in capsys.readouterr().err
    assert not newest.exists()


def test_checkpoints_of_another_run_are_not_taken_and_displace_nothing(tmp_path):
    for epoch in (50, 60):
        checkpoints.save(tmp_path, "another", epoch, state(epoch))
    (tmp_path / ".abc-epoch-000070.pt").touch()
    assert checkpoints.latest(tmp_path, "run") is None
    checkpoints.save(tmp_path, "run", 1, state(1))
    checkpoints.save(tmp_path, "run", 2, state(2))
    assert [path.name for path in sorted(tmp_path.iterdir())] == [
        "epoch-000001.pt",
        "epoch-000002.pt",
    ]


def test_no_checkpoint_is_no_error(tmp_path):
    assert checkpoints.latest(tmp_path / "none", "run") is None


def test_fingerprint_follows_settings_tables_volumes_and_text_encoder(
    make_run, tmp_path, cohort, text_encoder
):
    import shutil

    import numpy as np

    from simcrop.formats.volumes import VolumeWriter

    shutil.copytree(cohort, tmp_path / "cohort")
    shutil.copytree(text_encoder, tmp_path / "text")
    run = make_run("sentence_alignment").model_copy(
        update={
            "cases": str(tmp_path / "cohort/cases.csv"),
            "sentences": str(tmp_path / "cohort/sentences.csv"),
            "volumes": [str(tmp_path / "cohort/volumes.zip")],
            "text_encoder": str(tmp_path / "text"),
        }
    )
    seen = {checkpoints.fingerprint(run)}
    assert checkpoints.fingerprint(run) in seen
    seen.add(checkpoints.fingerprint(run.model_copy(update={"seed": 99})))
    for name in ("cohort/cases.csv", "cohort/sentences.csv", "text/model.safetensors"):
        with (tmp_path / name).open("ab") as file:
            file.write(b" ")
        seen.add(checkpoints.fingerprint(run))
    with VolumeWriter(tmp_path / "cohort/volumes.zip") as store:
        store.add("c0", np.zeros((4, 4, 4), np.int16), np.eye(4))
    seen.add(checkpoints.fingerprint(run))
    assert len(seen) == 6
