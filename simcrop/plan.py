"""What the workflow asks: which runs a configuration has, and where their files lie.

What each of them is told stands in `simcrop.jobs`.
"""

import itertools
import re
from collections.abc import Callable, Sequence
from pathlib import PurePosixPath
from typing import Any

from simcrop import hub
from simcrop.settings import Config

PREPARE = "results/prepare/{cohort}"
WEIGHTS = "results/pretrain/{cohort}/{method}/{seed}/weights.safetensors"
EVALUATION = "results/benchmark/{benchmark}/{method}/{seed}"
LISTS = "results/acquire/official/{layout}/lists"
TEXT_ENCODER = "results/pretrain/{cohort}/text/encoder"
COMPARISON = ("classification", "segmentation", "localisation", "retrieval", "difference")
TABLES = (*COMPARISON, "ablation")
MEANS = tuple(table for table in TABLES if table != "difference")


def shards(config: Config, cohort: str, file: str) -> list[str]:
    """`file` of every shard of a cohort."""
    folder = PREPARE.format(cohort=cohort)
    return [f"{folder}/volumes/{i}/{file}" for i in range(config.prepare[cohort].shards)]


def prepared(config: Config, benchmark: str, file: str) -> str:
    """`file` of the cohort that a benchmark uses."""
    return f"{PREPARE.format(cohort=config.benchmark[benchmark].cohort)}/{file}"


def record(config: Config, benchmark: str) -> str:
    """The record of the raw files of the cohort that a benchmark uses."""
    return f"results/acquire/{config.dataset(config.benchmark[benchmark].cohort)}/record.csv"


def stores(config: Config, benchmark: str, file: str) -> list[str]:
    """`file` of every shard of the cohort that a benchmark uses."""
    return shards(config, config.benchmark[benchmark].cohort, file)


def official_lists(config: Config, cohort: str) -> list[str]:
    """The authors' lists of a cohort's dataset, if it is split by them."""
    if config.prepare[cohort].splits == "sound":
        return []
    return [LISTS.format(layout=config.layout(cohort))]


def pattern(config: Config, task: str) -> str:
    """A regular expression for the benchmarks of one task; matches nothing where there are none."""
    return "|".join(map(re.escape, benchmarks(config, task))) or "(?!)"


def benchmarks(config: Config, task: str) -> list[str]:
    """The benchmarks of one task."""
    return [name for name, benchmark in config.benchmark.items() if benchmark.task == task]


def encoders(config: Config) -> list[str]:
    """The weights of every method, cohort and seed; of the ablations on the main cohort alone."""
    main = config.pretrain.cohort
    trained_on = dict.fromkeys([main, *map(config.encoders, config.benchmark)])
    wanted = itertools.product(trained_on, config.pretrain.methods, config.pretrain.seeds)
    ablated = itertools.product([main], config.pretrain.ablations, config.ablation_seeds)
    return [
        WEIGHTS.format(cohort=cohort, method=method, seed=seed)
        for cohort, method, seed in dict.fromkeys([*wanted, *ablated])
    ]


def weights(config: Config) -> Callable[[Any], str]:
    """The encoder that a benchmark's run evaluates, by its wildcards."""
    return lambda wc: WEIGHTS.format(
        cohort=config.encoders(wc.benchmark), method=wc.method, seed=wc.seed
    )


def trained_on(config: Config, benchmark: str, method: str) -> list[str]:
    """The cases that an encoder was trained on, where test patients could be among them.

    Within one cohort the splits keep them apart, and names of two datasets tell nothing.
    """
    cohort, other = config.benchmark[benchmark].cohort, config.encoders(benchmark)
    apart = cohort == other or config.dataset(cohort) != config.dataset(other)
    if apart or not config.methods[method].objectives.names:
        return []
    return [f"{PREPARE.format(cohort=other)}/cases.csv"]


def scores(config: Config, table: str) -> list[str]:
    """The scores that a table is made of."""
    pretrain, report = config.pretrain, config.report
    if table == "ablation":
        if not pretrain.ablations:
            return []
        seeds = config.ablation_seeds
        methods = dict.fromkeys([report.example, *pretrain.ablations])
        names = [report.ablation_benchmark, *benchmarks(config, "localisation")]
        trained_on = config.encoders(report.ablation_benchmark)
        names = [name for name in names if config.encoders(name) == trained_on]
    else:
        seeds = pretrain.seeds
        methods = dict.fromkeys(pretrain.methods)
        tasks = ("classification", "segmentation") if table == "difference" else (table,)
        names = [name for task in tasks for name in benchmarks(config, task)]
    return [
        EVALUATION.format(benchmark=name, method=method, seed=seed) + "/scores.json"
        for name in dict.fromkeys(names)
        for method in methods
        if _able(config, name, method)
        for seed in seeds
    ]


def all_scores(config: Config, tables: Sequence[str] = TABLES) -> list[str]:
    """The scores that `tables` are made of, each once."""
    return list(dict.fromkeys(path for table in tables for path in scores(config, table)))


def text_encoder(config: Config, cohort: str, method: str | None = None) -> list[str]:
    """The text encoder of a cohort, if `method` reads reports."""
    reads = method is None or config.methods[method].objectives.reads_reports
    return [TEXT_ENCODER.format(cohort=cohort)] if reads else []


def zero_shot(config: Config, benchmark: str, method: str) -> list[str]:
    """The text encoder of a zero-shot classification, if the benchmark and the method have one."""
    if not (_matches(config, method) and config.benchmark[benchmark].zero_shot):
        return []
    return text_encoder(config, config.encoders(benchmark), method)


def start(config: Config, method: str) -> str | None:
    """The file or repository that the encoder of a method starts from, if there is one."""
    entry = config.methods[method]
    return entry.weights or (config.pretrain.weights if entry.objectives.names else None)


def start_file(config: Config, method: str) -> list[str]:
    """The file that the encoder of a method starts from, if it is one here."""
    place = start(config, method)
    return [place] if place and not hub.is_repository(place) else []


def example(config: Config, benchmark: str) -> str:
    """The folder of the run whose images are shown for a benchmark."""
    return EVALUATION.format(
        benchmark=benchmark, method=config.report.example, seed=config.pretrain.seeds[0]
    )


def reconstruction(config: Config) -> str:
    """The rebuilt volumes of the method whose images are shown."""
    return str(PurePosixPath(shown(config, config.report.example)).with_name("reconstruction.zip"))


def shown(config: Config, method: str) -> str:
    """The encoder of a method, on the main cohort and of the first seed."""
    return WEIGHTS.format(
        cohort=config.pretrain.cohort, method=method, seed=config.pretrain.seeds[0]
    )


def _able(config: Config, benchmark: str, method: str) -> bool:
    """Whether a method has what a benchmark asks of it."""
    task = config.benchmark[benchmark].task
    if task == "localisation":
        return aligned(config, method)
    return task != "retrieval" or _matches(config, method)


def _matches(config: Config, method: str) -> bool:
    objectives = config.methods[method].objectives
    return bool(objectives.sentence_alignment or objectives.global_contrast)


def aligned(config: Config, method: str) -> bool:
    """Whether a method compares sentences with patches."""
    return config.methods[method].objectives.sentence_alignment is not None
