"""The reading that benchmarks/step.py measures against computes what the suite does."""

import importlib.util

import pytest
import torch

from simcrop.models.patches import take
from simcrop.models.pretrainer import Pretrainer

ENCODER = {"volume": (8, 8, 4), "patch": (4, 4, 2), "width": 12, "depth": 2, "heads": 2}
OBJECTIVES = {
    "image_reconstruction": {"width": 8, "depth": 1, "heads": 2},
    "report_reconstruction": {
        "fusion": "cross_granularity",
        "depth": 2,
        "heads": 2,
        "feed_forward": 8,
    },
    "sentence_alignment": {"width": 6, "top_k": 2, "temperature": 0.07, "negatives": "volume"},
}


@pytest.fixture
def plain(root):
    spec = importlib.util.spec_from_file_location("plain", root / "benchmarks" / "plain.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_both_give_the_same_features_predictions_scores_and_alignment(plain):
    torch.manual_seed(0)
    model = Pretrainer(ENCODER, OBJECTIVES, 0, text_width=10, vocabulary=9)
    volume, visible = torch.randn(2, 1, 8, 8, 4), torch.tensor([[0, 2, 5], [1, 2, 7]])
    words, mask = torch.randn(2, 5, 10), torch.arange(5) < torch.tensor([[5], [3]])

    tokens = model.encoder(volume, visible)
    torch.testing.assert_close(plain.encode(model, volume, visible), tokens)

    rebuilt, target = plain.reconstruct(model, tokens, volume, visible)
    part = model.image_reconstruction
    masked = torch.tensor([[1, 3, 4, 6, 7], [0, 3, 4, 5, 6]])
    torch.testing.assert_close(take(rebuilt, masked), part.predict(tokens, visible))
    error = (take(rebuilt, masked) - take(target, masked)).square().mean()
    torch.testing.assert_close(error, part(tokens, visible, volume))

    scores = plain.decode(model, tokens[:, 1:], words, mask)
    targets = torch.randint(9, (2, 5))
    expected = torch.nn.functional.cross_entropy(scores[mask], targets[mask])
    part = model.report_reconstruction
    torch.testing.assert_close(part(tokens[:, 1:], words, mask, mask, targets), expected)

    batch = {"sentence_mask": torch.ones(3, 4, dtype=torch.bool), "owner": torch.tensor([0, 0, 1])}
    spoken = torch.randn(3, 4, 10)
    expected = plain.align(model, tokens[:, 1:], spoken, batch)
    part = model.sentence_alignment
    got = part(tokens[:, 1:], spoken, batch["sentence_mask"], torch.arange(3), batch["owner"])
    torch.testing.assert_close(got, expected)
