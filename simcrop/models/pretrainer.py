"""The encoder and the objectives it is trained for, as one module."""

import hashlib
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from simcrop.models.alignment import SentenceAlignment
from simcrop.models.contrast import GlobalContrast
from simcrop.models.decoder import ImageReconstruction
from simcrop.models.report_decoder import ReportReconstruction
from simcrop.models.vit import ViT


class Pretrainer(nn.Module):
    """An encoder (`encoder.`) and one module an objective, under the objective's name.

    The frozen text encoder is no part of it: what that computes comes in with the batch.

    Args:
        encoder: arguments of `ViT`.
        objectives: arguments of each objective's module that the encoder and the text do not
            settle, by the objective's name; none is needed.
        text_width, vocabulary: of the text encoder, where an objective reads reports.
        seed: of the initial weights. Each part draws from a generator of its own, so the encoder
            starts the same whatever it is trained for.
    """

    def __init__(
        self,
        encoder: Mapping[str, Any],
        objectives: Mapping[str, Mapping[str, Any]],
        seed: int,
        text_width: int = 0,
        vocabulary: int = 0,
    ) -> None:
        super().__init__()
        self.encoder = ViT(**encoder)
        self.objectives = tuple(objectives)
        width = self.encoder.width
        for name, arguments in objectives.items():
            if name == "image_reconstruction":
                part = ImageReconstruction(
                    self.encoder.grid,
                    encoder["patch"],
                    width,
                    **arguments,
                    positions=self.encoder.kind,
                )
            elif name == "report_reconstruction":
                part = ReportReconstruction(width, text_width, vocabulary, **arguments)
            elif name == "sentence_alignment":
                part = SentenceAlignment(width, text_width, **arguments)
            elif name == "global_contrast":
                part = GlobalContrast(width, text_width, **arguments)
            else:
                raise ValueError(f"there is no objective '{name}'")
            self.add_module(name, part)
        for name, part in self.named_children():
            _initialise(part, seed, name)

    def forward(self, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The loss of each objective, unweighted, in the objectives' order.

        Where several processes train together, each has its own rows of volumes and masked
        reports, and all sentences and report vectors; the processes' mean is the batch's loss.

        Args:
            batch: `volume` (B, 1, X, Y, Z) and `visible` (B, V); for report reconstruction
                `report_words`, `report_mask`, `report_hidden`, `report_targets`; for sentence
                alignment `sentence_words`, `sentence_mask`, `sentence`, `owner`; for global
                contrast `reports`, `identity`. Each is described in the objective's `forward`.
        """
        tokens = self.encoder(batch["volume"], batch["visible"])
        patches = tokens[:, 1:]
        losses = {}
        for name in self.objectives:
            part = self.get_submodule(name)
            if name == "image_reconstruction":
                losses[name] = part(tokens, batch["visible"], batch["volume"])
            elif name == "report_reconstruction":
                keys = ("report_words", "report_mask", "report_hidden", "report_targets")
                losses[name] = part(patches, *(batch[key] for key in keys))
            elif name == "sentence_alignment":
                keys = ("sentence_words", "sentence_mask", "sentence", "owner")
                losses[name] = part(patches, *(batch[key] for key in keys))
            else:
                losses[name] = part(patches, batch["reports"], batch["identity"])
        return losses


def _initialise(part: nn.Module, seed: int, name: str) -> None:
    """Xavier-uniform matrices, zero biases, unit norms and tokens of deviation 0.02, as in MAE."""
    digest = hashlib.sha256(f"{seed} {name}".encode()).digest()
    generator = torch.Generator().manual_seed(int.from_bytes(digest[:8], "little"))
    for key, parameter in part.named_parameters():
        if key.endswith("_token"):
            nn.init.normal_(parameter, std=0.02, generator=generator)
        elif parameter.ndim == 2:
            nn.init.xavier_uniform_(parameter, generator=generator)
        elif key.endswith("bias"):
            nn.init.zeros_(parameter)
        else:
            nn.init.ones_(parameter)
