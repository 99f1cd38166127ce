"""The sections of the configuration as typed settings; `settings` puts them together."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

Triple = tuple[int, int, int]
Spacing = Annotated[
    tuple[float, float, float], Field(description="mm along x (right to left), y and z")
]
Share = Annotated[float, Field(gt=0, le=1)]
Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9.-]*$")]


class Strict(BaseModel):
    """Settings in which an unknown key or a wrong type is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def _heads_divide(width: int, heads: int) -> None:
    if width % heads:
        raise ValueError(f"width {width} is no multiple of heads {heads}")


class Synthetic(Strict):
    """How the suite's own chests are drawn, in the raw layout of a dataset."""

    cases: int = Field(64, ge=10, description="scans in all, over all splits")
    spacing: Spacing = (7.0, 7.0, 14.0)
    prevalence: Share = 0.25
    lesion_size: float = Field(1.0, gt=0, description="factor on the size of every lesion")
    findings: list[str] | None = Field(
        None,
        min_length=1,
        description="labels that are drawn, unless the dataset has its own; all if unset",
    )
    normal: float = Field(0.45, ge=0, le=1, description="chance that something normal is told")
    brief: bool = Field(False, description="a finding is told in one way only, without its size")


class Dataset(Strict):
    """Where the raw files of one dataset come from."""

    layout: Name | None = Field(
        None, description="the dataset whose raw layout it has; its own name if unset"
    )
    source: Literal["synthetic", "folder", "host"] = "synthetic"
    folder: str | None = Field(
        None, description="the raw files; for source: host where they are put, if not in results/"
    )
    revision: str | None = Field(
        None, description="commit or version at the host; the newest if unset"
    )
    keep: bool = Field(
        True, description="volumes stay on disk; if not, each is fetched when it is resampled"
    )
    endpoint: str | None = Field(None, description="address of a mirror of the host")
    synthetic: Synthetic = Synthetic()

    @model_validator(mode="after")
    def _folder_fits(self) -> "Dataset":
        if self.source == "folder" and not self.folder:
            raise ValueError("source 'folder' needs 'folder', the path of the raw files")
        # Most of all where a file over config.yaml names the folder of real files and no source.
        if self.source == "synthetic" and self.folder:
            raise ValueError(
                f"source 'synthetic' makes its own files and takes none of folder '{self.folder}'; "
                "to read that, set source: folder; else set folder: null"
            )
        return self


class Cohort(Strict):
    """One dataset, resampled to one spacing."""

    dataset: Name | None = Field(
        None, description="a key of acquire; the cohort's own name if unset"
    )
    spacing: Spacing
    shards: int = Field(1, ge=1, description="files, and jobs, that the volumes are divided into")
    validation: float = Field(0.1, ge=0, lt=1, description="share of patients, where none is given")
    test: float = Field(0.2, gt=0, lt=1, description="share of patients, where none is given")
    splits: Literal["sound", "published"] = Field(
        "sound", description="the dataset's own, else by patient; or the lists of the authors"
    )
    processes: int = Field(1, ge=1, description="volumes of a shard that are resampled at once")
    max_set_aside: float = Field(0.01, ge=0, le=1, description="share of bad cases that is borne")


class Vit(Strict):
    """A 3D vision transformer and the volume that it sees."""

    volume: Triple = (224, 224, 112)
    patch: Triple = (16, 16, 8)
    width: int = Field(768, gt=0)
    depth: int = Field(12, gt=0)
    heads: int = Field(12, gt=0)
    positions: Literal["axes", "rows_columns", "stored"] = Field(
        "axes",
        description="`rows_columns` leaves z out; `stored` ones came with weights from elsewhere",
    )
    norm: bool = Field(True, description="after the last block")

    @property
    def grid(self) -> Triple:
        """Patches along each axis."""
        return tuple(v // p for v, p in zip(self.volume, self.patch, strict=True))

    @property
    def tokens(self) -> int:
        """Patches in all."""
        return self.grid[0] * self.grid[1] * self.grid[2]

    @model_validator(mode="after")
    def _divides(self) -> "Vit":
        for axis, edge, patch in zip("xyz", self.volume, self.patch, strict=True):
            if edge <= 0 or patch <= 0 or edge % patch:
                raise ValueError(
                    f"volume edge {edge} along {axis} is no multiple of the patch edge {patch}"
                )
        _heads_divide(self.width, self.heads)
        return self


class Decoder(Strict):
    """A light transformer that rebuilds what was masked."""

    width: int = Field(768, gt=0)
    depth: int = Field(4, gt=0)
    heads: int = Field(16, gt=0)

    @model_validator(mode="after")
    def _divides(self) -> "Decoder":
        _heads_divide(self.width, self.heads)
        return self


class TextEncoder(Strict):
    """The frozen BERT: one trained on the cohort's own reports, or pretrained weights."""

    pretrained: str | None = Field(None, description="path or hub id; trains a small one if unset")
    revision: str | None = Field(None, description="commit of the hub repository")
    width: int = Field(128, gt=0)
    depth: int = Field(2, gt=0)
    heads: int = Field(4, gt=0)
    steps: int = Field(300, ge=20)
    batch: int = Field(32, gt=0)
    lr: float = Field(1e-3, gt=0)
    mask_ratio: Share = 0.15

    @model_validator(mode="after")
    def _divides(self) -> "TextEncoder":
        _heads_divide(self.width, self.heads)
        return self


class ImageReconstruction(Strict):
    """Rebuild the voxels of the masked patches (masked autoencoding)."""

    weight: float = Field(1.0, gt=0)
    decoder: Decoder = Decoder()
    mean_over: Literal["masked", "all"] = Field(
        "masked", description="voxels that the error of the masked ones is divided by"
    )


class ReportReconstruction(Strict):
    """Predict the masked words of the report, with or without the image's help."""

    weight: float = Field(1.0, gt=0)
    mask_ratio: Share = 0.75
    fusion: Literal["none", "instance", "word_patch", "cross_granularity"] = "cross_granularity"
    depth: int = Field(6, gt=0)
    heads: int = Field(6, gt=0)
    feed_forward: int = Field(1536, gt=0)
    mean_over: Literal["masked", "all"] = Field(
        "masked", description="positions that are predicted; `all` has padding among them"
    )


class SentenceAlignment(Strict):
    """Pull each sentence towards the mean of the patches that are most similar to it."""

    weight: float = Field(1.0, gt=0)
    top_k: int | Share = Field(32, description="patches, or their share of the visible ones")
    temperature: float = Field(0.07, gt=0)
    negatives: Literal["report", "batch", "volume"] = "volume"
    padding: bool = Field(
        False,
        description="with negatives `report`: shorter reports are filled up with empty sentences",
    )
    width: int = Field(768, gt=0, description="of the space in which both meet")


class GlobalContrast(Strict):
    """Pull a volume and its whole report together, against the others of the batch (CLIP)."""

    weight: float = Field(1.0, gt=0)
    temperature: float = Field(0.07, gt=0)
    width: int = Field(768, gt=0)


class Objectives(Strict):
    """What an encoder is trained for; none at all leaves it at its random start."""

    image_reconstruction: ImageReconstruction | None = None
    report_reconstruction: ReportReconstruction | None = None
    sentence_alignment: SentenceAlignment | None = None
    global_contrast: GlobalContrast | None = None

    @property
    def names(self) -> list[str]:
        """The objectives that are switched on."""
        return [name for name, value in self if value is not None]

    @property
    def reads_reports(self) -> bool:
        """Whether any of them needs text."""
        return bool(set(self.names) - {"image_reconstruction"})


class Method(Strict):
    """An encoder's training: a mask and a weighted set of objectives."""

    title: str = Field(description="the row's name in tables")
    mask_ratio: float = Field(0.75, ge=0, lt=1, description="share of patches that are dropped")
    compared: bool = Field(
        False, description="a row of every table, as if it stood in pretrain.methods too"
    )
    weights: str | None = Field(
        None,
        description="file, or repository of the hub as OWNER/NAME or OWNER/NAME@REVISION, that the "
        "encoder starts from; without objectives it stays there",
    )
    objectives: Objectives = Objectives()


class Recipe(Strict):
    """Optimisation and augmentation of pre-training."""

    epochs: int = Field(200, gt=0)
    warmup_epochs: float = Field(20, ge=0)
    batch: int = Field(448, gt=1, description="scans a step, over all processes and accumulation")
    accumulation: int = Field(1, ge=1, description="parts in which a batch is computed")
    lr: float = Field(1.5e-4, gt=0)
    weight_decay: float = Field(0.05, ge=0)
    betas: tuple[float, float] = (0.9, 0.95)
    clip: float | None = Field(None, gt=0, description="largest gradient norm")
    precision: Literal["no", "bf16"] = Field(
        "no", description="bf16 is mixed precision; float32 all the same on CPUs without AVX-512"
    )
    crop: float = Field(1.0, gt=0, le=1, description="smallest share of each edge that is kept")
    flip: float = Field(0.2, ge=0, le=1, description="probability, along front-back and head-foot")
    flip_left_right: float = Field(0.0, ge=0, le=1, description="contradicts 'left' in a report")
    padding: Literal["air", "reflect"] = Field("air", description="of volumes that are too small")
    intensity_shift: float = Field(0.1, ge=0)
    intensity_shift_probability: float = Field(0.1, ge=0, le=1)
    max_words: int = Field(512, gt=0, le=512, description="tokens of a report")
    checkpoint_epochs: int = Field(5, ge=1, description="epochs between checkpoints for resuming")
    checkpoint_minutes: float = Field(30, gt=0, description="the longest time between them")

    @model_validator(mode="after")
    def _divides(self) -> "Recipe":
        if self.batch % self.accumulation:
            raise ValueError(
                f"batch {self.batch} is no multiple of accumulation {self.accumulation}"
            )
        if self.warmup_epochs >= self.epochs:
            raise ValueError(
                f"warmup_epochs {self.warmup_epochs} leave nothing of {self.epochs} epochs"
            )
        return self


class Pretrain(Strict):
    """Which encoders are trained, on what and how."""

    cohort: Name
    seeds: list[int] = Field(min_length=1)
    methods: list[Name] = Field(min_length=1, description="keys of methods: the comparison")
    ablations: list[Name] = Field([], description="keys of methods: rows of the ablation table")
    ablation_seeds: list[int] | None = Field(
        None, min_length=1, description="seeds of the ablation table; all of `seeds` if unset"
    )
    encoder: Vit = Vit()
    weights: str | None = Field(
        None,
        description="file or repository that all methods with objectives start from, but for their "
        "own",
    )
    text_encoder: TextEncoder = TextEncoder()
    recipe: Recipe = Recipe()


class Inspection(Strict):
    """One's own scans and reports, put through prepare and through a trained encoder."""

    cohort: Name = Field(description="at the encoder's spacing")
    background: Name = Field(description="a finer cohort of the same dataset, to draw on")
    method: Name
    sentences: list[str] = Field(min_length=1)


class Report(Strict):
    """Tables, figures and the statistics behind them."""

    resamples: int = Field(1000, ge=10, description="of the bootstrap over patients")
    ablation_benchmark: Name = "ct-rate"
    example: Name = Field("simcrop", description="the method whose images are shown")
