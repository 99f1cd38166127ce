import json
from typing import ClassVar

import huggingface_hub
import numpy as np
import pytest
import torch
import yaml
from huggingface_hub.errors import HFValidationError

from simcrop import cli, hub
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
    import nibabel as nib

    hu = rng.integers(-1000, 1000, (8, 8, 4)).astype(np.int16)
    nib.save(nib.Nifti1Image(hu, np.diag([2.0, 2, 4, 1])), tmp_path / "ct.nii.gz")
    np.testing.assert_array_equal(
        encoder.embed(tmp_path / "ct.nii.gz"), Encoder(trained).embed(tmp_path / "ct.nii.gz")
    )


class Api:
    """Stands for the hub's client and keeps what was sent."""

    sent: ClassVar[dict[str, set[str]]] = {}

    def create_repo(self, repository, private, exist_ok):
        if "/" not in repository:
            raise HFValidationError("no owner")
        assert private and exist_ok
        return f"https://example.org/{repository}"

    def upload_folder(self, repo_id, folder_path, commit_message):
        from pathlib import Path

        files = [path for path in Path(folder_path).rglob("*") if path.is_file()]
        self.sent[repo_id] = {str(path.relative_to(folder_path)) for path in files}


def test_push_sends_the_whole_layout_and_prints_where_to(trained, monkeypatch, capsys):
    monkeypatch.setattr(huggingface_hub, "HfApi", Api)
    assert cli.main(["push", str(trained), "me/tiny"]) == 0
    assert capsys.readouterr().out == "https://example.org/me/tiny\n"
    names = {"README.md", "config.json", "model.safetensors", "text_encoder/config.json"}
    assert Api.sent["me/tiny"] == names
    assert cli.main(["push", str(trained), "tiny"]) == 1
    assert "tiny: the hub did not take it" in capsys.readouterr().err


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
