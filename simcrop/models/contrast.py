"""Contrastive losses that allow several positives, and global contrast of volume and report."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from simcrop.models.together import gathered


class GlobalContrast(nn.Module):
    """One vector a volume against one vector a report, over the batch (CLIP, Radford et al. 2021).

    Args:
        image_width, text_width: of the tokens and of the report vectors that come in.
        width: of the space in which both meet.
        temperature: by which cosines are divided.
    """

    def __init__(self, image_width: int, text_width: int, width: int, temperature: float) -> None:
        super().__init__()
        self.image_head = nn.Linear(image_width, width)
        self.text_head = nn.Linear(text_width, width)
        self.temperature = temperature

    def forward(self, patches: Tensor, reports: Tensor, identity: Tensor) -> Tensor:
        """Symmetric InfoNCE; volumes with the same report are all positives of it.

        Several processes hold the volumes of a batch together, and each all of its reports.

        Args:
            patches: (B, V, image_width), the visible patch tokens; their mean is the volume.
            reports: (B, text_width), the mean of each report's frozen word features.
            identity: (B,) long, equal for equal reports.
        """
        image = gathered(self.image_head(patches.mean(dim=1)))
        scores = cosines(image, self.text_head(reports)) / self.temperature
        positive = identity[:, None] == identity
        return (infonce(scores, positive) + infonce(scores.T, positive.T)) / 2

    def text(self, words: Tensor, mask: Tensor) -> Tensor:
        """The head on the mean of each text's words: (S, width).

        Args:
            words: (S, T, text_width), frozen features of the texts' words.
            mask: (S, T) bool, true at words and false at padding.
        """
        total = words.masked_fill(~mask[..., None], 0).sum(dim=1)
        return self.text_head(total / mask.sum(dim=1, keepdim=True))

    def scores(self, patches: Tensor, text: Tensor) -> Tensor:
        """The cosine of every volume with every text.

        Args:
            patches: (B, N, image_width).
            text: (S, width), what `text` makes of the texts.

        Returns:
            (B, S) in [-1, 1].
        """
        return cosines(self.image_head(patches.mean(dim=1)), text)


def cosines(rows: Tensor, columns: Tensor) -> Tensor:
    """(..., N, W), (..., M, W) -> (..., N, M), in full precision under autocast too."""
    with torch.autocast(rows.device.type, enabled=False):
        precision = torch.promote_types(rows.dtype, torch.float32)
        rows, columns = rows.to(precision), columns.to(precision)
        return F.normalize(rows, dim=-1) @ F.normalize(columns, dim=-1).transpose(-1, -2)


def infonce(
    scores: Tensor,
    positive: Tensor,
    allowed: Tensor | None = None,
    empty: Tensor | None = None,
) -> Tensor:
    """Cross-entropy of each row's softmax with the even distribution over its positives.

    With one positive a row this is InfoNCE (van den Oord et al. 2018).

    Args:
        scores: (N, M).
        positive: (N, M) bool, at least one a row, each of them allowed.
        allowed: (N, M) bool, what enters the denominator; everything if None.
        empty: (N,) long, how many negatives with a score of 0 enter it besides.

    Returns:
        The mean over rows.
    """
    if allowed is not None:
        scores = scores.masked_fill(~allowed, -torch.inf)
    if empty is not None:
        column = empty.to(scores.dtype).log()[:, None]
        scores, positive = torch.cat([scores, column], 1), F.pad(positive, (0, 1))
    surprise = -scores.log_softmax(dim=1)
    share = surprise.masked_fill(~positive, 0).sum(dim=1) / positive.sum(dim=1)
    return share.mean()
