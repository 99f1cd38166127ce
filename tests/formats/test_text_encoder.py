import json

import pytest
import torch

from simcrop.errors import InputError
from simcrop.formats import text_encoder

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "right", "left", "lung", "nodule"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A masked language model as the hub holds them: prefixed weights, heads, a vocabulary."""
    from transformers import BertConfig, BertForMaskedLM

    text_encoder.quiet()
    folder = tmp_path_factory.mktemp("bert")
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(WORDS),
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=8,
    )
    BertForMaskedLM(config).save_pretrained(folder)
    (folder / "vocab.txt").write_text("\n".join(WORDS) + "\n")
    return folder


def test_the_encoder_is_frozen_and_without_dropout(folder):
    tokenizer, model = text_encoder.load(folder)
    assert not any(parameter.requires_grad for parameter in model.parameters())
    assert not any(module.training for module in model.modules())
    assert tokenizer("Left lung")["input_ids"] == [2, 6, 7, 3]


def test_padding_changes_no_word_s_features(folder):
    loaded = text_encoder.load(folder)
    alone, whole = text_encoder.encode(*loaded, ["nodule"])
    both, mask = text_encoder.encode(*loaded, ["nodule", "right left lung nodule"])
    assert whole.all() and mask.tolist() == [[True] * 3 + [False] * 3, [True] * 6]
    assert both.shape == (2, 6, 16)
    assert torch.allclose(both[0, :3], alone[0], atol=1e-6)


def test_a_text_is_cut_at_max_words_and_at_what_the_model_can_hold(folder):
    loaded = text_encoder.load(folder)
    long = "lung " * 30
    assert text_encoder.encode(*loaded, [long])[0].shape == (1, 8, 16)
    assert text_encoder.encode(*loaded, [long], max_words=5)[0].shape == (1, 5, 16)


def test_a_bert_under_another_name_is_read_as_one_without_its_code(folder, tmp_path):
    for path in folder.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    config = json.loads((folder / "config.json").read_text())
    config |= {
        "model_type": "cxr-bert",
        "architectures": ["CXRBertModel"],
        "projection_size": 128,
        "auto_map": {"AutoModel": "modeling_cxrbert.CXRBertModel"},
    }
    (tmp_path / "config.json").write_text(json.dumps(config))
    (tmp_path / "modeling_cxrbert.py").write_text("raise RuntimeError('run')")
    expected, _ = text_encoder.encode(*text_encoder.load(folder), ["left lung"])
    got, _ = text_encoder.encode(*text_encoder.load(tmp_path), ["left lung"])
    assert torch.equal(got, expected)


def test_weights_of_something_else_are_refused(folder, tmp_path):
    from safetensors.torch import save_file

    for path in folder.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    save_file({"x": torch.zeros(1)}, tmp_path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(InputError, match="is no BERT"):
        text_encoder.load(tmp_path)


def test_a_missing_folder_is_named_with_the_mend(tmp_path):
    with pytest.raises(InputError, match=r"none: no text encoder .*config\.json"):
        text_encoder.load(tmp_path / "none")
