"""A cohort of a few tiny volumes with reports, a text encoder for it, and runs on it."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from simcrop import runs, sections
from simcrop.formats import cases, sentences
from simcrop.formats.volumes import VolumeWriter

SHAPE = (18, 16, 8)  # an edge longer than the input, so that crops have somewhere to go
AFFINE = np.array([[2.0, 0, 0, -30], [0, 2, 0, 10], [0, 0, 4, 5], [0, 0, 0, 1]])
SPLITS = ["train"] * 9 + ["val"] * 3 + ["test"] * 2
SPOKEN = (
    "The heart is normal.",
    "A nodule lies in the right upper lobe.",
    "There is no effusion.",
    "Consolidation fills the left lower lobe.",
)

OBJECTIVES = {
    "image_reconstruction": {"decoder": {"width": 12, "depth": 1, "heads": 2}},
    "report_reconstruction": {"depth": 1, "heads": 2, "feed_forward": 16},
    "sentence_alignment": {"top_k": 2, "width": 8},
    "global_contrast": {"width": 8},
}


@pytest.fixture(scope="session")
def cohort(tmp_path_factory) -> Path:
    """Case table, sentence table and volume store of 14 cases, c0 to c13.

    c3 has no volume, c4 no findings; the word "xylophone" stands in test reports only.
    """
    folder = tmp_path_factory.mktemp("cohort")
    rng = np.random.default_rng(0)
    rows, spoken = [], []
    with VolumeWriter(folder / "volumes.zip") as store:
        for number, split in enumerate(SPLITS):
            case = f"c{number}"
            said = [SPOKEN[i] for i in range(4) if (number + 1) >> i & 1]
            if split == "test":
                said.append("A xylophone is seen.")
            if number == 4:
                said = []
            rows.append(
                {
                    **dict.fromkeys([*cases.TEXT, *cases.HINTS], ""),
                    "case": case,
                    "patient": case,
                    "split": split,
                    "path": "" if number == 3 else f"{case}.nii.gz",
                    "findings": " ".join(said),
                    "impression": "Nodule." if number % 2 else "",
                }
            )
            start = 0
            for order, text in enumerate(said):
                spoken.append((case, "findings", order, text, start, start + len(text)))
                start += len(text) + 1
            if number % 2:
                spoken.append((case, "impression", 0, "Nodule.", 0, 7))
            if number != 3:
                hu = rng.integers(-1200, 1400, SHAPE).astype(np.int16)
                store.add(case, hu, AFFINE)
    cases.write(pd.DataFrame(rows), folder / "cases.csv")
    sentences.write(pd.DataFrame(spoken, columns=list(sentences.COLUMNS)), folder / "sentences.csv")
    return folder


@pytest.fixture(scope="session")
def text_run(cohort) -> runs.Text:
    return runs.Text(
        seed=0,
        settings=sections.TextEncoder(width=16, depth=1, heads=2, steps=20, batch=4),
        cases=str(cohort / "cases.csv"),
        sentences=str(cohort / "sentences.csv"),
    )


@pytest.fixture(scope="session")
def text_encoder(text_run, tmp_path_factory) -> Path:
    """The folder of a text encoder trained on the cohort."""
    from simcrop.pretrain.text import text

    out = tmp_path_factory.mktemp("text")
    text(text_run, out)
    return out / "encoder"


@pytest.fixture
def make_run(cohort, text_encoder):
    """Makes the settings of an encoder's run for the objectives named."""

    def make(*names, objectives=OBJECTIVES, mask_ratio=0.5, seed=3, **recipe) -> runs.Encoder:
        chosen = {name: objectives[name] for name in names}
        defaults = {"epochs": 4, "warmup_epochs": 1, "batch": 3, "lr": 1e-2, "max_words": 24}
        return runs.Encoder(
            name="tiny",
            seed=seed,
            method={"title": "Tiny", "mask_ratio": mask_ratio, "objectives": chosen},
            encoder={
                "volume": (16, 16, 8),
                "patch": (8, 8, 4),
                "width": 12,
                "depth": 1,
                "heads": 2,
            },
            spacing=(2, 2, 4),
            recipe={**defaults, "crop": 0.8, **recipe},
            cases=str(cohort / "cases.csv"),
            sentences=str(cohort / "sentences.csv"),
            volumes=[str(cohort / "volumes.zip")],
            text_encoder=str(text_encoder),
        )

    return make
