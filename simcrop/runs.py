"""The full settings of one run, as its folder's settings.yaml holds them.

`simcrop <stage> …/settings.yaml` repeats the run by hand: inputs are named in it, outputs are
written beside it. Paths are relative to the folder in which the workflow runs.
"""

from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import yaml
from pydantic import Field, TypeAdapter, ValidationError, model_validator

from simcrop.errors import InputError
from simcrop.sections import (
    Dataset,
    Inspection,
    Method,
    Recipe,
    Report,
    Spacing,
    Strict,
    TextEncoder,
    Vit,
)
from simcrop.settings import faults
from simcrop.tasks import Classification, Localisation, Retrieval, Segmentation


class Run(Strict):
    """What all runs share: `step` says which function of its stage carries it out."""

    # Settings that no result depends on: others of them start nothing anew.
    CHANGES_NOTHING: ClassVar[dict[str, Any]] = {}

    def yaml(self, exclude: dict[str, Any] | None = None) -> str:
        """The text of settings.yaml; keys keep their order, so equal settings give equal text."""
        content = self.model_dump(mode="json", exclude=exclude)
        return yaml.safe_dump(content, sort_keys=False, width=100)


class Acquire(Run):
    """Makes or finds raw files → record.csv (and raw/ beside it, where they are made)."""

    stage: Literal["acquire"] = "acquire"
    step: Literal["acquire"] = "acquire"
    dataset: str
    seed: int
    source: Dataset


class Lists(Run):
    """The authors' lists of a dataset, as they published them → lists/."""

    stage: Literal["acquire"] = "acquire"
    step: Literal["lists"] = "lists"
    dataset: str
    copied_from: str | None


class Index(Run):
    """The raw layout → cases.csv, with every scan the dataset lists."""

    stage: Literal["prepare"] = "prepare"
    step: Literal["index"] = "index"
    cohort: str
    dataset: str
    seed: int
    raw: str
    validation: float
    test: float
    lists: str | None = None


class Volumes(Run):
    """One shard of the index → volumes.zip, masks.zip, audit.csv."""

    stage: Literal["prepare"] = "prepare"
    step: Literal["volumes"] = "volumes"
    CHANGES_NOTHING: ClassVar = {"processes": True, "endpoint": True}
    cohort: str
    dataset: str
    raw: str
    spacing: Spacing
    shard: int
    shards: int
    processes: int = 1
    endpoint: str | None = Field(None, description="of the host from which raw files are fetched")
    record: str
    cases: str


class Collect(Run):
    """Index and shards → cases.csv, sentences.csv, audit.csv, findings.csv, audit.html."""

    stage: Literal["prepare"] = "prepare"
    step: Literal["collect"] = "collect"
    cohort: str
    max_set_aside: float
    cases: str
    findings: str
    audits: list[str]
    volumes: list[str]


class Text(Run):
    """Reports of the training cases → encoder/, a frozen BERT in transformers' layout."""

    stage: Literal["pretrain"] = "pretrain"
    step: Literal["text"] = "text"
    seed: int
    settings: TextEncoder
    cases: str
    sentences: str


class Encoder(Run):
    """Volumes and sentences → weights.safetensors, history.csv, reconstruction.zip."""

    stage: Literal["pretrain"] = "pretrain"
    step: Literal["encoder"] = "encoder"
    CHANGES_NOTHING: ClassVar = {
        "method": {"title", "compared"},
        "recipe": {"checkpoint_epochs", "checkpoint_minutes"},
    }
    name: str
    seed: int
    method: Method
    encoder: Vit
    spacing: Spacing
    recipe: Recipe | None = Field(None, description="none where there are no objectives")
    cases: str
    sentences: str
    volumes: list[str]
    text_encoder: str | None
    start: str | None = None

    @model_validator(mode="after")
    def _trains_by_a_recipe(self) -> "Encoder":
        if self.method.objectives.names and not self.recipe:
            raise ValueError("the method has objectives, so it needs a recipe; state it")
        return self


class Evaluation(Run):
    """What the runs of all benchmarks share; they write scores.json and predictions.csv."""

    stage: Literal["benchmark"] = "benchmark"
    CHANGES_NOTHING: ClassVar = {"settings": {"title", "checkpoint_minutes"}}
    benchmark: str
    method: str
    seed: int
    weights: str
    record: str = Field(description="of the raw files of the benchmark's cohort")
    cases: str
    volumes: list[str]
    trained_on: list[str] = Field(
        [], description="case table of the encoder's cohort, if another one of the same dataset"
    )


class Classify(Evaluation):
    """A linear probe at every fraction, and zero-shot where there is a text encoder."""

    step: Literal["classification"] = "classification"
    settings: Classification
    text_encoder: str | None = None


class Segment(Evaluation):
    """UNETR at every fraction; the predicted masks of the largest one go to masks.zip."""

    step: Literal["segmentation"] = "segmentation"
    settings: Segmentation
    masks: list[str]
    structures: dict[int, str] = Field(min_length=1, description="name of each id in the masks")


class Locate(Evaluation):
    """Sentences against lesion masks; a few similarity maps go to maps.zip and maps.csv."""

    step: Literal["localisation"] = "localisation"
    settings: Localisation
    masks: list[str]
    lesions: str
    text_encoder: str


class Retrieve(Evaluation):
    """Each report's rank of its volume among all test volumes."""

    step: Literal["retrieval"] = "retrieval"
    settings: Retrieval
    sentences: str
    text_encoder: str
    unit: Literal["sentence", "report"] = Field(description="what the method compares with volumes")
    max_words: int


class Sample(Run):
    """One's own scans through an encoder → embeddings.csv, maps.zip, maps.csv, pictures/*.png."""

    stage: Literal["benchmark"] = "benchmark"
    step: Literal["sample"] = "sample"
    settings: Inspection
    weights: str
    text_encoder: str
    cases: str
    volumes: list[str]
    background: list[str]


class Table(Run):
    """Scores → one table as <table>.csv, <table>.md, <table>.tex and <table>.html."""

    stage: Literal["report"] = "report"
    step: Literal["table"] = "table"
    table: Literal[
        "classification", "segmentation", "localisation", "retrieval", "difference", "ablation"
    ]
    seed: int
    settings: Report
    protocol: str
    titles: dict[str, str] = Field(description="of benchmarks and methods, in table order")
    scores: list[str]
    published: str | None = Field(None, description="file of published figures to stand beside")


class Summary(Run):
    """Tables and scores → metrics.json, auroc.csv and dice.csv, and provenance.csv, a row a run."""

    stage: Literal["report"] = "report"
    step: Literal["summary"] = "summary"
    tables: list[str]
    scores: list[str]


class Images(Strict):
    """A benchmark's run whose kept images are drawn: its folder, and what lies under them."""

    benchmark: str
    run: str
    volumes: list[str]
    masks: list[str]


class Training(Strict):
    """An encoder's training: its method, and history.csv."""

    method: str
    history: str


class Sweep(Strict):
    """A setting of which several values were tried, and the value of each method."""

    axis: str = Field(description="what is on the axis, with its unit")
    log: bool
    values: dict[str, float]


class Figures(Run):
    """Tables, scores, predictions and kept images → figures/*.png, *.svg and *.pdf."""

    stage: Literal["report"] = "report"
    step: Literal["figures"] = "figures"
    seed: int
    settings: Report
    titles: dict[str, str]
    methods: list[str] = Field(description="those that are compared, in table order")
    tables: str = Field(description="the folder of the tables")
    scores: list[str] = Field(description="of the comparison")
    trainings: list[Training]
    reconstruction: str = Field(description="reconstruction.zip of the example method")
    segmentations: list[Images]
    localisations: list[Images]


class Sweeps(Run):
    """The table of the ablations → ablation_sweeps.png, .svg and .pdf."""

    stage: Literal["report"] = "report"
    step: Literal["sweeps"] = "sweeps"
    example: str
    titles: dict[str, str]
    table: str
    sweeps: list[Sweep]


class Shown(Strict):
    """A figure on the page: its file, what it is listed by, and the file of its caption."""

    file: str
    title: str
    benchmark: str
    method: str
    caption: str


class Page(Run):
    """Tables, figures, scores and audits → index.html, and costs.csv of all runs in `results`."""

    stage: Literal["report"] = "report"
    step: Literal["page"] = "page"
    protocol: str
    titles: dict[str, str]
    example: str
    results: str = Field(description="the folder whose runs the costs are of")
    tables: list[str]
    figures: list[Shown]
    scores: list[str]
    audits: list[str]


AnyRun = Annotated[
    Acquire
    | Lists
    | Index
    | Volumes
    | Collect
    | Text
    | Encoder
    | Classify
    | Segment
    | Locate
    | Retrieve
    | Sample
    | Table
    | Summary
    | Figures
    | Sweeps
    | Page,
    Field(discriminator="step"),
]


def load(path: str | Path) -> AnyRun:
    """Read a run's settings.yaml; raises InputError with one line a fault."""
    try:
        content = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
        return TypeAdapter(AnyRun).validate_python(content)
    except FileNotFoundError:
        raise InputError(
            f"{path}: no such file; 'snakemake' writes one into every run's folder"
        ) from None
    except yaml.YAMLError as error:
        raise InputError(f"{path}: not readable as YAML: {error}") from None
    except ValidationError as error:
        raise InputError(f"{path} cannot be used:\n" + faults(error)) from None
