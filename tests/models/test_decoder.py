import pytest
import torch

from simcrop.models.decoder import ImageReconstruction
from simcrop.models.patches import patchify
from simcrop.models.vit import ViT

GRID, PATCH = (2, 3, 2), (2, 2, 3)


@pytest.fixture
def parts():
    torch.manual_seed(0)
    decoder = ImageReconstruction(GRID, PATCH, encoder_width=10, width=12, depth=1, heads=2)
    for parameter in decoder.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    tokens = torch.randn(2, 5, 10, dtype=torch.float64)
    volume = torch.randn(2, 1, 4, 6, 6, dtype=torch.float64)
    visible = torch.tensor([[0, 3, 4, 11], [1, 2, 7, 8]])
    return decoder.double(), tokens, visible, volume


def test_loss_is_the_mean_over_voxels_of_masked_patches_alone(parts):
    decoder, tokens, visible, volume = parts
    rebuilt = []
    for row in range(2):
        sequence = [decoder.embed(tokens[row, 0])]
        for patch in range(12):
            seen = visible[row].tolist()
            token = decoder.mask_token[0, 0]
            if patch in seen:
                token = decoder.embed(tokens[row, 1 + seen.index(patch)])
            sequence.append(token + decoder.positions[patch])
        decoded = decoder.norm(decoder.blocks[0](torch.stack(sequence)[None]))
        rebuilt.append(decoder.head(decoded)[0, 1:])
    target = patchify(volume, PATCH)
    errors = [
        (rebuilt[row][patch, voxel] - target[row, patch, voxel]).item() ** 2
        for row in range(2)
        for patch in range(12)
        if patch not in visible[row].tolist()
        for voxel in range(12)
    ]
    loss = decoder(tokens, visible, volume).item()
    assert loss == pytest.approx(sum(errors) / len(errors), abs=1e-9)


def test_visible_voxels_are_no_target(parts):
    decoder, tokens, visible, volume = parts
    before = decoder(tokens, visible, volume)
    changed = volume.clone()
    changed[0, 0, :2, :2, :3] += 5  # patch 0, visible in the first volume
    assert torch.equal(decoder(tokens, visible, changed), before)
    changed[1, 0, :2, :2, :3] += 5  # masked in the second
    assert not torch.equal(decoder(tokens, visible, changed), before)


def test_the_paper_s_decoder_predicts_every_voxel_of_every_masked_patch():
    with torch.device("meta"):
        decoder = ImageReconstruction((14,) * 3, (16, 16, 8), 768, width=768, depth=4, heads=16)
        predicted = decoder.predict(torch.zeros(1, 687, 768), torch.zeros(1, 686, dtype=int))
        block = ViT((16, 16, 8), (16, 16, 8), 768, depth=1, heads=16).blocks[0]
    assert predicted.shape == (1, 2744 - 686, 16 * 16 * 8)
    blocks = 4 * sum(p.numel() for p in block.parameters())
    expected = 769 * 768 + 768 + blocks + 2 * 768 + 769 * 2048
    assert sum(p.numel() for p in decoder.parameters()) == expected == 30_519_296


def test_over_all_voxels_the_error_of_the_masked_ones_shrinks_with_the_mask(parts):
    decoder, tokens, visible, volume = parts
    masked = decoder(tokens, visible, volume)
    decoder.mean_over = "all"
    assert decoder(tokens, visible, volume).item() == pytest.approx(masked.item() * 8 / 12)
