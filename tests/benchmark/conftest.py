"""A tiny cohort and an untrained encoder, as the earlier stages would leave them."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from simcrop import runs
from simcrop.formats import cases, record, weights
from simcrop.formats.volumes import VolumeWriter
from simcrop.models.pretrainer import Pretrainer

ENCODER = {"volume": [16, 16, 8], "patch": [8, 8, 4], "width": 12, "depth": 2, "heads": 2}
ALIGNMENT = {"width": 8, "top_k": 2, "temperature": 0.07, "negatives": "volume"}
AFFINE = np.diag([2.0, 2.0, 4.0, 1.0])
TEXT_WIDTH = 8
SEGMENTED = ["train"] * 4 + ["val"] * 2 + ["test"] * 3


@pytest.fixture
def case_table(tmp_path: Path) -> Callable[..., pd.DataFrame]:
    """Writes cases.csv: a patient a case, splits in order, labels from their columns; and an
    empty record.csv."""

    def write(splits: list[str], labels: dict[str, list], patients: list[str] | None = None):
        names = [f"case{i:02}" for i in range(len(splits))]
        table = pd.DataFrame("", index=range(len(names)), columns=[*cases.TEXT, *cases.HINTS])
        table = table.assign(
            case=names, cohort="tiny", patient=patients or names, scan=names, split=splits
        )
        table = table.assign(path="raw.nii.gz", mask="mask.nii.gz")
        for label, values in labels.items():
            table[cases.LABEL + label] = values
        table.to_csv(tmp_path / "cases.csv", index=False)
        record.write(pd.DataFrame(columns=record.COLUMNS), tmp_path / "record.csv")
        return table

    return write


@pytest.fixture
def store(tmp_path: Path) -> Callable[..., str]:
    """Writes a volume store of the given arrays by case and returns its path."""

    def write(name: str, volumes: dict[str, np.ndarray], affine: np.ndarray = AFFINE) -> str:
        with VolumeWriter(tmp_path / name) as writer:
            for case, volume in volumes.items():
                writer.add(case, volume, affine)
        return str(tmp_path / name)

    return write


@pytest.fixture
def encoder_weights(tmp_path: Path) -> Callable[..., str]:
    """Writes weights.safetensors of an untrained encoder, with or without alignment heads."""

    def write(aligned: bool = False, **changes: object) -> str:
        encoder = {**ENCODER, **changes}
        objectives = {"sentence_alignment": ALIGNMENT} if aligned else {}
        model = Pretrainer(encoder, objectives, seed=0, text_width=TEXT_WIDTH)
        stated = {**ALIGNMENT, "weight": 1.0} if aligned else None
        settings = {
            "encoder": encoder,
            "method": {"objectives": {"sentence_alignment": stated}},
        }
        weights.save(tmp_path / "weights.safetensors", model.state_dict(), settings)
        return str(tmp_path / "weights.safetensors")

    return write


@pytest.fixture
def make_segment(tmp_path: Path, store, case_table, encoder_weights) -> Callable[..., runs.Segment]:
    """A run over boxes of bone, structure 2, in air; structure 1 is in no case."""
    rng = np.random.default_rng(0)
    volumes, masks = {}, {}
    for i in range(len(SEGMENTED)):
        mask = np.zeros((18, 14, 8), np.uint8)
        x, y = rng.integers(2, 8, 2)
        mask[x : x + 7, y : y + 6, 2:6] = 2
        masks[f"case{i:02}"] = mask
        noise = rng.normal(0, 20, (18, 14, 8))
        volumes[f"case{i:02}"] = (np.where(mask, 600, -900) + noise).astype(np.int16)
    case_table(SEGMENTED, {})
    paths = {"volumes": [store("volumes.zip", volumes)], "masks": [store("masks-true.zip", masks)]}

    def make(fractions, structures=None, **settings):
        return runs.Segment(
            benchmark="tiny",
            method="random",
            seed=0,
            weights=encoder_weights(),
            record=str(tmp_path / "record.csv"),
            cases=str(tmp_path / "cases.csv"),
            structures=structures or {1: "nothing", 2: "box"},
            settings={
                "task": "segmentation",
                "title": "Tiny",
                "cohort": "tiny",
                "fractions": fractions,
                "crop": [16, 16, 8],
                "crops": 2,
                "batch": 2,
                "features": 4,
                "lr": 0.01,
                "warmup_epochs": 0,
                **settings,
            },
            **paths,
        )

    return make
