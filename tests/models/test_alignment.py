import math

import pytest
import torch

from simcrop.models.alignment import SentenceAlignment

# Three volumes; sentences 0 and 2 stand in more than one report, and volume 1 says 2 twice.
SENTENCE = torch.tensor([0, 1, 2, 2, 0, 2, 3])
OWNER = torch.tensor([0, 0, 1, 1, 1, 2, 2])
LENGTHS = [3, 1, 4, 2]


def batch(seed=0, padding=0):
    """Patch tokens, word features, their mask; beyond a sentence's words lies noise."""
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape):
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    patches, words = normal(3, 6, 5), normal(4, 4, 7)
    words = torch.cat([words, 100 * normal(4, padding, 7)], dim=1)
    mask = torch.arange(4 + padding) < torch.tensor(LENGTHS)[:, None]
    return patches, words, mask


def module(negatives, top_k=2):
    torch.manual_seed(0)
    return SentenceAlignment(5, 7, 8, top_k, 0.07, negatives).double()


def cosine(a, b):
    return (a @ b / (a.norm() * b.norm())).item()


def softmax_loss(scores, positives):
    """-log softmax of each positive, averaged over them."""
    total = math.log(sum(math.exp(s) for s in scores.values()))
    return sum(total - scores[p] for p in positives) / len(positives)


def mean(values):
    values = list(values)
    return sum(values) / len(values)


def projected(model, patches, words):
    """Every patch, and every sentence's mean over its own words, in the common space."""
    image = [[model.image_head(patch) for patch in volume] for volume in patches]
    text = [
        sum(model.text_head(words[s, t]) for t in range(length)) / length
        for s, length in enumerate(LENGTHS)
    ]
    return image, text


@pytest.mark.parametrize(("top_k", "count"), [(1, 1), (2, 2), (0.5, 3), (1.0, 6), (0.01, 1)])
def test_volume_negatives_by_loops(top_k, count):
    model = module("volume", top_k)
    patches, words, mask = batch()
    image, text = projected(model, patches, words)
    losses = []
    for s in range(4):
        scores = {}
        for v in range(3):
            best = sorted((cosine(text[s], patch) for patch in image[v]), reverse=True)[:count]
            scores[v] = mean(best) / 0.07
        carriers = {int(o) for u, o in zip(SENTENCE, OWNER, strict=True) if u == s}
        losses.append(softmax_loss(scores, carriers))
    loss = model(patches, words, mask, SENTENCE, OWNER).item()
    assert loss == pytest.approx(mean(losses), abs=1e-9)


@pytest.mark.parametrize("negatives", ["report", "batch"])
@pytest.mark.parametrize(("top_k", "count"), [(1, 1), (3, 3), (0.5, 3)])
def test_sentence_negatives_by_loops(negatives, top_k, count):
    model = module(negatives, top_k)
    patches, words, mask = batch()
    image, text = projected(model, patches, words)
    pairs = list(zip(SENTENCE.tolist(), OWNER.tolist(), strict=True))
    pooled = []
    for s, v in pairs:
        best = sorted(image[v], key=lambda patch: -cosine(text[s], patch))[:count]
        pooled.append(sum(best) / count)
    losses = {"text": [], "image": []}
    for i, (s, v) in enumerate(pairs):
        others = [j for j, (_, w) in enumerate(pairs) if negatives == "batch" or w == v]
        positives = [j for j in others if pairs[j][0] == s]
        to_image = {j: cosine(text[s], pooled[j]) / 0.07 for j in others}
        to_text = {j: cosine(text[pairs[j][0]], pooled[i]) / 0.07 for j in others}
        losses["text"].append(softmax_loss(to_image, positives))
        losses["image"].append(softmax_loss(to_text, positives))
    expected = (mean(losses["text"]) + mean(losses["image"])) / 2
    loss = model(patches, words, mask, SENTENCE, OWNER).item()
    assert loss == pytest.approx(expected, abs=1e-9)


def test_similarity_by_loops_lies_between_minus_one_and_one():
    model = module("volume")
    patches, words, mask = batch()
    image, text = projected(model, patches, words)
    similar = model.similarity(patches, model.text(words, mask))
    assert similar.shape == (3, 4, 6)
    expected = [[[cosine(t, patch) for patch in volume] for t in text] for volume in image]
    assert torch.allclose(similar, torch.tensor(expected, dtype=torch.float64), atol=1e-9)


@pytest.mark.parametrize("negatives", ["report", "batch", "volume"])
def test_padding_changes_no_loss_and_no_gradient(negatives):
    results = []
    for padding in (0, 5):
        model = module(negatives)
        loss = model(*batch(padding=padding), SENTENCE, OWNER)
        loss.backward()
        results.append((loss, *(p.grad for p in model.parameters())))
    for short, padded in zip(*results, strict=True):
        assert torch.allclose(short, padded, atol=1e-12)


def test_with_report_negatives_a_report_does_not_feel_the_others():
    model = module("report")
    patches, words, mask = batch()
    patches.requires_grad_()
    alone = SENTENCE[:2], OWNER[:2]
    before = model(patches, words, mask, *alone)
    (gradient,) = torch.autograd.grad(before, patches)
    assert gradient[0].abs().sum() > 0 and gradient[1:].abs().sum() == 0
    joint = model(patches, words, mask, SENTENCE, OWNER)
    rest = model(patches, words, mask, SENTENCE[2:], OWNER[2:])
    assert joint.item() == pytest.approx((2 * before.item() + 5 * rest.item()) / 7, abs=1e-9)


@pytest.mark.parametrize("negatives", ["report", "batch", "volume"])
def test_order_of_volumes_and_sentences_does_not_matter(negatives):
    model = module(negatives)
    patches, words, mask = batch()
    order, rows = torch.tensor([2, 0, 1]), torch.tensor([3, 1, 6, 0, 5, 2, 4])
    place = order.argsort()
    shuffled = model(patches[order], words, mask, SENTENCE[rows], place[OWNER[rows]])
    assert shuffled.item() == pytest.approx(
        model(patches, words, mask, SENTENCE, OWNER).item(), abs=1e-9
    )


def test_only_the_top_k_patches_get_a_gradient():
    model = module("report", top_k=2)
    patches, words, mask = batch()
    patches.requires_grad_()
    model(patches, words, mask, SENTENCE[2:4], OWNER[2:4] - 1).backward()
    assert (patches.grad[0].abs().sum(dim=1) > 0).sum() <= 2


def test_the_paper_s_heads_have_the_size_worked_out_by_hand():
    with torch.device("meta"):
        model = SentenceAlignment(768, 768, 768, 32, 0.07, "volume")
    head = 2 * 769 * 768 + 2 * 768
    assert sum(p.numel() for p in model.parameters()) == 2 * head == 2_365_440


def test_empty_sentences_enter_the_denominator_where_that_is_asked_for():
    model = module("report")
    model.padding = True
    patches, words, mask = batch()
    image, text = projected(model, patches, words)
    pairs = list(zip(SENTENCE.tolist(), OWNER.tolist(), strict=True))
    longest = max(OWNER.bincount().tolist())
    pooled = []
    for s, v in pairs:
        best = sorted(image[v], key=lambda patch: -cosine(text[s], patch))[:2]
        pooled.append(sum(best) / 2)
    losses = []
    for i, (s, v) in enumerate(pairs):
        others = [j for j, (_, w) in enumerate(pairs) if w == v]
        positives = [j for j in others if pairs[j][0] == s]
        empty = {f"empty {n}": 0.0 for n in range(longest - len(others))}
        to_image = {j: cosine(text[s], pooled[j]) / 0.07 for j in others}
        to_text = {j: cosine(text[pairs[j][0]], pooled[i]) / 0.07 for j in others}
        losses += [softmax_loss({**side, **empty}, positives) for side in (to_image, to_text)]
    loss = model(patches, words, mask, SENTENCE, OWNER)
    assert loss.item() == pytest.approx(mean(losses), abs=1e-9)
    loss.backward()
    assert all(p.grad.isfinite().all() for p in model.parameters())
