"""Similarity-driven alignment: each sentence and the patches that are most similar to it."""

from typing import Literal

import torch
from torch import Tensor, nn

from simcrop.models.contrast import cosines, infonce
from simcrop.models.patches import take
from simcrop.models.together import gathered, span


class SentenceAlignment(nn.Module):
    """SimCroP's alignment of sentences with the few patches that they speak of.

    Args:
        image_width, text_width: of the patch tokens and of the frozen word features.
        width: of the space in which both meet.
        top_k: patches a sentence is matched with, or (float) their share of those visible.
        temperature: by which cosines are divided.
        negatives: what a sentence is set against.
            `report`: the patches pooled by the other sentences of its report, as published.
            `batch`: the patches pooled by the sentences of all reports, each in its own volume.
            `volume`: the same sentence in the other volumes. A sentence chooses its patches in
            every volume, so that position alone does not solve the task.
        padding: with `report`, whether each report is filled up to the longest of the batch with
            empty sentences, whose cosine with everything is 0 and which enter the denominator.
    """

    def __init__(
        self,
        image_width: int,
        text_width: int,
        width: int,
        top_k: int | float,
        temperature: float,
        negatives: Literal["report", "batch", "volume"],
        padding: bool = False,
    ) -> None:
        super().__init__()
        self.image_head = _head(image_width, width)
        self.text_head = _head(text_width, width)
        self.top_k = top_k
        self.temperature = temperature
        self.negatives = negatives
        self.padding = padding

    def forward(
        self, patches: Tensor, words: Tensor, mask: Tensor, sentence: Tensor, owner: Tensor
    ) -> Tensor:
        """InfoNCE over the sentences of a batch; S of them, U of which differ.

        Several processes hold the volumes of a batch together, and each all of its sentences, in
        the volumes' order.

        Args:
            patches: (B, V, image_width), the visible patch tokens.
            words: (U, T, text_width), frozen features of the sentences that differ.
            mask: (U, T) bool, true at words and false at padding.
            sentence: (S,) long, the row of `words` of each sentence.
            owner: (S,) long, the volume of each sentence.
        """
        image, text = self.image_head(patches), self.text(words, mask)
        if self.negatives == "volume":
            return self._across_volumes(image, text, sentence, owner)
        return self._across_sentences(image, text[sentence], sentence, owner)

    def similarity(self, patches: Tensor, text: Tensor) -> Tensor:
        """The cosine of every sentence with every patch.

        Args:
            patches: (B, N, image_width).
            text: (S, width), what `text` makes of the sentences.

        Returns:
            (B, S, N) in [-1, 1].
        """
        return cosines(text, self.image_head(patches))

    def scores(self, patches: Tensor, text: Tensor) -> Tensor:
        """How well every sentence fits every volume: the mean of its K highest cosines there.

        Args:
            patches, text: as in `similarity`.

        Returns:
            (B, S) in [-1, 1].
        """
        return self._pooled(self.similarity(patches, text))

    def text(self, words: Tensor, mask: Tensor) -> Tensor:
        """The mean over each sentence's words, after the head: (S, width).

        Args:
            words: (S, T, text_width), frozen features of the sentences' words.
            mask: (S, T) bool, true at words and false at padding.
        """
        features = self.text_head(words).masked_fill(~mask[..., None], 0)
        return features.sum(dim=1) / mask.sum(dim=1, keepdim=True)

    def _across_volumes(
        self, image: Tensor, text: Tensor, sentence: Tensor, owner: Tensor
    ) -> Tensor:
        """Softmax over the volumes; each that carries a sentence is a positive of it."""
        scores = gathered(self._pooled(cosines(text, image))).T
        positive = torch.zeros_like(scores, dtype=torch.bool)
        positive[sentence, owner] = True
        return infonce(scores / self.temperature, positive)

    def _across_sentences(
        self, image: Tensor, text: Tensor, sentence: Tensor, owner: Tensor
    ) -> Tensor:
        """Symmetric InfoNCE of sentences and the patches each has pooled from its own volume."""
        place = owner - span(len(image))[0]
        here = (place >= 0) & (place < len(image))
        own = image[place[here]]  # (sentences of the volumes here, V, width)
        similar = cosines(text[here, None], own).squeeze(1)
        best = similar.topk(self._count(image), dim=1, sorted=False).indices
        pooled = gathered(take(own, best).mean(dim=1))
        scores = cosines(text, pooled) / self.temperature
        positive = sentence[:, None] == sentence
        allowed = empty = None
        if self.negatives == "report":
            allowed = owner[:, None] == owner
            positive = positive & allowed
            if self.padding:
                lengths = owner.bincount()
                empty = (lengths.max() - lengths)[owner]
        sides = [infonce(side, positive, allowed, empty) for side in (scores, scores.T)]
        return sum(sides) / 2

    def _pooled(self, similar: Tensor) -> Tensor:
        """(B, S, V) -> (B, S), the mean over the patches most similar to each sentence."""
        count = self._count(similar.mT)
        return similar.topk(count, dim=2, sorted=False).values.mean(dim=2)

    def _count(self, image: Tensor) -> int:
        if isinstance(self.top_k, int):
            return self.top_k
        return max(1, round(self.top_k * image.shape[1]))


def _head(width_in: int, width: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(width_in, width), nn.GELU(), nn.LayerNorm(width), nn.Linear(width, width)
    )
