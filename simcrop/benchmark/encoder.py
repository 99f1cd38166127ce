"""A trained encoder as the benchmarks use it: read from its weights, and frozen."""

from pathlib import Path
from typing import Any, TypeVar

import torch

from simcrop.errors import InputError
from simcrop.formats import weights
from simcrop.models.alignment import SentenceAlignment
from simcrop.models.contrast import GlobalContrast
from simcrop.models.vit import ViT

Part = TypeVar("Part", SentenceAlignment, GlobalContrast)


def device() -> torch.device:
    """The accelerator if there is one."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def load_encoder(path: str | Path) -> tuple[ViT, dict[str, Any]]:
    """The frozen encoder of a weights file, in eval mode, and the arguments of its `ViT`."""
    state, settings = weights.load(path)
    encoder = ViT(**settings["encoder"])
    encoder.load_state_dict(_part(state, "encoder."))
    return encoder.eval().requires_grad_(False).to(device()), settings["encoder"]


def load_alignment(path: str | Path, text_width: int) -> SentenceAlignment:
    """The frozen heads that put patches and words into one space.

    Raises:
        InputError: the method was trained without sentence alignment.
    """
    heads = _objective(path, SentenceAlignment, "sentence_alignment", text_width)
    if heads is None:
        raise InputError(
            f"{path}: trained without sentence_alignment, so its patches cannot be compared with "
            "sentences; use a method that has this objective"
        )
    return heads


def load_matching(path: str | Path, text_width: int) -> SentenceAlignment | GlobalContrast:
    """The frozen heads that score texts against volumes, those of sentence alignment first.

    Raises:
        InputError: the method was trained without sentence alignment and global contrast.
    """
    heads = _objective(path, SentenceAlignment, "sentence_alignment", text_width)
    heads = heads or _objective(path, GlobalContrast, "global_contrast", text_width)
    if heads is None:
        raise InputError(
            f"{path}: trained with neither sentence_alignment nor global_contrast, so its volumes "
            "cannot be compared with texts; use a method that has one of them"
        )
    return heads


def _objective(path: str | Path, kind: type[Part], name: str, text_width: int) -> Part | None:
    state, settings = weights.load(path)
    arguments = settings["method"]["objectives"].get(name)
    if arguments is None:
        return None
    arguments = {key: value for key, value in arguments.items() if key != "weight"}
    heads = kind(settings["encoder"]["width"], text_width, **arguments)
    heads.load_state_dict(_part(state, f"{name}."))
    return heads.eval().requires_grad_(False).to(device())


def _part(state: dict[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    return {
        name.removeprefix(prefix): tensor
        for name, tensor in state.items()
        if name.startswith(prefix)
    }
