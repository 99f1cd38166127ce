"""The section `benchmark`: one class of settings a task."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from simcrop.sections import Name, Share, Strict, Triple


class ProbeSchedule(Strict):
    """Training of a linear probe on one fraction of the training cases."""

    steps: int = Field(gt=0)
    lr: float = Field(gt=0)
    warmup: int = Field(ge=0)
    batch: int = Field(gt=1)
    patience: int = Field(10, ge=1, description="evaluations without a better validation score")


class Task(Strict):
    """What all benchmarks state."""

    title: str
    cohort: Name = Field(description="whose cases it trains on and tests")
    encoders: Name | None = Field(
        None, description="the cohort that its encoders are trained on; pretrain.cohort if unset"
    )


class ZeroShot(Strict):
    """What is asked for each label, of methods that can compare a text with a volume."""

    template: str = Field("{label}.", description="a sentence, with {label} in it")
    sentences: dict[str, str] = Field({}, description="of labels that are told otherwise")

    def sentence(self, label: str) -> str:
        """The sentence that tells of a label."""
        return self.sentences.get(label) or self.template.replace("{label}", label)


SelectOn = Annotated[
    Literal["validation", "test"], Field(description="cases by which the best state is chosen")
]


class Classification(Task):
    """A linear probe on frozen features."""

    task: Literal["classification"]
    kind: Literal["multilabel", "multiclass", "binary"]
    fractions: dict[Share, ProbeSchedule] = Field(min_length=1)
    unit: Literal["volume", "scan"] = Field(
        "volume", description="that is scored; of a scan, its reconstructions are averaged"
    )
    zero_shot: ZeroShot | None = None
    probe_seeds: int = Field(
        1, ge=1, description="probes of one encoder and fraction, each on a draw of its own"
    )
    weight_decay: float = Field(1e-5, ge=0)
    clip: float = Field(1.0, gt=0)
    select_on: SelectOn = "validation"
    drop_path: float = Field(
        0.0, ge=0, lt=1, description="of the frozen encoder, which then runs anew at every step"
    )

    @model_validator(mode="after")
    def _zero_shot_is_by_label(self) -> "Classification":
        if self.zero_shot and self.kind != "multilabel":
            raise ValueError(f"zero_shot asks label by label, which is not of kind {self.kind}")
        return self


class SegmentationSchedule(Strict):
    """Fine-tuning of UNETR on one fraction of the training cases."""

    epochs: int = Field(gt=0)
    validate_every: int = Field(gt=0, description="epochs")


class Segmentation(Task):
    """UNETR around the pre-trained encoder, all weights trained."""

    task: Literal["segmentation"]
    fractions: dict[Share, SegmentationSchedule] = Field(min_length=1)
    crop: Triple = (96, 96, 48)
    crops: int = Field(16, ge=1, description="crops a volume and step, half around foreground")
    batch: int = Field(1, ge=1, description="volumes a step")
    features: int = Field(16, gt=0, description="channels at full resolution")
    lr: float = Field(1e-4, gt=0)
    weight_decay: float = Field(1e-5, ge=0)
    warmup_epochs: float = Field(50, ge=0)
    overlap: float = Field(0.5, ge=0, lt=1, description="of the sliding window")
    flip: float = Field(0.2, ge=0, le=1, description="probability along each axis")
    flip_left_right: bool = Field(False, description="wrong where structures have a side")
    select_on: SelectOn = "validation"
    background: bool = Field(False, description="Dice is averaged with the background's")
    tolerance: float = Field(2.0, ge=0, description="of the surface Dice, in mm")
    intensity: float = Field(0.1, ge=0, description="largest scale and shift, with p 0.1")
    checkpoint_minutes: float = Field(30, gt=0, description="the longest time between checkpoints")


class Localisation(Task):
    """Similarity of a lesion's sentence with the patches, against its mask; no training."""

    task: Literal["localisation"]
    examples: int = Field(4, ge=1, description="test cases whose similarity maps are kept")


class Retrieval(Task):
    """The test reports against the test volumes; no training."""

    task: Literal["retrieval"]


Benchmark = Annotated[
    Classification | Segmentation | Localisation | Retrieval, Field(discriminator="task")
]
