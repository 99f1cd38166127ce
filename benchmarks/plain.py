"""A straightforward reading of SimCroP, against which benchmarks/step.py measures the suite's.

It computes on the weights of the suite's own modules, but as one would write it down first: a
Conv3d embeds every patch of every volume; attention is a softmax of a matrix; words are padded to
512; the frozen text encoder reads the sentences in every step; all voxels are predicted and enter
the loss, and so do the words at all positions.
"""

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from simcrop.models.pretrainer import Pretrainer

WORDS = 512


def losses(model: Pretrainer, text_model: nn.Module, batch: Mapping[str, Tensor]) -> list[Tensor]:
    """Image reconstruction, report reconstruction and alignment.

    Args:
        model: with these three objectives.
        text_model: the frozen BERT.
        batch: `volume` (B, 1, X, Y, Z), `visible` (B, V), `ids`, `mask`, `targets` (B, 512),
            `sentence_ids`, `sentence_mask` (S, T) and `owner` (S,), of one report after another.
    """
    volume, visible = batch["volume"], batch["visible"]
    tokens = encode(model, volume, visible)
    rebuilt, target = reconstruct(model, tokens, volume, visible)
    image = (rebuilt - target).square().mean()

    with torch.no_grad():
        words = text_model(batch["ids"], batch["mask"].long()).last_hidden_state
        sentences = text_model(
            batch["sentence_ids"], batch["sentence_mask"].long()
        ).last_hidden_state
    scores = decode(model, tokens[:, 1:], words, batch["mask"])
    report = F.cross_entropy(scores.flatten(0, 1), batch["targets"].flatten())
    return [image, report, align(model, tokens[:, 1:], sentences, batch)]


def encode(model: Pretrainer, volume: Tensor, visible: Tensor) -> Tensor:
    """The class token and the visible patches, (B, 1 + V, W); all patches are embedded."""
    encoder = model.encoder
    patch = encoder.patch_embed.patch
    kernel = encoder.patch_embed.proj.weight.view(-1, 1, *patch)
    tokens = F.conv3d(volume, kernel, encoder.patch_embed.proj.bias, stride=patch)
    tokens = tokens.flatten(2).transpose(1, 2) + encoder.positions
    tokens = torch.stack([one[rows] for one, rows in zip(tokens, visible, strict=True)])
    tokens = torch.cat([encoder.cls_token.expand(len(tokens), -1, -1), tokens], dim=1)
    for block in encoder.blocks:
        tokens = transform(block, tokens)
    return encoder.norm(tokens)


def reconstruct(
    model: Pretrainer, tokens: Tensor, volume: Tensor, visible: Tensor
) -> tuple[Tensor, Tensor]:
    """All patches as the decoder rebuilds them, and as they are: (B, N, P) each."""
    decoder = model.image_reconstruction
    seen = decoder.embed(tokens)
    full = decoder.mask_token.to(seen.dtype).repeat(len(seen), len(decoder.positions), 1)
    rows = torch.arange(len(full))[:, None]
    full = full.index_put((rows, visible), seen[:, 1:]) + decoder.positions
    full = torch.cat([seen[:, :1], full], dim=1)
    for block in decoder.blocks:
        full = transform(block, full)
    x, y, z = decoder.patch
    cells = volume[:, 0].unfold(1, x, x).unfold(2, y, y).unfold(3, z, z)
    return decoder.head(decoder.norm(full[:, 1:])), cells.flatten(4).flatten(1, 3)


def decode(model: Pretrainer, patches: Tensor, words: Tensor, mask: Tensor) -> Tensor:
    """Scores of the vocabulary at all 512 positions."""
    part = model.report_reconstruction
    fusion = part.fusion
    words = fusion.self_norm(words + mix(fusion.self_attention, words, words, mask))
    image = mix(fusion.word_patch, words, patches, None)
    image = image + fusion.instance(patches.mean(dim=1, keepdim=True))
    words = fusion.output_norm(words + fusion.output(image))
    words = fusion.mlp_norm(words + fusion.mlp(words))
    for layer in part.decoder.layers:
        words = layer.norm1(words + mix(layer.self_attn, words, words, mask))
        words = layer.norm2(words + layer.linear2(F.gelu(layer.linear1(words))))
    return part.head(words)


def align(model: Pretrainer, patches: Tensor, words: Tensor, batch: Mapping[str, Tensor]) -> Tensor:
    """The suite's default loss, every sentence against every volume, one pair after another."""
    part, mask, owner = model.sentence_alignment, batch["sentence_mask"], batch["owner"]
    image = F.normalize(part.image_head(patches), dim=-1)
    text = (part.text_head(words) * mask[..., None]).sum(dim=1) / mask.sum(dim=1, keepdim=True)
    text = F.normalize(text, dim=-1)
    rows = []
    for sentence in text:
        pooled = [
            (one @ sentence).sort(descending=True).values[: part.top_k].mean() for one in image
        ]
        rows.append(torch.stack(pooled))
    return F.cross_entropy(torch.stack(rows) / part.temperature, owner)


def transform(block: nn.Module, tokens: Tensor) -> Tensor:
    """A block of the vision transformer."""
    normed = block.norm1(tokens)
    batch, count, width = normed.shape
    heads = block.attn.heads
    qkv = block.attn.qkv(normed).view(batch, count, 3, heads, width // heads)
    query, key, value = qkv.permute(2, 0, 3, 1, 4)
    mixed = attend(query, key, value, None).transpose(1, 2).reshape(batch, count, width)
    tokens = tokens + block.attn.proj(mixed)
    return tokens + block.mlp(block.norm2(tokens))


def mix(
    attention: nn.MultiheadAttention, words: Tensor, others: Tensor, mask: Tensor | None
) -> Tensor:
    """Multi-head attention of words to others."""
    if attention.in_proj_weight is not None:
        weights = attention.in_proj_weight.chunk(3)
    else:
        weights = (attention.q_proj_weight, attention.k_proj_weight, attention.v_proj_weight)
    biases = attention.in_proj_bias.chunk(3)
    query, key, value = (
        F.linear(x, w, b).unflatten(-1, (attention.num_heads, -1)).transpose(1, 2)
        for x, w, b in zip((words, others, others), weights, biases, strict=True)
    )
    mixed = attend(query, key, value, mask)
    return attention.out_proj(mixed.transpose(1, 2).flatten(2))


def attend(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None) -> Tensor:
    """(B, H, N, C) and (B, H, M, C) twice -> (B, H, N, C); `mask` is (B, M), false at padding."""
    scores = query @ key.transpose(-1, -2) / query.shape[-1] ** 0.5
    if mask is not None:
        scores = scores.masked_fill(~mask[:, None, None], -torch.inf)
    return scores.softmax(dim=-1) @ value
