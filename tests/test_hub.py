import json
import os
import subprocess
import sys

import huggingface_hub
import nibabel
import numpy as np
import pytest
import torch
import yaml
from huggingface_hub.errors import HFValidationError
from local_host import LocalHost

from simcrop import hub
from simcrop.errors import InputError
from simcrop.formats import weights
from simcrop.inference import Encoder
from simcrop.models.pretrainer import Pretrainer

ENCODER = {"volume": [8, 8, 4], "patch": [4, 4, 2], "width": 12, "depth": 1, "heads": 2}
SETTINGS = {
    "encoder": ENCODER,
    "spacing": [2, 2, 4],
    "method": {"title": "Tiny", "objectives": {}},
}


@pytest.fixture
def trained(tmp_path):
    """Weights and the folder of their text encoder."""
    (tmp_path / "text").mkdir()
    (tmp_path / "text" / "config.json").write_text("{}")
    model = Pretrainer(ENCODER, {}, seed=0)
    settings = SETTINGS | {"text_encoder": str(tmp_path / "text")}
    weights.save(tmp_path / "weights.safetensors", model.state_dict(), settings)
    return tmp_path / "weights.safetensors"


def test_what_is_laid_out_is_taken_back_the_same(trained, tmp_path):
    hub.export(trained, tmp_path / "repository")
    repository = tmp_path / "repository"
    state, settings = weights.load(repository / "model.safetensors")
    expected, _ = weights.load(trained)
    assert all(torch.equal(value, expected[key]) for key, value in state.items())
    assert json.loads((repository / "config.json").read_text()) == settings
    assert (repository / "text_encoder" / "config.json").is_file()
    _, head, body = (repository / "README.md").read_text().split("---\n", 2)
    assert yaml.safe_load(head)["library_name"] == "simcrop"
    assert yaml.safe_load(body.split("```yaml\n")[1].split("```")[0]) == settings
    (tmp_path / "text").rename(tmp_path / "gone")
    encoder = Encoder.from_pretrained(repository)
    assert encoder.spacing == (2, 2, 4)
    rng = np.random.default_rng(0)
    hu = rng.integers(-1000, 1000, (8, 8, 4)).astype(np.int16)
    nibabel.save(nibabel.Nifti1Image(hu, np.diag([2.0, 2, 4, 1])), tmp_path / "ct.nii.gz")
    np.testing.assert_array_equal(
        encoder.embed(tmp_path / "ct.nii.gz"), Encoder(trained).embed(tmp_path / "ct.nii.gz")
    )


FETCHED = """
import sys
import numpy as np
from simcrop.inference import Encoder
np.save(sys.argv[2], Encoder.from_pretrained("me/tiny").embed(sys.argv[1]))
"""


def test_what_is_pushed_to_a_server_of_the_hubs_protocol_is_what_is_fetched(trained, tmp_path):
    hu = np.random.default_rng(0).integers(-1000, 1000, (8, 8, 4)).astype(np.int16)
    scan = tmp_path / "ct.nii.gz"
    nibabel.save(nibabel.Nifti1Image(hu, np.diag([2.0, 2, 4, 1])), scan)
    with LocalHost(tokens={"push": "Bearer hf_right"}) as host:
        # The client reads its endpoint when it is imported.
        environment = {**os.environ, "HF_ENDPOINT": host.url, "HF_HOME": str(tmp_path / "home")}
        # The server has LFS, and not the storage behind it.
        environment["HF_HUB_DISABLE_XET"] = "1"

        def called(*arguments, token="hf_right"):
            return subprocess.run(
                [sys.executable, *map(str, arguments)],
                env=environment | {"HF_TOKEN": token},
                capture_output=True,
                text=True,
            )

        refused = called("-m", "simcrop.cli", "push", trained, "me/tiny", token="hf_wrong")
        assert refused.returncode == 1
        assert "me/tiny: the hub did not take it" in refused.stderr
        assert "hf_wrong" not in refused.stderr
        pushed = called("-m", "simcrop.cli", "push", trained, "me/tiny")
        assert pushed.stdout == f"{host.url}/me/tiny\n", pushed.stderr
        names = {"README.md", "config.json", "model.safetensors", "text_encoder/config.json"}
        assert names <= set(host.repositories["me/tiny"])
        assert host.repositories["me/tiny"]["model.safetensors"] == trained.read_bytes()
        fetched = called("-c", FETCHED, scan, tmp_path / "vector.npy")
        assert fetched.returncode == 0, fetched.stderr
    np.testing.assert_array_equal(np.load(tmp_path / "vector.npy"), Encoder(trained).embed(scan))


def test_a_hub_that_cannot_be_reached_is_told(trained, tmp_path):
    environment = {**os.environ, "HF_ENDPOINT": "http://127.0.0.1:9", "HF_TOKEN": "hf_secret"}
    done = subprocess.run(
        [sys.executable, "-m", "simcrop.cli", "push", trained, "me/tiny"],
        env=environment | {"HF_HOME": str(tmp_path / "home")},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert done.stderr.startswith("simcrop: me/tiny: the hub did not take it (")
    assert "hf_secret" not in done.stderr


def test_a_missing_text_encoder_is_named_before_anything_is_written(trained, tmp_path):
    (tmp_path / "text").rename(tmp_path / "gone")
    with pytest.raises(InputError, match="text: no such folder"):
        hub.export(trained, tmp_path / "repository")
    assert not (tmp_path / "repository").exists()


def test_a_folder_without_weights_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"holds no model\.safetensors"):
        Encoder.from_pretrained(tmp_path)


def test_a_repository_that_cannot_be_reached_is_named(monkeypatch):
    def refused(*arguments, **options):
        raise HFValidationError("no such name")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", refused)
    with pytest.raises(InputError, match="me/none: neither a folder here nor a repository"):
        Encoder.from_pretrained("me/none")


START = """
import sys
from simcrop import hub
from simcrop.errors import InputError
for place in sys.argv[1:]:
    try:
        print(hub.weights_file(place).resolve().read_bytes().hex())
    except InputError as error:
        print(error)
"""


def test_a_method_starts_from_the_file_of_weights_that_a_repository_holds(tmp_path):
    here = tmp_path / "here.pth"
    here.write_bytes(b"\x03")
    with LocalHost() as host:
        host.repositories["me/ours"] = {"model.safetensors": b"\x01", "other.bin": b"\x09"}
        host.repositories["lab/theirs"] = {"README.md": b"#", "vit/encoder.pth": b"\x02"}
        host.repositories["lab/many"] = {"a.pth": b"\x07", "b.pth": b"\x08"}
        environment = {**os.environ, "HF_ENDPOINT": host.url, "HF_HOME": str(tmp_path / "home")}
        environment |= {"HF_HUB_DISABLE_XET": "1"}
        places = ("me/ours", "lab/theirs", str(here), "lab/many", "lab/none")
        done = subprocess.run(
            [sys.executable, "-c", START, *places], env=environment, capture_output=True, text=True
        )
    environment["HF_HUB_OFFLINE"] = "1"
    unreached = subprocess.run(
        [sys.executable, "-c", START, *places], env=environment, capture_output=True, text=True
    )
    assert unreached.stdout.splitlines()[:3] == ["01", "02", "03"]  # as they were fetched before
    assert "lab/none: no repository of the hub that can be reached" in unreached.stdout
    assert unreached.stderr == ""
    ours, theirs, local, many, none = done.stdout.splitlines()
    assert (ours, theirs, local) == ("01", "02", "03")
    assert "lab/many: holds no model.safetensors" in many
    assert "found: a.pth, b.pth" in many
    assert "lab/none: no repository of the hub that can be reached" in none


@pytest.mark.parametrize(
    ("place", "expected"),
    [
        ("owner/name", True),
        ("owner/name@v1.0", True),
        ("data/simcrop.pth", False),
        ("data/model.safetensors", False),
        ("simcrop.pth", False),
        ("/data/name", False),
        ("../data/name", False),
        ("results/pretrain/ct-rate", False),
    ],
)
def test_a_repository_is_told_from_a_file_by_its_name(place, expected):
    assert hub.is_repository(place) is expected
