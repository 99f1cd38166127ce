"""One module a dataset: its source, raw layout, labels, splits and known faults.

A module has `index(raw, cohort)`, which reads the layout's metadata into a case table; where it can
be fetched, HOST; where the suite can draw the dataset, `make(raw, settings, seed)`, which writes a
synthetic cohort in that layout; where it has masks of structures, STRUCTURES (id → name) and, if
the raw codes differ from the ids, MASK_CODES (code → id). SPLITS = False says that its cases never
belong to a split.
"""

from importlib import import_module
from types import ModuleType

from simcrop.errors import InputError

DATASETS = ("ct-rate", "radchestct", "cc-ccii", "luna16", "btcv", "sample")


def get(dataset: str) -> ModuleType:
    """The module of a dataset; raises InputError for an unknown name."""
    if dataset not in DATASETS:
        raise InputError(f"there is no dataset '{dataset}'; known are {', '.join(DATASETS)}")
    return import_module(f"simcrop.cohorts.{dataset.replace('-', '_')}")
