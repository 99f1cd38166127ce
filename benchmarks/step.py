"""One training step of SimCroP at full width: the suite's against a straightforward reading of it.

    python benchmarks/step.py

Forward and backward on random volumes and words, each side in a process of its own, in turns;
prints the median time and the peak memory of both, and their ratios. The sizes are those of the
paper, ViT-B with 2,744 patches, BERT with 12 layers and 30,522 words, on a batch of two. What the
plain reading does is told in benchmarks/plain.py; it is spared the padding of sentences to 512
words.
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping

import plain
import torch
from torch import Tensor
from transformers import BertConfig, BertModel

from simcrop.models.masking import random_visible
from simcrop.models.pretrainer import Pretrainer

ENCODER = {
    "volume": (224, 224, 112),
    "patch": (16, 16, 8),
    "width": 768,
    "depth": 12,
    "heads": 12,
}
OBJECTIVES = {
    "image_reconstruction": {"width": 768, "depth": 4, "heads": 16},
    "report_reconstruction": {
        "fusion": "cross_granularity",
        "depth": 6,
        "heads": 6,
        "feed_forward": 1536,
    },
    "sentence_alignment": {
        "width": 768,
        "top_k": 32,
        "temperature": 0.07,
        "negatives": "volume",
    },
}
TEXT_WIDTH, VOCABULARY = 768, 30522
REPORTS = (230, 310)  # words of each of the two reports
SENTENCES = 12  # a report
SENTENCE = 20  # words
MASK_RATIO = 0.75
STEPS = 2
TURNS = 2


def measured(side: str, precision: str) -> dict[str, float]:
    """Seconds of each step but the first, and the process's peak memory in GiB."""
    torch.manual_seed(0)
    attention = "eager" if side == "plain" else "sdpa"
    text_model = BertModel(
        BertConfig(attn_implementation=attention), add_pooling_layer=False
    ).eval()
    text_model.requires_grad_(False)
    model = Pretrainer(ENCODER, OBJECTIVES, 0, text_width=TEXT_WIDTH, vocabulary=VOCABULARY)
    step = plain.losses if side == "plain" else suite_step
    batch = batch_of(side, text_model)
    seconds = []
    for _ in range(STEPS + 1):
        model.zero_grad()
        start = time.perf_counter()
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
            losses = step(model, text_model, batch)
        torch.stack(list(losses)).sum().backward()
        seconds.append(time.perf_counter() - start)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    return {"seconds": statistics.median(seconds[1:]), "gib": peak}


def batch_of(side: str, text_model: BertModel) -> dict[str, Tensor]:
    """The same volumes, reports and sentences, in the form that a side reads."""
    generator = torch.Generator().manual_seed(0)
    volume = torch.rand(2, 1, *ENCODER["volume"], generator=generator) * 2 - 1
    tokens = 14**3
    visible = random_visible(2, tokens, MASK_RATIO, generator)
    length = plain.WORDS if side == "plain" else max(REPORTS)
    drawn = torch.randint(VOCABULARY, (2, plain.WORDS), generator=generator)[:, :length]
    mask = torch.arange(length) < torch.tensor(REPORTS)[:, None]
    hidden = mask & (torch.rand(2, plain.WORDS, generator=generator)[:, :length] < MASK_RATIO)
    spoken = torch.randint(VOCABULARY, (2 * SENTENCES, SENTENCE), generator=generator)
    spoken_mask = torch.ones_like(spoken, dtype=torch.bool)
    owner = torch.arange(2).repeat_interleave(SENTENCES)
    common = {"volume": volume, "visible": visible, "owner": owner, "sentence_mask": spoken_mask}
    ids = drawn.masked_fill(hidden, 103)
    if side == "plain":
        return common | {"ids": ids, "mask": mask, "targets": drawn, "sentence_ids": spoken}
    with torch.no_grad():  # once in a run, not in a step
        words = text_model(spoken).last_hidden_state
    return common | {
        "report_ids": ids,
        "report_mask": mask,
        "report_hidden": hidden,
        "report_targets": drawn,
        "sentence_words": words,
        "sentence": torch.arange(len(words)),
    }


def suite_step(model: Pretrainer, text_model: BertModel, batch: Mapping[str, Tensor]) -> list:
    """The three losses, as simcrop/pretrain/train.py computes them."""
    with torch.no_grad():
        words = text_model(batch["report_ids"], batch["report_mask"]).last_hidden_state
    return list(model({**batch, "report_words": words}).values())


def main() -> None:
    """Measure both sides in turns, or one of them in this process."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--precision", choices=["no", "bf16"], default="no")
    parser.add_argument("--side", choices=["plain", "suite"], help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.side:
        print(json.dumps(measured(given.side, given.precision)))
        return
    results: dict[str, list[dict[str, float]]] = {"plain": [], "suite": []}
    for _ in range(TURNS):
        for side, taken in results.items():
            command = [sys.executable, __file__, "--side", side, "--precision", given.precision]
            output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
            taken.append(json.loads(output))
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, batch of 2")
    middle = {}
    for side, taken in results.items():
        middle[side] = {
            key: statistics.median(one[key] for one in taken) for key in ("seconds", "gib")
        }
        print(f"{side}: {middle[side]['seconds']:.1f} s a step, {middle[side]['gib']:.1f} GiB")
    faster = middle["plain"]["seconds"] / middle["suite"]["seconds"]
    memory = middle["suite"]["gib"] / middle["plain"]["gib"]
    print(f"{faster:.2f} times as fast, with {memory:.2f} of the peak memory")


if __name__ == "__main__":
    main()
