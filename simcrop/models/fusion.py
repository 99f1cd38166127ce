"""Cross-granularity fusion: the words of a masked report take in what the image shows."""

from typing import Literal

from torch import Tensor, nn

Kind = Literal["none", "instance", "word_patch", "cross_granularity"]


class Fusion(nn.Module):
    """One transformer layer between the frozen text encoder and the report decoder.

    Self-attention over words; then cross-attention from words to visible patches (word-patch
    level) and a linear map of the pooled image (instance level), summed, through an output layer;
    then an MLP. Each of the three is followed by a residual and a norm, as in BERT.

    Args:
        image_width, text_width: of patch tokens and of words.
        heads: of both attentions.
        feed_forward: hidden width of the MLP.
        kind: what of the image is taken in; `cross_granularity` is both levels.
    """

    def __init__(
        self, image_width: int, text_width: int, heads: int, feed_forward: int, kind: Kind
    ) -> None:
        super().__init__()
        self.self_attention = nn.MultiheadAttention(text_width, heads, batch_first=True)
        self.self_norm = nn.LayerNorm(text_width)
        self.word_patch = self.instance = None
        if kind in ("word_patch", "cross_granularity"):
            self.word_patch = nn.MultiheadAttention(
                text_width, heads, kdim=image_width, vdim=image_width, batch_first=True
            )
        if kind in ("instance", "cross_granularity"):
            self.instance = nn.Linear(image_width, text_width)
        if kind != "none":
            self.output = nn.Linear(text_width, text_width)
            self.output_norm = nn.LayerNorm(text_width)
        self.mlp = nn.Sequential(
            nn.Linear(text_width, feed_forward), nn.GELU(), nn.Linear(feed_forward, text_width)
        )
        self.mlp_norm = nn.LayerNorm(text_width)

    def forward(self, words: Tensor, mask: Tensor, patches: Tensor) -> Tensor:
        """Fuse words and image.

        Args:
            words: (B, L, text_width).
            mask: (B, L) bool, true at words and false at padding.
            patches: (B, V, image_width), the visible patch tokens; their mean is the pooled image.

        Returns:
            (B, L, text_width).
        """
        mixed = self.self_attention(
            words, words, words, key_padding_mask=~mask, need_weights=False
        )[0]
        words = self.self_norm(words + mixed)
        image = 0
        if self.word_patch is not None:
            image = self.word_patch(words, patches, patches, need_weights=False)[0]
        if self.instance is not None:
            image = image + self.instance(patches.mean(dim=1, keepdim=True))
        if isinstance(image, Tensor):
            words = self.output_norm(words + self.output(image))
        return self.mlp_norm(words + self.mlp(words))
