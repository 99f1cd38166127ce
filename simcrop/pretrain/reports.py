"""What the objectives read of the training cases' reports: words, sentences and whole reports."""

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd
import torch
from torch import Tensor

from simcrop import runs
from simcrop.errors import InputError
from simcrop.formats import text_encoder
from simcrop.progress import progress

_ENCODED_AT_ONCE = 64


@dataclass(frozen=True)
class Reports:
    """The texts of n cases, in their order; texts that several cases share are held once.

    Attributes:
        words: (L,) long token ids of each different report, findings and impression.
        report: (n,) long, the report of each case.
        means: (reports, text_width), the mean of each report's frozen word features.
        sentences: (T, text_width) frozen word features of each different findings sentence.
        carried: (S,) long, the sentences of each case, in their order.
        special: token ids that are never masked.
        mask_token, pad_token: token ids.
        vocabulary, width: of the text encoder.
    """

    words: list[Tensor]
    report: Tensor
    means: Tensor
    sentences: list[Tensor]
    carried: list[Tensor]
    special: Tensor
    mask_token: int
    pad_token: int
    vocabulary: int
    width: int


def read(
    run: runs.Encoder, cases: pd.DataFrame, sentences: pd.DataFrame, device: torch.device
) -> tuple[Reports, torch.nn.Module]:
    """Tokenise the reports of `cases` and encode, once, what the objectives read unmasked.

    Returns:
        The reports, and the frozen text encoder on `device`, for the masked ones.

    Raises:
        InputError: a case has no findings sentence, or the text encoder cannot be loaded.
    """
    objectives = run.method.objectives
    tokenizer, model = text_encoder.load(run.text_encoder)
    model.to(device)
    limit = min(run.recipe.max_words, model.config.max_position_embeddings)

    whole = (cases["findings"] + " " + cases["impression"]).str.strip()
    report, different = pd.factorize(whole)
    ids = tokenizer(list(different), truncation=True, max_length=limit)["input_ids"]

    def encoded(texts: Sequence[str], name: str) -> list[Tensor]:
        """Word features of each text; neighbours in length share a batch, so little is padded."""
        order = sorted(range(len(texts)), key=lambda i: (len(texts[i]), texts[i]))
        parts = range(0, len(order), _ENCODED_AT_ONCE)
        features = {}
        for start in progress(parts, name, total=len(parts)):
            chosen = order[start : start + _ENCODED_AT_ONCE]
            words, mask = text_encoder.encode(tokenizer, model, [texts[i] for i in chosen], limit)
            for i, one, real in zip(chosen, words.cpu(), mask.cpu(), strict=True):
                features[i] = one[real].clone()
        return [features[i] for i in range(len(texts))]

    means = torch.zeros(0, model.config.hidden_size)
    if objectives.global_contrast:
        means = torch.stack([words.mean(dim=0) for words in encoded(different, "reports")])

    spoken: list[Tensor] = []
    carried: list[Tensor] = []
    if objectives.sentence_alignment:
        table = sentences[sentences["section"] == "findings"].sort_values(["case", "order"])
        table = table[table["case"].isin(cases["case"])]
        number, texts = pd.factorize(table["text"])
        rows = pd.Series(number, index=table["case"])
        for case in cases["case"]:
            if case not in rows.index:
                raise InputError(
                    f"{case}: findings without a sentence in the sentence table; "
                    "run the prepare stage again"
                )
        groups = {case: torch.tensor(group.to_numpy()) for case, group in rows.groupby(level=0)}
        carried = [groups[case] for case in cases["case"]]
        spoken = encoded(texts, "sentences")

    return (
        Reports(
            words=[torch.tensor(one) for one in ids],
            report=torch.tensor(report),
            means=means,
            sentences=spoken,
            carried=carried,
            special=torch.tensor(sorted(tokenizer.all_special_ids)),
            mask_token=tokenizer.mask_token_id,
            pad_token=tokenizer.pad_token_id,
            vocabulary=len(tokenizer),
            width=model.config.hidden_size,
        ),
        model,
    )
