import torch

from simcrop.models.masking import hidden_patches, random_visible, random_words


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def test_visible_patches_are_ascending_distinct_and_as_many_as_the_ratio_leaves():
    visible = random_visible(5, 2744, 0.75, generator())
    assert visible.shape == (5, 686)
    assert (visible.diff(dim=1) > 0).all()
    assert visible.min() >= 0 and visible.max() < 2744
    assert not torch.equal(visible[0], visible[1])
    assert torch.equal(visible, random_visible(5, 2744, 0.75, generator()))
    assert random_visible(1, 10, 0.0, generator()).tolist() == [list(range(10))]


def test_every_patch_is_as_likely_to_be_seen():
    visible = random_visible(20_000, 8, 0.5, generator())
    share = torch.bincount(visible.flatten(), minlength=8) / 20_000
    assert (share - 0.5).abs().max() < 0.015


def test_hidden_patches_are_the_others():
    visible = random_visible(7, 27, 0.6, generator())
    hidden = hidden_patches(visible, 27)
    for seen, rest in zip(visible.tolist(), hidden.tolist(), strict=True):
        assert rest == sorted(set(range(27)) - set(seen))


def test_words_are_hidden_with_the_ratio_and_special_tokens_never():
    maskable = torch.ones(200, 300, dtype=torch.bool)
    maskable[:, 0] = False
    hidden = random_words(maskable, 0.75, generator())
    assert not hidden[:, 0].any()
    assert abs(hidden[:, 1:].float().mean() - 0.75) < 0.01
    assert torch.equal(random_words(maskable, 1.0, generator()), maskable)
