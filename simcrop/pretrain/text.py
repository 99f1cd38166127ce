"""The frozen text encoder: a small BERT trained on the cohort's own reports, or a pretrained one.

It is saved to `encoder/` in transformers' layout, so that every later step reads one folder.
"""

import shutil
import string
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from simcrop import runs
from simcrop.errors import InputError
from simcrop.formats import cases, sentences, text_encoder
from simcrop.progress import progress

if TYPE_CHECKING:
    from transformers import BertModel, PreTrainedTokenizerFast

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
_ASCII = string.ascii_lowercase + string.digits + string.punctuation
_MAX_WORDS = 512
# Steps alternate between sentences and whole reports, of which fewer make up a batch.
_SENTENCES_A_REPORT = 8


def text(run: runs.Text, out: Path) -> None:
    """Write `out`/encoder, whole or not at all.

    Raises:
        InputError: no training case has a report, or the pretrained encoder cannot be loaded.
    """
    text_encoder.quiet()
    building = out / ".encoder"
    shutil.rmtree(building, ignore_errors=True)
    building.mkdir(parents=True)
    if run.settings.pretrained:
        tokenizer, model = text_encoder.load(run.settings.pretrained, run.settings.revision)
        tokenizer.save_pretrained(building)
    else:
        short, long = _texts(run)
        tokenizer = _tokenizer([*short, *long], building)
        model = _trained(run, tokenizer, short, long)
    model.save_pretrained(building)
    shutil.rmtree(out / "encoder", ignore_errors=True)
    building.rename(out / "encoder")


def _texts(run: runs.Text) -> tuple[list[str], list[str]]:
    """The sentences and the reports of the training cases, each once, sorted."""
    table = cases.read(run.cases)
    table = table[table["split"] == "train"]
    spoken = sentences.read(run.sentences)
    short = spoken["text"][spoken["case"].isin(table["case"])]
    reports = (table["findings"] + " " + table["impression"]).str.strip()
    if not (reports != "").any() or short.empty:
        raise InputError(
            f"{run.cases}: no training case has a report; give a cohort with reports, or set "
            "pretrain.text_encoder.pretrained"
        )
    return sorted(set(short)), sorted(set(reports) - {""})


def vocabulary(texts: list[str]) -> list[str]:
    """Special tokens, single characters (also as ##continuations), then words by frequency.

    Plain ASCII is always among the characters, so that unheard words can be spelled.
    """
    from tokenizers.normalizers import BertNormalizer
    from tokenizers.pre_tokenizers import BertPreTokenizer

    normalizer, splitter = BertNormalizer(lowercase=True), BertPreTokenizer()
    counts: Counter[str] = Counter()
    for one in texts:
        counts.update(word for word, _ in splitter.pre_tokenize_str(normalizer.normalize_str(one)))
    characters = sorted({character for word in [*counts, _ASCII] for character in word})
    words = sorted((word for word in counts if len(word) > 1), key=lambda w: (-counts[w], w))
    return [*SPECIAL, *characters, *(f"##{character}" for character in characters), *words]


def _tokenizer(texts: list[str], folder: Path) -> "PreTrainedTokenizerFast":
    """Save a tokenizer over the vocabulary of `texts` in `folder` and load it."""
    from transformers import BertTokenizerFast

    entries = vocabulary(texts)
    BertTokenizerFast(
        vocab={entry: number for number, entry in enumerate(entries)}, do_lower_case=True
    ).save_pretrained(folder)
    return BertTokenizerFast.from_pretrained(folder)


def _trained(
    run: runs.Text, tokenizer: "PreTrainedTokenizerFast", short: list[str], long: list[str]
) -> "BertModel":
    """A BERT trained to predict masked words: each but the special ones with p = mask_ratio."""
    import torch
    from torch.nn.utils.rnn import pad_sequence
    from transformers import BertConfig, BertForMaskedLM

    settings = run.settings
    config = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=settings.width,
        num_hidden_layers=settings.depth,
        num_attention_heads=settings.heads,
        intermediate_size=4 * settings.width,
        max_position_embeddings=_MAX_WORDS,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
        pad_token_id=tokenizer.pad_token_id,
    )
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(run.seed)
        model = BertForMaskedLM(config)
    model.to(device).train()
    pools = [[torch.tensor(ids) for ids in _ids(tokenizer, texts)] for texts in (short, long)]
    special = torch.tensor(tokenizer.all_special_ids)
    optimizer = torch.optim.AdamW(model.parameters(), lr=settings.lr, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, settings.lr, total_steps=settings.steps, pct_start=0.1, cycle_momentum=False
    )
    for step in progress(range(settings.steps), "text encoder", total=settings.steps):
        rng = np.random.default_rng([run.seed, step])
        pool, batch = pools[step % 2], settings.batch
        if step % 2:
            batch = max(1, batch // _SENTENCES_A_REPORT)
        chosen = rng.choice(len(pool), min(batch, len(pool)), replace=False)
        ids = pad_sequence(
            [pool[i] for i in chosen], batch_first=True, padding_value=tokenizer.pad_token_id
        )
        drawn = torch.from_numpy(rng.random(ids.shape) < settings.mask_ratio)
        hidden = drawn & ~torch.isin(ids, special)
        loss = model(
            input_ids=ids.masked_fill(hidden, tokenizer.mask_token_id).to(device),
            attention_mask=(ids != tokenizer.pad_token_id).to(device),
            labels=ids.masked_fill(~hidden, -100).to(device),
        ).loss
        if hidden.any():
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        schedule.step()
    return model.bert


def _ids(tokenizer: "PreTrainedTokenizerFast", texts: list[str]) -> list[list[int]]:
    return tokenizer(texts, truncation=True, max_length=_MAX_WORDS)["input_ids"]
