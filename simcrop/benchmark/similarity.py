"""How much each patch of a volume looks like what a sentence says, by the alignment heads."""

from pathlib import Path

import numpy as np
import torch

from simcrop.benchmark.encoder import device, load_alignment, load_encoder, load_matching
from simcrop.benchmark.features import BATCH, tokens
from simcrop.formats import text_encoder
from simcrop.formats.volumes import VolumeStore
from simcrop.models.inputs import offset, to_input

Triple = tuple[int, int, int]


@torch.inference_mode()
def scores(
    weights: str | Path,
    text: str | Path,
    volumes: VolumeStore,
    cases: list[str],
    texts: list[str],
    max_words: int = 512,
) -> np.ndarray:
    """How well each text fits each volume, by the heads of alignment or of global contrast.

    Args:
        weights, text: files of the encoder and of its text encoder.
        volumes: HU.
        cases: N names.
        texts: S of them.
        max_words: tokens at which a text is cut.

    Returns:
        (N, S) float32.

    Raises:
        InputError: the method has no such heads.
    """
    tokenizer, bert = text_encoder.load(text)
    bert = bert.to(device())
    encoder, arguments = load_encoder(weights)
    heads = load_matching(weights, bert.config.hidden_size)
    told = [
        heads.text(*text_encoder.encode(tokenizer, bert, texts[start : start + BATCH], max_words))
        for start in range(0, len(texts), BATCH)
    ]
    rows = [
        torch.cat([heads.scores(chunk, some) for some in told], dim=1)
        for chunk in tokens(encoder, tuple(arguments["volume"]), volumes, cases)
    ]
    return torch.cat(rows).float().cpu().numpy()


class Matcher:
    """An encoder, its alignment heads and the text encoder they were trained with, all frozen."""

    def __init__(self, weights: str | Path, text: str | Path) -> None:
        self.tokenizer, bert = text_encoder.load(text)
        self.bert = bert.to(device())
        self.encoder, arguments = load_encoder(weights)
        self.heads = load_alignment(weights, bert.config.hidden_size)
        self.shape: Triple = tuple(arguments["volume"])
        self.patch: Triple = tuple(arguments["patch"])

    @torch.inference_mode()
    def tokens(self, hu: np.ndarray) -> torch.Tensor:
        """The patch tokens, (N, width), of the centre of a volume in HU; nothing is masked."""
        return self.encoder(to_input(hu, self.shape)[None].to(device()))[0, 1:]

    @torch.inference_mode()
    def maps(self, tokens: torch.Tensor, sentences: list[str]) -> np.ndarray:
        """The cosine of each sentence with each patch: (S, GX, GY, GZ) float32."""
        text = self.heads.text(*text_encoder.encode(self.tokenizer, self.bert, sentences))
        cosines = self.heads.similarity(tokens[None], text)[0]
        grid = [edge // size for edge, size in zip(self.shape, self.patch, strict=True)]
        return cosines.float().cpu().numpy().reshape(-1, *grid)

    def affine(self, affine: np.ndarray, edges: Triple) -> np.ndarray:
        """The (4, 4) affine from patch indices to the mm of a volume with `affine` and `edges`."""
        patch = np.array(self.patch, float)
        to_voxels = np.diag([*patch, 1.0])
        to_voxels[:3, 3] = np.array(offset(edges, self.shape)) + (patch - 1) / 2
        return affine @ to_voxels
