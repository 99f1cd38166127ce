"""Report reconstruction: a BERT decoder predicts the masked words, helped by the image."""

from typing import Literal

import torch.nn.functional as F
from torch import Tensor, nn

from simcrop.models.fusion import Fusion, Kind
from simcrop.models.together import share


class ReportReconstruction(nn.Module):
    """Fusion, BERT layers and a linear head over the vocabulary, on frozen word features.

    Without dropout, so that a run needs no random state.

    Args:
        image_width, text_width: of patch tokens and of the frozen word features.
        vocabulary: number of tokens to choose from.
        fusion: what of the image the words take in.
        depth, heads, feed_forward: of the BERT layers; the fusion layer shares the last two.
        mean_over: the positions that are predicted: hidden words, or all, padding among them.
    """

    def __init__(
        self,
        image_width: int,
        text_width: int,
        vocabulary: int,
        fusion: Kind,
        depth: int,
        heads: int,
        feed_forward: int,
        mean_over: Literal["masked", "all"] = "masked",
    ) -> None:
        super().__init__()
        self.mean_over = mean_over
        self.fusion = Fusion(image_width, text_width, heads, feed_forward, fusion)
        layer = nn.TransformerEncoderLayer(
            text_width, heads, feed_forward, dropout=0, activation="gelu", batch_first=True
        )
        self.decoder = nn.TransformerEncoder(layer, depth, enable_nested_tensor=False)
        self.head = nn.Linear(text_width, vocabulary)

    def forward(
        self, patches: Tensor, words: Tensor, mask: Tensor, hidden: Tensor, targets: Tensor
    ) -> Tensor:
        """Cross-entropy averaged over the hidden words, zero if none is hidden; or over all.

        Args:
            patches: (B, V, image_width), the visible patch tokens.
            words: (B, L, text_width), frozen features of the report with its hidden words masked.
            mask: (B, L) bool, true at words and false at padding.
            hidden: (B, L) bool, the words to predict.
            targets: (B, L) long, the words as they are.
        """
        decoded = self.decoder(self.fusion(words, mask, patches), src_key_padding_mask=~mask)
        if self.mean_over == "all":
            loss = F.cross_entropy(self.head(decoded).flatten(0, 1), targets.flatten())
            return share(loss, len(targets))
        scores = self.head(decoded[hidden])
        loss = F.cross_entropy(scores, targets[hidden], reduction="sum") / max(len(scores), 1)
        return share(loss, len(scores))
