import pytest
import torch

from simcrop.models.pretrainer import Pretrainer

ENCODER = {"volume": (8, 8, 4), "patch": (4, 4, 2), "width": 12, "depth": 2, "heads": 2}
OBJECTIVES = {
    "image_reconstruction": {"width": 8, "depth": 1, "heads": 2},
    "report_reconstruction": {
        "fusion": "cross_granularity",
        "depth": 1,
        "heads": 2,
        "feed_forward": 8,
    },
    "sentence_alignment": {"width": 6, "top_k": 2, "temperature": 0.07, "negatives": "volume"},
    "global_contrast": {"width": 6, "temperature": 0.07},
}


def pretrainer(*names, seed=0):
    chosen = {name: OBJECTIVES[name] for name in names}
    return Pretrainer(ENCODER, chosen, seed, text_width=10, vocabulary=9)


@pytest.fixture
def batch():
    generator = torch.Generator().manual_seed(0)

    def normal(*shape):
        return torch.randn(*shape, generator=generator)

    hidden = torch.tensor([[False, True, True], [True, False, False]])
    return {
        "volume": normal(2, 1, 8, 8, 4),
        "visible": torch.tensor([[0, 2, 5], [1, 2, 7]]),
        "report_words": normal(2, 3, 10),
        "report_mask": torch.ones(2, 3, dtype=torch.bool),
        "report_hidden": hidden,
        "report_targets": torch.tensor([[1, 2, 3], [4, 5, 6]]),
        "sentence_words": normal(3, 4, 10),
        "sentence_mask": torch.ones(3, 4, dtype=torch.bool),
        "sentence": torch.tensor([0, 1, 2]),
        "owner": torch.tensor([0, 0, 1]),
        "reports": normal(2, 10),
        "identity": torch.tensor([0, 1]),
    }


@pytest.mark.parametrize("name", OBJECTIVES)
def test_each_loss_reaches_the_whole_image_encoder_and_its_own_module(batch, name):
    model = pretrainer(name)
    losses = model(batch)
    assert list(losses) == [name]
    losses[name].backward()
    still = {key for key, p in model.named_parameters() if p.grad is None or not p.grad.any()}
    # A constant added to all keys of an attention leaves its weights as they are.
    assert not {key for key in still if "in_proj_bias" not in key}


@pytest.mark.parametrize("name", [name for name in OBJECTIVES if name != "image_reconstruction"])
def test_objectives_on_text_see_the_visible_patches_only(batch, name):
    model = pretrainer(name)
    before = model(batch)[name]
    volume = batch["volume"].clone()
    volume[0, 0, :4, :4, 2:] += 7  # patch 1, masked in the first volume
    assert torch.equal(model({**batch, "volume": volume})[name], before)
    volume[1, 0, :4, :4, 2:] += 7  # visible in the second
    assert not torch.equal(model({**batch, "volume": volume})[name], before)


def test_names_of_the_weights_begin_with_their_part():
    model = pretrainer(*OBJECTIVES)
    assert {key.split(".")[0] for key in model.state_dict()} == {"encoder", *OBJECTIVES}


def test_parts_start_the_same_whatever_they_are_trained_with():
    torch.manual_seed(5)
    alone = pretrainer()
    torch.manual_seed(6)
    one, all_ = pretrainer("sentence_alignment"), pretrainer(*OBJECTIVES)
    for key, value in one.state_dict().items():
        assert torch.equal(value, all_.state_dict()[key])
    for key, value in alone.state_dict().items():
        assert torch.equal(value, all_.state_dict()[key])
    other = pretrainer(seed=1).state_dict()
    key = "encoder.blocks.0.mlp.fc1.weight"
    assert not torch.equal(alone.state_dict()[key], other[key])


def test_an_unknown_objective_is_refused():
    with pytest.raises(ValueError, match="no objective 'colour'"):
        Pretrainer(ENCODER, {"colour": {}}, 0)
