import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from simcrop.errors import InputError
from simcrop.formats import foreign, weights
from simcrop.models.vit import ViT
from simcrop.sections import Vit

WIDTH, DEPTH, HEADS = 24, 2, 3
ENCODER = Vit(volume=(8, 12, 4), patch=(4, 4, 2), width=WIDTH, depth=DEPTH, heads=HEADS)


def timm(places, patch=(1, 4, 4, 2), norm=True):
    """A state in timm's layout, `places` rows of pos_embed, drawn at random."""
    generator = torch.Generator().manual_seed(0)

    def draw(*shape):
        return torch.randn(shape, generator=generator) * 0.3

    state = {
        "cls_token": draw(1, 1, WIDTH),
        "pos_embed": draw(1, places, WIDTH),
        "patch_embed.proj.weight": draw(WIDTH, *patch),
        "patch_embed.proj.bias": draw(WIDTH),
    }
    for i in range(DEPTH):
        sizes = {"attn.qkv": (3, 1), "attn.proj": (1, 1), "mlp.fc1": (4, 1), "mlp.fc2": (1, 4)}
        for name, (out, inside) in sizes.items():
            state[f"blocks.{i}.{name}.weight"] = draw(out * WIDTH, inside * WIDTH)
            state[f"blocks.{i}.{name}.bias"] = draw(out * WIDTH)
    norms = [f"blocks.{i}.norm{k}" for i in range(DEPTH) for k in (1, 2)] + ["norm"] * norm
    for name in norms:
        state[f"{name}.weight"] = 1 + draw(WIDTH)
        state[f"{name}.bias"] = draw(WIDTH)
    return state


def naive(state, volume):
    """What the file's own network computes: all tokens, (B, 1 + N, width), written out."""

    def norm(x, name):
        x = (x - x.mean(-1, keepdim=True)) / (x.var(-1, correction=0, keepdim=True) + 1e-6).sqrt()
        return x * state[f"{name}.weight"] + state[f"{name}.bias"]

    def linear(x, name):
        return x @ state[f"{name}.weight"].T + state[f"{name}.bias"]

    kernel = state["patch_embed.proj.weight"]
    tokens = torch.nn.functional.conv3d(
        volume, kernel, state["patch_embed.proj.bias"], stride=kernel.shape[2:]
    )
    tokens = tokens.flatten(2).transpose(1, 2)
    place, token = state["pos_embed"], state["cls_token"].expand(len(volume), -1, -1)
    if place.shape[1] > tokens.shape[1]:
        tokens = torch.cat([token, tokens], dim=1) + place
    else:
        tokens = torch.cat([token, tokens + place], dim=1)
    for i in range(DEPTH):
        name = f"blocks.{i}"
        qkv = linear(norm(tokens, f"{name}.norm1"), f"{name}.attn.qkv")
        heads = []
        for h in range(HEADS):
            part = slice(h * WIDTH // HEADS, (h + 1) * WIDTH // HEADS)
            q, k, v = (x[..., part] for x in qkv.split(WIDTH, dim=-1))
            score = q @ k.transpose(1, 2) / (WIDTH // HEADS) ** 0.5
            heads.append(score.softmax(-1) @ v)
        tokens = tokens + linear(torch.cat(heads, -1), f"{name}.attn.proj")
        hidden = linear(norm(tokens, f"{name}.norm2"), f"{name}.mlp.fc1")
        hidden = hidden * 0.5 * (1 + torch.erf(hidden / 2**0.5))
        tokens = tokens + linear(hidden, f"{name}.mlp.fc2")
    return norm(tokens, "norm") if "norm.weight" in state else tokens


def loaded(path, encoder=ENCODER):
    state, settings = foreign.read(path, encoder)
    model = ViT(**settings.model_dump())
    model.load_state_dict(state)
    return model.eval()


@pytest.mark.parametrize("class_row", [True, False])
@pytest.mark.parametrize("norm", [True, False])
@pytest.mark.parametrize("container", ["model", None])
def test_a_3d_file_gives_the_features_of_its_own_network(tmp_path, class_row, norm, container):
    state = timm(places=12 + class_row, norm=norm)
    path = tmp_path / "encoder.pth"
    torch.save({container: state} if container else state, path)
    volume = torch.randn(2, 1, 8, 12, 4, generator=torch.Generator().manual_seed(1))
    expected = naive(state, volume)
    model = loaded(path)
    torch.testing.assert_close(model(volume), expected, atol=1e-5, rtol=0)
    torch.testing.assert_close(
        model.features(volume), expected[:, 1:].mean(dim=1), atol=1e-5, rtol=0
    )


@pytest.mark.parametrize("class_row", [True, False])
def test_positions_of_another_grid_are_interpolated(tmp_path, class_row):
    state = timm(places=8)
    centres = np.array([(x, y, z) for x in (0, 1) for y in (0, 1) for z in (0, 1)], float)
    plane = torch.from_numpy(centres @ [[1.0], [10.0], [100.0]]).float()
    row = torch.zeros(int(class_row), WIDTH)
    state["pos_embed"] = torch.cat([row, plane.expand(-1, WIDTH)])[None]
    save_file(state, tmp_path / "encoder.safetensors")
    got = loaded(tmp_path / "encoder.safetensors").positions[:, 0].reshape(2, 3, 2)
    # Three patches where there were two: the outer ones lie beyond the old centres.
    expected = np.add.outer(np.add.outer([0, 1], [0, 5, 10]), [0, 100])
    np.testing.assert_allclose(got, expected, atol=1e-5)


def test_a_model_with_stored_positions_takes_other_volumes(tmp_path):
    save_file(timm(places=12), tmp_path / "encoder.safetensors")
    model = loaded(tmp_path / "encoder.safetensors")
    assert model(torch.zeros(1, 1, 16, 12, 4)).shape == (1, 1 + 4 * 3 * 2, WIDTH)


def test_a_2d_file_gives_its_blocks_and_leaves_the_patches(tmp_path):
    state = timm(places=5, patch=(3, 16, 16))
    extra = {"mask_token": torch.zeros(1, 1, 8), "decoder_pos_embed": torch.zeros(1, 5, 8)}
    torch.save({"model": {**state, **extra}}, tmp_path / "mae.pth")
    got, settings = foreign.read(tmp_path / "mae.pth", ENCODER)
    assert settings == ENCODER
    missing = set(ViT(**ENCODER.model_dump()).state_dict()) - set(got)
    assert missing == {"patch_embed.proj.weight", "patch_embed.proj.bias"}
    assert torch.equal(got["blocks.1.mlp.fc2.weight"], state["blocks.1.mlp.fc2.weight"])


def test_weights_of_this_suite_are_read_too(tmp_path):
    model = ViT(**ENCODER.model_dump())
    torch.nn.init.normal_(model.patch_embed.proj.weight)
    state = {f"encoder.{key}": value for key, value in model.state_dict().items()}
    state["image_reconstruction.head.weight"] = torch.zeros(2, 2)
    weights.save(tmp_path / "w.safetensors", state, {"encoder": ENCODER.model_dump(mode="json")})
    again = loaded(tmp_path / "w.safetensors")
    assert torch.equal(again.patch_embed.proj.weight, model.patch_embed.proj.weight)


@pytest.mark.parametrize("changed", [{"patch": (2, 4, 4)}, {"heads": 2}])
def test_weights_of_this_suite_are_of_the_patch_and_the_heads_that_are_asked_for(tmp_path, changed):
    state = {f"encoder.{k}": v for k, v in ViT(**ENCODER.model_dump()).state_dict().items()}
    weights.save(tmp_path / "w.safetensors", state, {"encoder": ENCODER.model_dump(mode="json")})
    (key,) = changed
    with pytest.raises(InputError, match=f"its encoder's {key} is"):
        foreign.read(tmp_path / "w.safetensors", ENCODER.model_copy(update=changed))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda s: s.pop("blocks.1.attn.qkv.bias"), "blocks.1.attn.qkv.bias is missing"),
        (lambda s: s.update({"head.weight": torch.zeros(1)}), "head.weight is unexpected"),
        (
            lambda s: s.update({"norm.weight": torch.zeros(7)}),
            r"norm.weight is \(7,\), not \(24,\)",
        ),
        (lambda s: s.update({"pos_embed": torch.zeros(1, 7, WIDTH)}), "pos_embed has 6 patches"),
        (lambda s: s.pop("pos_embed"), "no pos_embed"),
        (lambda s: s.pop("patch_embed.proj.weight"), "no patch_embed.proj.weight"),
        (
            lambda s: s.update({"patch_embed.proj.weight": torch.zeros(WIDTH, 32)}),
            "no patch_embed.proj.weight of a convolution",
        ),
        (
            lambda s: s.update({"patch_embed.proj.weight": torch.zeros(WIDTH, 1, 2, 2, 2)}),
            "pretrain.encoder.patch",
        ),
    ],
)
def test_a_file_that_does_not_fit_names_the_key(tmp_path, change, words):
    state = timm(places=13)
    change(state)
    torch.save({"model": state}, tmp_path / "encoder.pth")
    with pytest.raises(InputError, match=words):
        foreign.read(tmp_path / "encoder.pth", ENCODER)


class Harm:
    def __reduce__(self):
        return (print, ("code was run",))


def test_nothing_is_unpickled(tmp_path, capsys):
    torch.save({"model": timm(places=13), "args": Harm()}, tmp_path / "encoder.pth")
    with pytest.raises(InputError, match=r"encoder\.pth.*plain tensors"):
        foreign.read(tmp_path / "encoder.pth", ENCODER)
    assert capsys.readouterr().out == ""
