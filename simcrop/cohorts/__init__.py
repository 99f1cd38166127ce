"""One module a dataset: its source, raw layout, labels, splits and known faults.

A module has `index(raw, cohort)`, which reads the layout's metadata into a case table; where it can
be fetched, HOST; where the suite can draw the dataset, `make(raw, settings, seed)`, which writes a
synthetic cohort in that layout; where it has masks of structures, STRUCTURES (id → name) and, if
the raw codes differ from the ids, MASK_CODES (code → id). SPLITS = False says that its cases never
belong to a split.

A new file here is a new dataset, named like it with - for _.
"""

import pkgutil
from importlib import import_module
from types import ModuleType

from simcrop.errors import InputError


def get(dataset: str) -> ModuleType:
    """The module of a dataset; raises InputError for an unknown name."""
    if dataset in _modules():
        module = import_module(f"{__name__}.{_modules()[dataset]}")
        if hasattr(module, "index"):
            return module
    raise InputError(f"there is no dataset '{dataset}'; known are {', '.join(names())}")


def names() -> list[str]:
    """The names of all datasets, those of the modules here that have an `index`."""
    return [
        dataset
        for dataset, module in _modules().items()
        if hasattr(import_module(f"{__name__}.{module}"), "index")
    ]


def _modules() -> dict[str, str]:
    """The name that a dataset would have → its module, for all modules here."""
    found = sorted(module.name for module in pkgutil.iter_modules(__path__))
    return {name.replace("_", "-"): name for name in found}
