"""The frozen text encoder: a BERT and its tokenizer, in transformers' layout or on the hub."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from simcrop.errors import InputError

if TYPE_CHECKING:
    import torch
    from transformers import BertModel, PreTrainedTokenizerFast


def load(
    path: str | Path, revision: str | None = None
) -> "tuple[PreTrainedTokenizerFast, BertModel]":
    """Load a BERT for inference; no code of its repository is run and nothing is unpickled.

    Args:
        path: a folder in transformers' layout, or a hub id such as
            "microsoft/BiomedVLP-CXR-BERT-specialized".
        revision: commit of the hub repository.

    Raises:
        InputError: it cannot be found, or is no BERT.
    """
    quiet()
    from transformers import BertModel, BertTokenizerFast

    try:
        tokenizer = BertTokenizerFast.from_pretrained(path, revision=revision)
        model, report = BertModel.from_pretrained(
            path,
            revision=revision,
            add_pooling_layer=False,
            weights_only=True,
            output_loading_info=True,
        )
    except (OSError, ValueError, RuntimeError) as error:
        raise InputError(
            f"{path}: no text encoder can be loaded from there ({_first_line(error)}); give a "
            "folder with config.json, model.safetensors and a tokenizer, or a hub id that this "
            "machine can reach"
        ) from error
    if report["missing_keys"]:
        raise InputError(
            f"{path}: is no BERT, weights such as {min(report['missing_keys'])} are missing; "
            "give a model of type bert"
        )
    return tokenizer, model.eval().requires_grad_(False)


def encode(
    tokenizer: "PreTrainedTokenizerFast",
    model: "BertModel",
    texts: Sequence[str],
    max_words: int = 512,
) -> "tuple[torch.Tensor, torch.Tensor]":
    """The frozen features of every word of every text, its special tokens included.

    Args:
        texts: S of them.
        max_words: tokens at which a text is cut, its special tokens included.

    Returns:
        (S, T, width) on the model's device, and the (S, T) bool mask, false at padding.
    """
    import torch

    limit = min(max_words, model.config.max_position_embeddings)
    tokens = tokenizer(
        list(texts), truncation=True, max_length=limit, padding=True, return_tensors="pt"
    ).to(model.device)
    with torch.no_grad():
        words = model(tokens["input_ids"], tokens["attention_mask"]).last_hidden_state
    return words, tokens["attention_mask"].bool()


def quiet() -> None:
    """Keep what transformers says of its own workings out of the log."""
    import transformers

    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
