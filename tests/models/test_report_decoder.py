"""Fusion and report reconstruction, against their own formulas written out from the parameters."""

import math

import pytest
import torch

from simcrop.models.fusion import Fusion
from simcrop.models.report_decoder import ReportReconstruction

IMAGE, TEXT, HEADS, WORDS = 5, 6, 2, 11
KINDS = ["none", "instance", "word_patch", "cross_granularity"]


def linear(x, p, name):
    return x @ p[f"{name}.weight"].T + p[f"{name}.bias"]


def norm(x, p, name):
    mean, variance = x.mean(-1, keepdim=True), x.var(-1, unbiased=False, keepdim=True)
    return (x - mean) / (variance + 1e-5).sqrt() * p[f"{name}.weight"] + p[f"{name}.bias"]


def gelu(x):
    return 0.5 * x * (1 + torch.erf(x / math.sqrt(2)))


def attention(queries, keys, p, name):
    """Multi-head attention of (L, TEXT) queries over (M, ...) keys, which are their values too."""
    if f"{name}.in_proj_weight" in p:
        weights = p[f"{name}.in_proj_weight"].split(TEXT)
    else:
        weights = [p[f"{name}.{kind}_proj_weight"] for kind in "qkv"]
    biases = p[f"{name}.in_proj_bias"].split(TEXT)
    q, k, v = (x @ w.T + b for x, w, b in zip((queries, keys, keys), weights, biases, strict=True))
    size = TEXT // HEADS
    heads = []
    for head in range(HEADS):
        part = slice(head * size, (head + 1) * size)
        rows = []
        for query in q[:, part]:
            weight = [math.exp(query @ key / math.sqrt(size)) for key in k[:, part]]
            mixed = sum(w * value for w, value in zip(weight, v[:, part], strict=True))
            rows.append(mixed / sum(weight))
        heads.append(torch.stack(rows))
    return linear(torch.cat(heads, dim=1), p, f"{name}.out_proj")


def fused(words, patches, p, kind):
    """The fusion of one report's real words with one volume's patches."""
    words = norm(words + attention(words, words, p, "self_attention"), p, "self_norm")
    image = torch.zeros_like(words)
    if kind in ("word_patch", "cross_granularity"):
        image = image + attention(words, patches, p, "word_patch")
    if kind in ("instance", "cross_granularity"):
        image = image + linear(patches.mean(dim=0), p, "instance")
    if kind != "none":
        words = norm(words + linear(image, p, "output"), p, "output_norm")
    return norm(words + linear(gelu(linear(words, p, "mlp.0")), p, "mlp.2"), p, "mlp_norm")


def layer(words, p, name):
    """One BERT layer."""
    words = norm(words + attention(words, words, p, f"{name}.self_attn"), p, f"{name}.norm1")
    inner = linear(gelu(linear(words, p, f"{name}.linear1")), p, f"{name}.linear2")
    return norm(words + inner, p, f"{name}.norm2")


def normal(module):
    """`module` in double precision with all parameters drawn anew; norms and biases as well."""
    torch.manual_seed(1)
    for parameter in module.parameters():
        torch.nn.init.normal_(parameter, std=0.4)
    return module.double()


def parameters(module, prefix=""):
    return {
        name.removeprefix(prefix): value.detach()
        for name, value in module.named_parameters()
        if name.startswith(prefix)
    }


@pytest.fixture
def batch():
    generator = torch.Generator().manual_seed(0)
    words = torch.randn(2, 4, TEXT, generator=generator, dtype=torch.float64)
    patches = torch.randn(2, 3, IMAGE, generator=generator, dtype=torch.float64)
    mask = torch.tensor([[True] * 4, [True, True, True, False]])
    hidden = torch.tensor([[False, True, True, False], [False, True, False, False]])
    targets = torch.tensor([[0, 3, 10, 1], [0, 7, 1, 2]])
    return patches, words, mask, hidden, targets


@pytest.mark.parametrize("kind", KINDS)
def test_fusion_equals_its_formula(batch, kind):
    patches, words, mask, *_ = batch
    fusion = normal(Fusion(IMAGE, TEXT, HEADS, 9, kind))
    result = fusion(words, mask, patches)
    for row, length in enumerate((4, 3)):
        expected = fused(words[row, :length], patches[row], parameters(fusion), kind)
        assert torch.allclose(result[row, :length], expected, atol=1e-9)


@pytest.mark.parametrize("kind", KINDS)
def test_loss_is_the_cross_entropy_averaged_over_hidden_words_alone(batch, kind):
    patches, words, _, hidden, targets = batch
    model = normal(ReportReconstruction(IMAGE, TEXT, WORDS, kind, 2, HEADS, 9))
    p = parameters(model)
    losses = []
    for row, length in enumerate((4, 3)):
        decoded = fused(words[row, :length], patches[row], parameters(model, "fusion."), kind)
        for depth in range(2):
            decoded = layer(decoded, p, f"decoder.layers.{depth}")
        for word in range(length):
            if hidden[row, word]:
                scores = linear(decoded[word], p, "head").tolist()
                whole = math.log(sum(math.exp(s) for s in scores))
                losses.append(whole - scores[targets[row, word]])
    assert len(losses) == 3
    assert model(*batch).item() == pytest.approx(sum(losses) / 3, abs=1e-9)


@pytest.mark.parametrize("kind", KINDS)
def test_padding_and_targets_of_words_that_are_seen_change_nothing(batch, kind):
    patches, words, mask, hidden, targets = batch
    model = normal(ReportReconstruction(IMAGE, TEXT, WORDS, kind, 1, HEADS, 9))
    noise = torch.full((2, 3, TEXT), 50.0, dtype=torch.float64)
    none = torch.zeros(2, 3, dtype=torch.bool)
    longer = (
        patches,
        torch.cat([words, noise], dim=1),
        torch.cat([mask, none], dim=1),
        torch.cat([hidden, none], dim=1),
        torch.cat([targets.masked_fill(~hidden, 5), none.long()], dim=1),
    )
    assert model(*longer).item() == pytest.approx(model(*batch).item(), abs=1e-12)


def test_a_batch_without_hidden_words_costs_nothing_and_breaks_nothing(batch):
    patches, words, mask, hidden, targets = batch
    model = normal(ReportReconstruction(IMAGE, TEXT, WORDS, "none", 1, HEADS, 9))
    loss = model(patches, words, mask, torch.zeros_like(hidden), targets)
    loss.backward()
    assert loss.item() == 0
    assert all(p.grad is None or p.grad.isfinite().all() for p in model.parameters())


@pytest.mark.parametrize("kind", KINDS)
def test_only_a_fusion_lets_the_loss_reach_the_image(batch, kind):
    patches, *rest = batch
    patches.requires_grad_()
    model = normal(ReportReconstruction(IMAGE, TEXT, WORDS, kind, 1, HEADS, 9))
    model(patches, *rest).backward()
    reached = patches.grad is not None and bool(patches.grad.abs().sum() > 0)
    assert reached == (kind != "none")


def test_the_paper_s_decoder_has_the_size_worked_out_by_hand():
    with torch.device("meta"):
        model = ReportReconstruction(768, 768, 30_522, "cross_granularity", 6, 6, 1536)
    attention_ = 4 * 769 * 768
    mlp = 769 * 1536 + 1537 * 768
    fusion = 2 * attention_ + 2 * 769 * 768 + mlp + 3 * 2 * 768
    decoder = 6 * (attention_ + mlp + 2 * 2 * 768)
    head = 769 * 30_522
    assert sum(p.numel() for p in model.parameters()) == fusion + decoder + head == 60_105_786


def test_over_all_positions_padding_and_words_that_are_seen_enter_the_loss(batch):
    patches, words, mask, _, targets = batch
    model = normal(ReportReconstruction(IMAGE, TEXT, WORDS, "none", 1, HEADS, 9, "all"))
    decoded = model.decoder(model.fusion(words, mask, patches), src_key_padding_mask=~mask)
    surprise = -model.head(decoded).log_softmax(dim=-1)
    losses = [surprise[b, i, targets[b, i]].item() for b in range(2) for i in range(4)]
    assert model(*batch).item() == pytest.approx(sum(losses) / 8, abs=1e-9)
