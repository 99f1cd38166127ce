"""What the workflow tells each job: the text of its run's settings.yaml.

A builder takes the configuration, the rule's wildcards and its input, whose names are the fields of
the run, and returns that text.
"""

from collections.abc import Callable
from typing import Any

from simcrop import cohorts, plan, runs
from simcrop.settings import Config

Builder = Callable[[Any, Any], str]


def trigger(builder: Builder) -> Callable[[Any], str]:
    """The settings that a run's result depends on, but for the paths of its input, as a parameter
    that starts it anew.

    Snakemake compares parameters with those of the last run only where they do not depend on input.
    """
    return lambda wildcards: builder(wildcards, None)


def acquire(config: Config) -> Builder:
    """Settings of `acquire`, by dataset."""
    return lambda wildcards, input: _yaml(
        runs.Acquire,
        input,
        dataset=wildcards.dataset,
        seed=config.seed,
        source=config.acquire[wildcards.dataset],
    )


def lists(config: Config) -> Builder:
    """Settings of `lists`, by layout."""
    return lambda wildcards, input: _yaml(
        runs.Lists, input, dataset=wildcards.layout, copied_from=config.official
    )


def index(config: Config) -> Builder:
    """Settings of `index`, by cohort."""

    def build(wildcards: Any, input: Any) -> str:
        return _yaml(
            runs.Index,
            input,
            cohort=wildcards.cohort,
            dataset=config.layout(wildcards.cohort),
            seed=config.seed,
            raw=config.raw(config.dataset(wildcards.cohort)),
            validation=config.prepare[wildcards.cohort].validation,
            test=config.prepare[wildcards.cohort].test,
            lists=next(iter(plan.official_lists(config, wildcards.cohort)), None),
        )

    return build


def volumes(config: Config) -> Builder:
    """Settings of `volumes`, by cohort and shard."""

    def build(wildcards: Any, input: Any) -> str:
        settings = config.prepare[wildcards.cohort]
        return _yaml(
            runs.Volumes,
            input,
            cohort=wildcards.cohort,
            dataset=config.layout(wildcards.cohort),
            raw=config.raw(config.dataset(wildcards.cohort)),
            spacing=settings.spacing,
            shard=int(wildcards.shard),
            shards=settings.shards,
            processes=settings.processes,
            endpoint=config.acquire[config.dataset(wildcards.cohort)].endpoint,
        )

    return build


def collect(config: Config) -> Builder:
    """Settings of `collect`, by cohort."""
    return lambda wildcards, input: _yaml(
        runs.Collect,
        input,
        cohort=wildcards.cohort,
        max_set_aside=config.prepare[wildcards.cohort].max_set_aside,
    )


def text(config: Config) -> Builder:
    """Settings of `text`."""
    return lambda wildcards, input: _yaml(
        runs.Text, input, seed=config.seed, settings=config.pretrain.text_encoder
    )


def encoder(config: Config) -> Builder:
    """Settings of `encoder`, by method and seed."""

    def build(wildcards: Any, input: Any) -> str:
        method = config.methods[wildcards.method]
        return _yaml(
            runs.Encoder,
            input,
            name=wildcards.method,
            seed=int(wildcards.seed),
            method=method,
            encoder=config.pretrain.encoder,
            spacing=config.prepare[wildcards.cohort].spacing,
            recipe=config.pretrain.recipe if method.objectives.names else None,
            text_encoder=plan.TEXT_ENCODER.format(cohort=wildcards.cohort)
            if method.objectives.reads_reports
            else None,
            start=plan.start(config, wildcards.method),
        )

    return build


def evaluation(config: Config, kind: type[runs.Evaluation]) -> Builder:
    """Settings of a benchmark's run, by benchmark, method and seed."""

    def build(wildcards: Any, input: Any) -> str:
        benchmark = config.benchmark[wildcards.benchmark]
        fields: dict[str, Any] = {}
        if kind is runs.Classify:
            found = plan.zero_shot(config, wildcards.benchmark, wildcards.method)
            fields["text_encoder"] = next(iter(found), None)
        if kind is runs.Segment:
            fields["structures"] = cohorts.get(config.layout(benchmark.cohort)).STRUCTURES
        if kind is runs.Locate:
            raw = config.raw(config.dataset(benchmark.cohort))
            fields["lesions"] = f"{raw}/synthetic/lesions.csv"
        if kind is runs.Retrieve:
            fields["unit"] = "sentence" if plan.aligned(config, wildcards.method) else "report"
            fields["max_words"] = config.pretrain.recipe.max_words
        if kind in (runs.Locate, runs.Retrieve):
            trained_on = config.encoders(wildcards.benchmark)
            fields["text_encoder"] = plan.TEXT_ENCODER.format(cohort=trained_on)
        return _yaml(
            kind,
            input,
            benchmark=wildcards.benchmark,
            method=wildcards.method,
            seed=int(wildcards.seed),
            settings=benchmark,
            **fields,
        )

    return build


def sample(config: Config) -> Builder:
    """Settings of `sample`."""
    return lambda wildcards, input: _yaml(
        runs.Sample,
        input,
        settings=config.sample,
        text_encoder=plan.TEXT_ENCODER.format(cohort=config.pretrain.cohort),
    )


def table(config: Config) -> Builder:
    """Settings of `table`, by table."""
    return lambda wildcards, input: _yaml(
        runs.Table,
        input,
        table=wildcards.table,
        seed=config.seed,
        settings=config.report,
        protocol=config.protocol,
        titles=titles(config),
    )


def summary(config: Config) -> Builder:
    """Settings of `summary`."""
    return lambda wildcards, input: _yaml(runs.Summary, input)


def figures(config: Config, trainings: list[runs.Training]) -> Builder:
    """Settings of `figures`."""

    def images(task: str) -> list[runs.Images]:
        return [
            runs.Images(
                benchmark=name,
                run=plan.example(config, name),
                volumes=plan.shards(config, config.benchmark[name].cohort, "volumes.zip"),
                masks=plan.shards(config, config.benchmark[name].cohort, "masks.zip"),
            )
            for name in plan.benchmarks(config, task)
            if task != "localisation" or plan.aligned(config, config.report.example)
        ]

    return lambda wildcards, input: _yaml(
        runs.Figures,
        input,
        seed=config.seed,
        settings=config.report,
        titles=titles(config),
        methods=config.pretrain.methods,
        tables="results/report",
        trainings=trainings,
        segmentations=images("segmentation"),
        localisations=images("localisation"),
    )


def sweeps(config: Config, varied: list[runs.Sweep]) -> Builder:
    """Settings of `sweeps`."""
    example = config.report.example
    return lambda wildcards, input: _yaml(
        runs.Sweeps, input, example=example, titles=titles(config), sweeps=varied
    )


def page(config: Config, figures: list[runs.Shown]) -> Builder:
    """Settings of `page`."""
    return lambda wildcards, input: _yaml(
        runs.Page,
        input,
        protocol=config.protocol,
        titles=titles(config),
        example=config.report.example,
        results="results",
        figures=figures,
    )


def titles(config: Config) -> dict[str, str]:
    """Printed names of benchmarks and methods, in the order of the tables."""
    methods = dict.fromkeys([*config.pretrain.methods, *config.pretrain.ablations])
    return {
        **{name: benchmark.title for name, benchmark in config.benchmark.items()},
        **{name: config.methods[name].title for name in methods},
    }


def _yaml(kind: type[runs.Run], input: Any | None, **fields: Any) -> str:
    """The text of settings.yaml; without `input`, that of all a result depends on but paths."""
    if input is None:
        return kind.model_construct(**fields).yaml(exclude=kind.CHANGES_NOTHING)
    paths = {
        name: str(value) if isinstance(value, str) else [str(path) for path in value]
        for name, value in input.items()
        if name in kind.model_fields
    }
    return kind(**{**paths, **fields}).yaml()
