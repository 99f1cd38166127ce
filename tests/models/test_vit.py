import pytest
import torch
import torch.nn.functional as F

from simcrop.models.patches import take
from simcrop.models.positions import positions
from simcrop.models.vit import Block, ViT

SHAPE, PATCH = (8, 12, 8), (4, 4, 2)


@pytest.fixture
def vit():
    torch.manual_seed(0)
    model = ViT(SHAPE, PATCH, width=24, depth=3, heads=4).double()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    return model


@pytest.fixture
def volume():
    return torch.randn(2, 1, *SHAPE, dtype=torch.float64)


def naive(vit, volume):
    """The tokens after embedding and after each block, written out from the parameters."""
    p = dict(vit.named_parameters())

    def norm(x, name):
        mean, variance = x.mean(-1, keepdim=True), x.var(-1, unbiased=False, keepdim=True)
        return (x - mean) / (variance + 1e-6).sqrt() * p[f"{name}.weight"] + p[f"{name}.bias"]

    def linear(x, name):
        return x @ p[f"{name}.weight"].T + p[f"{name}.bias"]

    kernel = p["patch_embed.proj.weight"].reshape(24, 1, *PATCH)
    x = F.conv3d(volume, kernel, p["patch_embed.proj.bias"], stride=PATCH).flatten(2).mT
    x = x + positions((2, 3, 4), 24).float().double()
    x = torch.cat([p["cls_token"].expand(len(x), 1, 24), x], dim=1)
    states = [x]
    for n in range(3):
        query, key, value = linear(norm(x, f"blocks.{n}.norm1"), f"blocks.{n}.attn.qkv").split(
            24, dim=-1
        )
        heads = []
        for h in range(4):
            part = slice(6 * h, 6 * h + 6)
            scores = query[..., part] @ key[..., part].mT / 6**0.5
            heads.append(scores.softmax(dim=-1) @ value[..., part])
        x = x + linear(torch.cat(heads, dim=-1), f"blocks.{n}.attn.proj")
        inner = linear(norm(x, f"blocks.{n}.norm2"), f"blocks.{n}.mlp.fc1")
        x = x + linear(0.5 * inner * (1 + torch.erf(inner / 2**0.5)), f"blocks.{n}.mlp.fc2")
        states.append(x)
    return states, norm(x, "norm")


def test_forward_equals_the_transformer_written_out(vit, volume):
    states, final = naive(vit, volume)
    assert torch.allclose(vit(volume), final, atol=1e-9)
    assert torch.allclose(vit.features(volume), final[:, 1:].mean(dim=1), atol=1e-9)
    first, last = vit.hidden(volume, [2, 3])
    assert torch.allclose(first, states[2][:, 1:], atol=1e-9)
    assert torch.allclose(last, final[:, 1:], atol=1e-9)


def test_embedding_visible_patches_alone_equals_conv3d_of_all_then_gather(vit, volume):
    visible = torch.tensor([[0, 5, 23], [1, 2, 11]])
    proj = vit.patch_embed.proj
    everything = F.conv3d(volume, proj.weight.view(24, 1, *PATCH), proj.bias, stride=PATCH)
    expected = take(everything.flatten(2).mT, visible)
    assert torch.allclose(vit.patch_embed(volume, visible), expected, atol=1e-9)


def test_seeing_every_patch_by_number_equals_seeing_all(vit, volume):
    everything = torch.arange(24).expand(2, -1)
    assert torch.allclose(vit(volume, everything), vit(volume), atol=1e-9)


def test_patches_that_are_not_visible_change_nothing(vit, volume):
    visible = torch.tensor([[0, 1, 2, 3]] * 2)  # the first column of patches along z
    changed = volume.clone()
    changed[:, :, 4:] += 100
    assert torch.equal(vit(volume, visible), vit(changed, visible))
    changed[:, :, 0, 0, 0] += 100
    assert not torch.equal(vit(volume, visible), vit(changed, visible))


def test_a_crop_of_another_grid_gets_that_grid_s_positions(vit):
    crop = torch.randn(1, 1, 4, 8, 12, dtype=torch.float64)
    other = ViT((4, 8, 12), PATCH, width=24, depth=3, heads=4).double()
    other.load_state_dict(vit.state_dict())
    assert torch.allclose(vit(crop), other(crop), atol=1e-9)
    assert vit.hidden(crop, [1])[0].shape == (1, 12, 24)


def test_positions_are_no_weights_and_names_are_timm_s(vit):
    names = set(vit.state_dict())
    assert "positions" not in names
    block = ["norm1", "attn.qkv", "attn.proj", "norm2", "mlp.fc1", "mlp.fc2"]
    modules = [f"blocks.{n}.{part}" for n in range(3) for part in block]
    expected = {
        f"{name}.{kind}"
        for name in [*modules, "patch_embed.proj", "norm"]
        for kind in ("weight", "bias")
    }
    assert names == expected | {"cls_token"}


def test_the_paper_s_encoder_has_the_size_of_a_vit_b():
    with torch.device("meta"):
        model = ViT((224, 224, 112), (16, 16, 8), width=768, depth=12, heads=12)
    block = 4 * 768 + (768 + 1) * 3 * 768 + (768 + 1) * 768 + (768 + 1) * 3072 + (3072 + 1) * 768
    expected = (16 * 16 * 8 + 1) * 768 + 768 + 12 * block + 2 * 768
    assert expected == 86_630_400
    assert sum(p.numel() for p in model.parameters()) == expected
    assert model.positions.shape == (2744, 768)
    with torch.device("meta"):
        visible = torch.zeros(2, 686, dtype=torch.long)
        tokens = model(torch.zeros(2, 1, 224, 224, 112), visible)
    assert tokens.shape == (2, 687, 768)


def test_attention_on_a_cpu_stays_in_float32_under_bfloat16(monkeypatch, vit, volume):
    seen = []

    def attention(query, key, value):
        seen.append({query.dtype, key.dtype, value.dtype})
        return fused(query, key, value)

    fused = F.scaled_dot_product_attention
    monkeypatch.setattr(F, "scaled_dot_product_attention", attention)
    with torch.autocast("cpu", torch.bfloat16):
        tokens = vit.float()(volume.float())
    assert seen == [{torch.float32}] * 3
    assert tokens.isfinite().all()


def test_drop_path_skips_whole_branches_and_is_off_in_eval_mode():
    torch.manual_seed(0)
    block = Block(8, 2)
    tokens = torch.randn(64, 3, 8)
    whole = block(tokens)
    block.drop_path = 0.5
    assert torch.equal(block.eval()(tokens), whole)
    block.train()
    attended = block.attn(block.norm1(tokens))
    dropped = block(tokens)
    untouched = (dropped == tokens).all(dim=(1, 2))
    assert 4 <= untouched.sum() <= 28  # a quarter of 64 loses both branches
    block.mlp.fc2.weight.data.zero_()
    block.mlp.fc2.bias.data.zero_()
    changed = block(tokens) - tokens
    kept = changed.abs().amax(dim=(1, 2)) > 0
    assert torch.allclose(changed[kept], 2 * attended[kept], atol=1e-5)
