"""What all tests share: the miniature's configuration and the folder of real data."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="session")
def root() -> Path:
    """The repository's folder."""
    return ROOT


@pytest.fixture
def raw_config() -> dict[str, Any]:
    """The miniature's configuration as Snakemake hands it over: methods.yaml under config.yaml."""
    merged: dict[str, Any] = {}
    for name in ("methods.yaml", "config.yaml"):
        _lay_over(merged, yaml.safe_load((ROOT / "config" / name).read_text()))
    return merged


@pytest.fixture(scope="session")
def lay_over() -> Callable[[dict[str, Any], dict[str, Any]], None]:
    """Lays one configuration over another in place, as `--configfile` does."""
    return _lay_over


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Real CTs and reports, which are no part of the repository."""
    folder = ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("no real data at ../shared/data")
    return folder


def _lay_over(under: dict[str, Any], over: dict[str, Any]) -> None:
    for key, value in over.items():
        if isinstance(value, dict) and isinstance(under.get(key), dict):
            _lay_over(under[key], value)
        else:
            under[key] = value


@pytest.fixture(scope="session")
def text_encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An untrained BERT of width 8 with a handful of words, in transformers' layout."""
    import torch
    from transformers import BertConfig, BertModel, BertTokenizerFast

    folder = tmp_path_factory.mktemp("text-encoder")
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "nodule", "opacity", "no", "seen", "."]
    vocabulary = {word: number for number, word in enumerate(words)}
    BertTokenizerFast(vocab=vocabulary, do_lower_case=True).save_pretrained(folder)
    config = BertConfig(
        vocab_size=len(words),
        hidden_size=8,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=8,
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        BertModel(config, add_pooling_layer=False).save_pretrained(folder)
    return folder
