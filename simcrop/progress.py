"""Progress with a rate, the time left and the end, readable on a terminal and in a log file.

Of several processes that train together, the first one shows it.
"""

import sys
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import Any, TypeVar

from tqdm import tqdm

from simcrop import processes

Item = TypeVar("Item")


class _Bar(tqdm):
    """A bar that says when it will be full."""

    @property
    def format_dict(self) -> dict[str, Any]:
        values = super().format_dict
        done, elapsed, total = values["n"] - values["initial"], values["elapsed"], values["total"]
        values["end"] = ""
        if total and done > 0:
            left = timedelta(seconds=elapsed * (total - values["n"]) / done)
            values["end"] = f", ends {datetime.now() + left:%Y-%m-%d %H:%M}"
        return values


class _Lines:
    """Standard error with each redrawn bar on a line of its own, as a log file wants it."""

    def write(self, text: str) -> None:
        text = text.strip("\r\n ")
        if text:
            sys.stderr.write(text + "\n")

    def flush(self) -> None:
        sys.stderr.flush()


def byte_progress(name: str, total: int, done: int) -> tqdm:
    """A bar of bytes with rate and time left, to be updated; `done` of them came earlier."""
    return _bar(desc=name, total=total, initial=done, unit="B", unit_scale=True)


def progress(
    items: Iterable[Item], name: str, total: int | None = None, done: int = 0
) -> Iterator[Item]:
    """Iterate over `items`, showing how far it is; an earlier start had finished `done` of them."""
    return iter(_bar(items, desc=name, total=total, initial=done))


def _bar(items: Iterable[Item] | None = None, **options: object) -> tqdm:
    terminal = sys.stderr.isatty()
    return _Bar(
        items,
        file=sys.stderr if terminal else _Lines(),
        mininterval=0.2 if terminal else 10,
        ascii=not terminal,
        dynamic_ncols=terminal,
        bar_format="{l_bar}{bar}| {n_fmt}/{total_fmt} [{elapsed}<{remaining}, {rate_fmt}{end}]",
        disable=processes.rank() > 0,
        **options,
    )
