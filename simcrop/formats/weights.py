"""Trained weights: safetensors, with the settings that made them in the file's metadata."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from simcrop import files
from simcrop.errors import InputError

if TYPE_CHECKING:
    import torch


def save(path: str | Path, state: "dict[str, torch.Tensor]", settings: dict[str, Any]) -> None:
    """Write a module's `state_dict()` and the JSON-able settings that rebuild it."""
    import torch
    from safetensors.torch import save as serialised

    # Cloned, since safetensors refuses tensors that share memory, as tied weights do.
    state = {
        name: tensor.detach().cpu().clone(memory_format=torch.contiguous_format)
        for name, tensor in state.items()
    }
    with files.whole(path) as temporary:
        # Written by Python, whose error tells a full disk from others.
        metadata = {"settings": json.dumps(settings, sort_keys=True)}
        temporary.write_bytes(serialised(state, metadata=metadata))


def load(path: str | Path) -> "tuple[dict[str, torch.Tensor], dict[str, Any]]":
    """Read what `save` wrote: the state and its settings.

    Raises:
        InputError: the file is no whole safetensors file or holds no settings.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, FileNotFoundError) as error:
        raise InputError(f"{path}: no readable weights ({error}); make them anew") from error
    if "settings" not in metadata:
        raise InputError(f"{path}: holds no settings; it was not written by this suite")
    return state, json.loads(metadata["settings"])
