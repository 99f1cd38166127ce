import pytest
import torch

from simcrop.models.unetr import UNETR, skip_blocks, strides
from simcrop.models.vit import ViT


@pytest.mark.parametrize(
    ("patch", "volume"),
    [
        ((8, 8, 4), (16, 24, 8)),
        ((16, 16, 8), (32, 16, 16)),
        ((4, 2, 1), (8, 8, 3)),
        ((2, 2, 2), (4, 4, 4)),
    ],
)
def test_the_output_has_the_shape_of_the_volume(patch, volume):
    net = UNETR(ViT((2 * patch[0], patch[1], patch[2]), patch, 12, 3, 2), classes=3, features=2)
    assert net(torch.randn(2, 1, *volume)).shape == (2, 3, *volume)


def test_every_stage_doubles_and_together_they_undo_the_patch():
    assert strides((16, 16, 8)) == [(2, 2, 2), (2, 2, 2), (2, 2, 2), (2, 2, 1)]
    for patch in ((8, 8, 4), (16, 4, 1), (2, 8, 8)):
        total = torch.tensor(strides(patch)).prod(dim=0).tolist()
        assert total == list(patch)


@pytest.mark.parametrize("patch", [(12, 12, 8), (1, 1, 1)])
def test_a_patch_that_cannot_be_doubled_up_to_is_refused(patch):
    with pytest.raises(ValueError, match="UNETR needs"):
        strides(patch)


def test_skip_features_come_from_the_published_blocks():
    assert skip_blocks(12, 4) == [4, 7, 10]
    assert skip_blocks(4, 3) == [2, 3]
    for depth in range(1, 26):
        assert all(1 <= block <= depth for block in skip_blocks(depth, 4))


def test_every_weight_of_the_network_gets_a_gradient():
    net = UNETR(ViT((16, 16, 8), (8, 8, 4), 12, 4, 2), classes=3, features=2)
    torch.nn.init.normal_(net.encoder.cls_token)
    net(torch.randn(2, 1, 16, 16, 8)).square().sum().backward()
    without = [name for name, p in net.named_parameters() if p.grad is None or not p.grad.any()]
    assert without == []


def test_each_skip_meets_the_tokens_of_its_own_place():
    torch.manual_seed(0)
    encoder = ViT((16, 16, 8), (8, 8, 4), 12, 3, 2)
    net = UNETR(encoder, classes=2, features=2).eval()
    seen = []
    net.skips[0].register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    volume = torch.randn(1, 1, 16, 16, 8)
    net(volume)
    tokens = encoder.hidden(volume, [3])[0]
    deep = encoder.hidden(volume, [net.taken[0]])[0]
    assert net.taken == [3, 2, 3] and torch.equal(tokens, deep)
    x, y, z = 1, 0, 1
    torch.testing.assert_close(seen[0][0, :, x, y, z], deep[0, (x * 2 + y) * 2 + z])
