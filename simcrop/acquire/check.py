"""What is there, what is missing and what it would cost, without fetching anything."""

import shutil
from collections.abc import Iterator
from pathlib import Path

from simcrop import remote, runs
from simcrop.acquire.run import Journal, host_of, needed, sorted_out
from simcrop.errors import InputError
from simcrop.files import below
from simcrop.settings import Config


def check(config: Config) -> Iterator[str]:
    """Lines that tell, dataset by dataset, what `acquire` would do."""
    for name, source in config.acquire.items():
        folder = Path(config.raw(name))
        yield f"{name}: {source.source}, {folder}"
        if source.source == "host":
            run = runs.Acquire(dataset=name, seed=config.seed, source=source)
            try:
                yield from (f"  {line}" for line in _host(run, folder))
            except InputError as error:
                yield f"  {error}"
        elif source.source == "folder":
            found = [path for path in below(folder) if path.is_file()]
            size = sum(path.stat().st_size for path in found)
            yield f"  here: {len(found)} files, {_size(size)}"


def _host(run: runs.Acquire, folder: Path) -> Iterator[str]:
    host = host_of(run)
    yield f"{host.kind}: {', '.join(host.names)}"
    if host.access:
        yield f"{host.access}; {host.token} {'' if host.has_token else 'NOT '}set"
    listed = remote.listing(host, run.source.revision)
    journal = Journal(folder)
    here, missing, left = sorted_out(run, host, listed.files, journal)
    yield f"revision: {listed.revision}"
    for state, files in (
        ("here", here),
        ("missing", missing),
        ("remote, fetched when they are resampled, and dropped", left),
    ):
        size = sum(max(file.bytes, 0) for file in files)
        unknown = sum(file.bytes < 0 for file in files)
        more = f", and {unknown} of unknown size" if unknown else ""
        yield f"{state}: {len(files)} files, {_size(size)}{more}"
    nearest = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    yield f"needed on disk, archives unpacked: {_size(max(needed(folder, missing), 0))}"
    yield f"free on disk: {_size(shutil.disk_usage(nearest).free)}"


def _size(count: int) -> str:
    return f"{count / 1e9:.2f} GB"
