"""What the figures of a configuration show: what each is listed by, and which settings were varied.

A figure is named by its kind, followed by its benchmark where there is one of each.
"""

from pathlib import PurePosixPath
from typing import Any

from simcrop import plan, runs
from simcrop.sections import Method
from simcrop.settings import Config

# Kind of figure, which is the name of its caption too → what it is listed as.
KINDS = {
    "label_efficiency": "Label efficiency",
    "per_label_auroc": "AUROC by label",
    "per_label_difference": "Difference by label",
    "training_curves": "Training curves",
    "ablation_sweeps": "Ablations of one number",
    "reconstruction": "Reconstruction",
    "segmentation": "Segmentation",
    "similarity": "Similarity",
}
_IMAGES = ("reconstruction", "segmentation", "similarity")
# Where a setting of a method lies → what is on its axis, and whether that is logarithmic.
_SWEPT = {
    ("objectives", "sentence_alignment", "top_k"): ("K (patches)", True),
    ("mask_ratio",): ("Masked patches (%)", False),
    ("objectives", "report_reconstruction", "mask_ratio"): ("Masked words (%)", False),
}


def names(config: Config) -> list[str]:
    """All figures of the report; what a configuration has no runs for is left out."""
    return [*of_comparison(config), *of_ablations(config)]


def of_ablations(config: Config) -> list[str]:
    """The figures that the ablations are run for."""
    return ["ablation_sweeps"] if sweeps(config) else []


def of_comparison(config: Config) -> list[str]:
    """The figures that need no ablation."""
    objectives = config.methods[config.report.example].objectives
    kinds = {benchmark.task for benchmark in config.benchmark.values()}
    found = ["label_efficiency"] if kinds & {"classification", "segmentation"} else []
    several = [n for n, b in config.benchmark.items() if getattr(b, "kind", "") == "multilabel"]
    found += [f"per_label_auroc_{name}" for name in several]
    if len(config.pretrain.methods) > 1:
        found += [f"per_label_difference_{name}" for name in several]
    if trainings(config):
        found.append("training_curves")
    if objectives.image_reconstruction:
        found.append("reconstruction")
    found += [f"segmentation_{name}" for name in plan.benchmarks(config, "segmentation")]
    if objectives.sentence_alignment:
        found += [f"similarity_{name}" for name in plan.benchmarks(config, "localisation")]
    return found


def kind(figure: str) -> str:
    """The kind of a figure."""
    return next(kind for kind in KINDS if figure == kind or figure.startswith(f"{kind}_"))


def shown(config: Config) -> list[runs.Shown]:
    """The figures as the page shows them."""
    return [
        runs.Shown(
            file=f"results/report/figures/{figure}.svg",
            caption=f"workflow/report/{kind(figure)}.rst",
            **labels(config, figure),
        )
        for figure in names(config)
    ]


def labels(config: Config, figure: str) -> dict[str, str]:
    """What a figure is listed by: what it shows, of which benchmark and of which method."""
    benchmark = figure.removeprefix(kind(figure)).removeprefix("_")
    example = config.methods[config.report.example].title
    return {
        "title": KINDS[kind(figure)],
        "benchmark": config.benchmark[benchmark].title if benchmark else "all",
        "method": example if kind(figure) in _IMAGES else "all",
    }


def trainings(config: Config) -> list[runs.Training]:
    """The trainings whose curves are drawn: all of the comparison on the main cohort."""
    return [
        runs.Training(method=method, history=str(PurePosixPath(path).with_name("history.csv")))
        for method in config.pretrain.methods
        if config.methods[method].objectives.names
        for seed in config.pretrain.seeds
        for path in [plan.WEIGHTS.format(cohort=config.pretrain.cohort, method=method, seed=seed)]
    ]


def sweeps(config: Config) -> list[runs.Sweep]:
    """The numbers of which the ablations try several values and change nothing else."""
    names = dict.fromkeys([config.report.example, *config.pretrain.ablations])
    found = []
    for path, (axis, log) in _SWEPT.items():
        values, others = {}, []
        for name in names:
            value, rest = _apart(config.methods[name], path)
            others.append(rest)
            if value is not None and rest == others[0]:
                values[name] = _counted(config, config.methods[name], value, path)
        if len(set(values.values())) > 1:
            found.append(runs.Sweep(axis=axis, log=log, values=values))
    return found


def _apart(method: Method, path: tuple[str, ...]) -> tuple[float | None, dict[str, Any]]:
    """The value of a setting, None where the method has no such objective; and all others."""
    rest = method.model_dump(exclude={"title", "compared"})
    place: dict[str, Any] | None = rest
    for key in path[:-1]:
        place = place and place[key]
    return (place.pop(path[-1]) if place else None), rest


def _counted(config: Config, method: Method, value: float, path: tuple[str, ...]) -> float:
    """The value of a setting as its axis counts it: patches, or percent."""
    if path[-1] != "top_k":
        return 100 * value
    tokens = config.pretrain.encoder.tokens
    visible = tokens - round(tokens * method.mask_ratio)
    return value if isinstance(value, int) else max(1, round(value * visible))
