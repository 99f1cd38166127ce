"""Weights come back with the settings that made them, and nothing is unpickled."""

import pickle

import pytest
import torch
from safetensors.torch import save_file

from simcrop.errors import InputError
from simcrop.formats import weights

SETTINGS = {"width": 8, "spacing": [1.5, 1.5, 3.0], "name": "ü", "none": None}


def test_what_is_saved_is_loaded(tmp_path):
    state = torch.nn.Linear(3, 2).state_dict() | {"scale": torch.tensor(2.5)}
    weights.save(tmp_path / "w.safetensors", state, SETTINGS)
    loaded, settings = weights.load(tmp_path / "w.safetensors")
    assert settings == SETTINGS
    assert loaded.keys() == state.keys()
    assert all(torch.equal(loaded[name], state[name]) for name in state)


def test_tied_and_transposed_weights_are_saved_each_under_its_name(tmp_path):
    matrix = torch.arange(6.0).reshape(2, 3)
    weights.save(tmp_path / "w.safetensors", {"a": matrix, "b": matrix, "c": matrix.T}, {})
    loaded, _ = weights.load(tmp_path / "w.safetensors")
    assert torch.equal(loaded["a"], matrix)
    assert torch.equal(loaded["b"], matrix)
    assert torch.equal(loaded["c"], matrix.T)


def test_equal_weights_give_equal_bytes(tmp_path):
    for name in ("1", "2"):
        weights.save(tmp_path / name, {"b": torch.ones(3), "a": torch.zeros(2)}, SETTINGS)
    assert (tmp_path / "1").read_bytes() == (tmp_path / "2").read_bytes()


class Trap:
    def __reduce__(self):
        return pytest.fail, ("the file was unpickled",)


def test_what_is_no_safetensors_file_is_refused_unopened(tmp_path):
    path = tmp_path / "w.safetensors"
    path.write_bytes(pickle.dumps(Trap()))
    with pytest.raises(InputError, match=r"w\.safetensors: no readable weights"):
        weights.load(path)


def test_a_missing_or_cut_file_is_refused_by_name(tmp_path):
    path = tmp_path / "w.safetensors"
    with pytest.raises(InputError, match=r"w\.safetensors: no readable weights"):
        weights.load(path)
    weights.save(path, {"a": torch.ones(100)}, SETTINGS)
    path.write_bytes(path.read_bytes()[:-8])
    with pytest.raises(InputError, match=r"w\.safetensors: no readable weights"):
        weights.load(path)


def test_weights_without_settings_are_refused(tmp_path):
    save_file({"a": torch.ones(1)}, tmp_path / "w.safetensors")
    with pytest.raises(InputError, match="holds no settings"):
        weights.load(tmp_path / "w.safetensors")
