"""The two protocols: named groups of values for settings that a configuration leaves open.

`sound` is the defaults of `simcrop.sections` and `tasks`. `published` is what the paper's public
code does where that differs (docs/method.md); a value that is written in the configuration stands
above it.
"""

from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel

from simcrop import sections, tasks
from simcrop.cohorts import official

if TYPE_CHECKING:
    from simcrop.settings import Config

Name = Literal["sound", "published"]

PUBLISHED: dict[type[BaseModel], dict[str, Any]] = {
    sections.Vit: {"positions": "rows_columns"},
    sections.ImageReconstruction: {"mean_over": "all"},
    sections.ReportReconstruction: {"mean_over": "all"},
    sections.SentenceAlignment: {"negatives": "report", "padding": True},
    sections.Recipe: {"flip_left_right": 0.2, "padding": "reflect"},
    tasks.Classification: {"drop_path": 0.1},
    tasks.Segmentation: {"flip_left_right": True, "background": True},
}

# Layouts whose published validation list is the test list, or lies inside it.
SELECTED_ON_TEST = ("ct-rate", "cc-ccii", "luna16", "btcv")


def applied(config: "Config") -> "Config":
    """The configuration with the values of its protocol where it states none itself."""
    if config.protocol == "sound":
        return config
    benchmarks = {
        name: _under(benchmark, {"select_on": "test"})
        if "select_on" in type(benchmark).model_fields
        and config.layout(benchmark.cohort) in SELECTED_ON_TEST
        else benchmark
        for name, benchmark in config.benchmark.items()
    }
    cohorts = {
        name: _under(cohort, {"splits": "published"})
        if config.acquire[config.dataset(name)].source != "synthetic"
        and config.layout(name) in official.FILES
        else cohort
        for name, cohort in config.prepare.items()
    }
    return _published(config.model_copy(update={"benchmark": benchmarks, "prepare": cohorts}))


def _published(value: Any) -> Any:
    """`value` with PUBLISHED laid under every section in it."""
    if isinstance(value, dict):
        return {key: _published(entry) for key, entry in value.items()}
    if not isinstance(value, BaseModel):
        return value
    value = _under(value, PUBLISHED.get(type(value), {}))
    return value.model_copy(
        update={name: _published(getattr(value, name)) for name in type(value).model_fields}
    )


def _under(section: BaseModel, values: dict[str, Any]) -> BaseModel:
    """`section` with `values` for what was not written in it."""
    left_open = values.keys() - section.model_fields_set
    return section.model_copy(update={name: values[name] for name in left_open})
