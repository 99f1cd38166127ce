"""A tiny cohort and an untrained encoder, as the earlier stages would leave them."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from simcrop.formats import cases, weights
from simcrop.formats.volumes import VolumeWriter
from simcrop.models.pretrainer import Pretrainer

ENCODER = {"volume": [16, 16, 8], "patch": [8, 8, 4], "width": 12, "depth": 2, "heads": 2}
ALIGNMENT = {"width": 8, "top_k": 2, "temperature": 0.07, "negatives": "volume"}
AFFINE = np.diag([2.0, 2.0, 4.0, 1.0])
TEXT_WIDTH = 8


@pytest.fixture
def case_table(tmp_path: Path) -> Callable[..., pd.DataFrame]:
    """Writes cases.csv: a patient a case, splits in order, labels from their columns."""

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
