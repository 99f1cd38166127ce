"""The configuration a user writes: typed, checked before any work starts, one section a stage."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml
from pydantic import Field, ValidationError, model_validator

from simcrop import protocols
from simcrop.cohorts import official
from simcrop.errors import InputError
from simcrop.sections import (
    Cohort,
    Dataset,
    Inspection,
    Method,
    Name,
    Pretrain,
    Report,
    Strict,
)
from simcrop.tasks import Benchmark, Segmentation

# Read one over the other, and below those that a user names.
DEFAULTS = (Path("config/methods.yaml"), Path("config/config.yaml"))


class Config(Strict):
    """The whole configuration, as `config/*.yaml` give it."""

    seed: int = Field(0, ge=0, description="of synthetic cohorts and of splits")
    protocol: protocols.Name = Field("sound", description="of what the settings leave open")
    official: str | None = Field(
        None, description="folder with a copy of the authors' lists; fetched if unset"
    )
    acquire: dict[Name, Dataset]
    prepare: dict[Name, Cohort]
    methods: dict[Name, Method]
    pretrain: Pretrain
    benchmark: dict[Name, Benchmark]
    report: Report = Report()
    sample: Inspection | None = None

    def dataset(self, cohort: str) -> str:
        """The dataset that a cohort is prepared from."""
        return self.prepare[cohort].dataset or cohort

    def layout(self, cohort: str) -> str:
        """The dataset of `simcrop.cohorts` whose raw layout a cohort is read from."""
        dataset = self.dataset(cohort)
        return self.acquire[dataset].layout or dataset

    def encoders(self, benchmark: str) -> str:
        """The cohort that the encoders of a benchmark are trained on."""
        return self.benchmark[benchmark].encoders or self.pretrain.cohort

    @property
    def ablation_seeds(self) -> list[int]:
        """The seeds of the ablation table."""
        return self.pretrain.ablation_seeds or self.pretrain.seeds

    def raw(self, dataset: str) -> str:
        """The folder that holds a dataset's raw files."""
        entry = self.acquire[dataset]
        return entry.folder or f"results/acquire/{dataset}/raw"

    @model_validator(mode="after")
    def _names_exist(self) -> "Config":
        for cohort in self.prepare:
            _known(f"prepare.{cohort}.dataset", self.dataset(cohort), self.acquire, "acquire")
            layout = self.layout(cohort)
            if self.prepare[cohort].splits == "published" and layout not in official.FILES:
                raise ValueError(f"prepare.{cohort}.splits: the authors have no list of {layout}")
        _known("pretrain.cohort", self.pretrain.cohort, self.prepare, "prepare")
        for key in ("methods", "ablations"):
            for method in getattr(self.pretrain, key):
                _known(f"pretrain.{key}", method, self.methods, "methods")
        for name, benchmark in self.benchmark.items():
            _known(f"benchmark.{name}.cohort", benchmark.cohort, self.prepare, "prepare")
            _known(f"benchmark.{name}.encoders", self.encoders(name), self.prepare, "prepare")
            if self.protocol == "sound" and getattr(benchmark, "select_on", "") == "test":
                raise ValueError(
                    f"benchmark.{name}.select_on: a state chosen on the test cases scores too high "
                    "on them; use validation, or protocol: published"
                )
        if unknown := set(self.ablation_seeds) - set(self.pretrain.seeds):
            raise ValueError(f"pretrain.ablation_seeds: {sorted(unknown)} are not among the seeds")
        if self.pretrain.ablations:
            _known(
                "report.ablation_benchmark",
                self.report.ablation_benchmark,
                self.benchmark,
                "benchmark",
            )
        _known("report.example", self.report.example, self.pretrain.methods, "pretrain.methods")
        if both := sorted(set(self.methods) & set(self.benchmark)):
            raise ValueError(f"methods.{both[0]}: a benchmark has this name too; rename either")
        shown = dict.fromkeys([*self.pretrain.methods, *self.pretrain.ablations])
        _titled_apart("methods", {name: self.methods[name].title for name in shown})
        _titled_apart("benchmark", {name: entry.title for name, entry in self.benchmark.items()})
        if self.sample:
            _known("sample.cohort", self.sample.cohort, self.prepare, "prepare")
            _known("sample.background", self.sample.background, self.prepare, "prepare")
            _known("sample.method", self.sample.method, self.pretrain.methods, "pretrain.methods")
        return self

    @model_validator(mode="after")
    def _sizes_fit(self) -> "Config":
        encoder = self.pretrain.encoder
        for name in {*self.pretrain.methods, *self.pretrain.ablations}:
            method = self.methods[name]
            visible = encoder.tokens - round(encoder.tokens * method.mask_ratio)
            told = f"methods.{name}.mask_ratio {method.mask_ratio:g} of {encoder.tokens} patches"
            if method.objectives.names and not visible:
                raise ValueError(f"{told} leaves none visible")
            if method.objectives.image_reconstruction and visible == encoder.tokens:
                raise ValueError(f"{told} leaves image_reconstruction nothing to rebuild")
            alignment = method.objectives.sentence_alignment
            if (
                alignment
                and isinstance(alignment.top_k, int)
                and not 1 <= alignment.top_k <= visible
            ):
                raise ValueError(
                    f"methods.{name}.objectives.sentence_alignment.top_k is {alignment.top_k}, "
                    f"but {visible} of {encoder.tokens} patches are visible"
                )
        for name, benchmark in self.benchmark.items():
            if isinstance(benchmark, Segmentation):
                for axis, edge, patch in zip("xyz", benchmark.crop, encoder.patch, strict=True):
                    if edge % patch:
                        raise ValueError(
                            f"benchmark.{name}.crop: edge {edge} along {axis} is no multiple of "
                            f"the patch edge {patch}"
                        )
        return self


def read(paths: Iterable[str | Path]) -> Config:
    """The configuration of files that lie one over the other, as the workflow reads them.

    Raises:
        InputError: a file is missing or no YAML, or the configuration cannot be used.
    """
    config: dict[str, Any] = {}
    for path in paths:
        try:
            content = yaml.safe_load(Path(path).read_text(encoding="utf-8")) or {}
        except FileNotFoundError:
            raise InputError(
                f"{path}: no such file; call this in the folder that holds config/"
            ) from None
        except yaml.YAMLError as error:
            raise InputError(f"{path}: not readable as YAML: {error}") from None
        config = _merged(config, content)
    return load(config)


def load(config: dict[str, Any]) -> Config:
    """Resolve `extends` and `compared` among the methods and check the whole configuration.

    An entry of null takes away what a file below had under that name.

    Raises:
        InputError: with one line a fault, each naming its key.
    """
    config = dict(config)
    for section in ("acquire", "prepare", "benchmark"):
        if isinstance(config.get(section), dict):
            entries = config[section].items()
            config[section] = {name: entry for name, entry in entries if entry is not None}
    methods = config.get("methods")
    if isinstance(methods, dict):
        methods = {name: _extended(name, methods) for name in methods}
        config["methods"] = methods
        config["pretrain"] = _with_compared(config.get("pretrain"), methods)
    try:
        checked = Config.model_validate(config)
    except ValidationError as error:
        raise InputError("the configuration cannot be used:\n" + faults(error)) from None
    return protocols.applied(checked)


def faults(error: ValidationError) -> str:
    """One line a fault: the key, what is wrong and, for a wrong value, the value."""
    lines = []
    for fault in error.errors():
        key = ".".join(str(part) for part in fault["loc"]) or "config"
        message = fault["msg"].removeprefix("Value error, ")
        if fault["type"] == "extra_forbidden":
            message = "unknown setting; remove it or mend its spelling"
        elif fault["type"] not in ("missing", "value_error"):
            message += f", not {fault['input']!r}"
        lines.append(f"  {key}: {message}")
    return "\n".join(lines)


def _extended(name: str, methods: dict[str, Any], below: tuple[str, ...] = ()) -> dict[str, Any]:
    """The entry of `name` laid over the one it extends; null removes what it inherits."""
    if name in below:
        raise InputError(f"methods.{below[0]}: extends itself through {' > '.join((*below, name))}")
    if name not in methods:
        raise InputError(f"methods.{below[-1]}.extends: there is no method '{name}'")
    entry = dict(methods[name] or {})
    parent = entry.pop("extends", None)
    if below:  # what tells a method's row in the tables from others is not inherited
        entry.pop("title", None)
        entry.pop("compared", None)
    return _merged(_extended(parent, methods, (*below, name)), entry) if parent else entry


def _with_compared(pretrain: Any, methods: dict[str, Any]) -> Any:
    """The section `pretrain` with the methods that say of themselves that they are compared."""
    named = pretrain.get("methods") if isinstance(pretrain, dict) else None
    if not isinstance(named, list):
        return pretrain
    further = [name for name, entry in methods.items() if entry.get("compared") is True]
    return {**pretrain, "methods": list(dict.fromkeys([*named, *further]))}


def _merged(under: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    merged = dict(under)
    for key, value in over.items():
        nested = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = _merged(merged[key], value) if nested else value
    return merged


def _titled_apart(section: str, titles: dict[str, str]) -> None:
    first: dict[str, str] = {}
    for name, title in titles.items():
        if title in first:
            raise ValueError(
                f"{section}.{name}.title: '{title}' is the title of {first[title]} too; rows and "
                "columns of the tables are told apart by it"
            )
        first[title] = name


def _known(key: str, name: str, names: Any, where: str) -> None:
    if name not in names:
        raise ValueError(f"{key}: '{name}' is not among {where} ({', '.join(names)})")
