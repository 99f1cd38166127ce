"""Encoders trained elsewhere, in the layout of timm's vision transformers, as weights of `ViT`.

2D files (MAE on ImageNet) give their blocks, norm and class token: their patches and positions are
of another kind. 3D files, a Conv3d as patch embedding, give everything.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from simcrop.errors import InputError
from simcrop.formats import weights
from simcrop.sections import Vit

if TYPE_CHECKING:
    from torch import Tensor

# What a whole masked autoencoder holds besides its encoder.
_DECODER = ("decoder_", "mask_token")


def read(path: str | Path, encoder: Vit) -> "tuple[dict[str, Tensor], Vit]":
    """The part of `ViT`'s state that a file has, and the settings of the encoder it belongs to.

    Args:
        path: .safetensors, or a file of torch.save with tensors alone, under the key "model" or
            at its top; or weights.safetensors of this suite.
        encoder: what the file must fit. Of a 3D file without norm the settings come back with
            `norm` off, of one with positions with `positions: stored`, which are interpolated
            where its grid is another; then a grid of equal edges is taken to be a cube.

    Returns:
        The state, without patch embedding where the file is 2D, and the settings.

    Raises:
        InputError: the file cannot be read without running code from it, a key is missing or
            unexpected, or a shape differs.
    """
    state = _tensors(Path(path))
    if any(key.startswith("encoder.") for key in state):
        state, settings = weights.load(path)
        stored = Vit(**settings["encoder"])
        own = {k.removeprefix("encoder."): v for k, v in state.items() if k.startswith("encoder.")}
        for key in ("patch", "heads"):
            there, here = getattr(stored, key), getattr(encoder, key)
            if there != here:
                raise InputError(f"{path}: its encoder's {key} is {there}, not {here}")
        encoder = encoder.model_copy(update={"norm": stored.norm, "positions": stored.positions})
        _check(path, own, encoder)
        return own, encoder
    state = {key: value for key, value in state.items() if not key.startswith(_DECODER)}
    patches, places = state.get("patch_embed.proj.weight"), state.pop("pos_embed", None)
    if patches is None or patches.ndim not in (4, 5):
        raise InputError(
            f"{path}: has no patch_embed.proj.weight of a convolution; give a ViT in timm's layout"
        )
    if places is not None and "cls_token" in state:
        dimensions = patches.ndim - 2
        if not _grid(places.shape[1], dimensions, encoder):
            state["cls_token"] = state["cls_token"] + places[:, :1]
            places = places[:, 1:]
    if patches.ndim == 4:
        del state["patch_embed.proj.weight"]
        state.pop("patch_embed.proj.bias", None)
        _check(path, state, encoder, without="patch_embed.")
        return state, encoder
    if tuple(patches.shape[1:]) != (1, *encoder.patch):
        raise InputError(
            f"{path}: patch_embed.proj.weight is {tuple(patches.shape)}, the encoder's is "
            f"{(encoder.width, 1, *encoder.patch)}; set pretrain.encoder.patch and width to match"
        )
    state["patch_embed.proj.weight"] = patches.flatten(1)
    if places is None:
        raise InputError(f"{path}: has no pos_embed; give a ViT in timm's layout")
    state["positions"] = _on_grid(path, places, encoder)
    encoder = encoder.model_copy(update={"norm": "norm.weight" in state, "positions": "stored"})
    _check(path, state, encoder)
    return state, encoder


def _tensors(path: Path) -> "dict[str, Tensor]":
    import pickle

    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        held = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, SafetensorError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
        raise InputError(
            f"{path}: no weights can be read from it as plain tensors "
            f"({type(error).__name__}); give a .safetensors file, or torch.save its state_dict"
        ) from error
    held = held.get("model", held) if isinstance(held, dict) else held
    if not isinstance(held, dict) or not all(isinstance(v, torch.Tensor) for v in held.values()):
        raise InputError(f"{path}: holds no state_dict, neither at its top nor under 'model'")
    return dict(held)


def _on_grid(path: str | Path, places: "Tensor", encoder: Vit) -> "Tensor":
    """(1, M, width) on the encoder's grid: (N, width)."""
    from simcrop.models.positions import interpolated

    count, wanted = places.shape[1], encoder.grid
    grid = _grid(count, 3, encoder)
    if grid is None:
        raise InputError(
            f"{path}: pos_embed has {count} patches, which is neither a cube nor the encoder's "
            f"{encoder.tokens} ({' x '.join(map(str, wanted))}); set pretrain.encoder.volume to "
            "the size that the file was trained with"
        )
    return places[0] if grid == wanted else interpolated(places[0], grid, wanted)


def _grid(count: int, dimensions: int, encoder: Vit) -> tuple[int, ...] | None:
    """The grid that so many patches make up: the encoder's, or one of equal edges, or none."""
    if dimensions == 3 and count == encoder.tokens:
        return encoder.grid
    edge = round(count ** (1 / dimensions))
    return (edge,) * dimensions if edge**dimensions == count else None


def _check(path: str | Path, state: "dict[str, Tensor]", encoder: Vit, without: str = "-") -> None:
    """Raise InputError where the keys or shapes of `state` are not those of the encoder."""
    import torch

    from simcrop.models.vit import ViT

    with torch.device("meta"):
        expected = ViT(**encoder.model_dump()).state_dict()
    expected = {k: v.shape for k, v in expected.items() if not k.startswith(without)}
    faults = [f"{key} is missing" for key in expected if key not in state]
    faults += [f"{key} is unexpected" for key in state if key not in expected]
    faults += [
        f"{key} is {tuple(state[key].shape)}, not {tuple(shape)}"
        for key, shape in expected.items()
        if key in state and state[key].shape != shape
    ]
    if faults:
        more = f" and {len(faults) - 5} more" if len(faults) > 5 else ""
        raise InputError(
            f"{path} does not fit pretrain.encoder (width {encoder.width}, depth {encoder.depth}): "
            + "; ".join(faults[:5])
            + more
        )
