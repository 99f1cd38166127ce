"""One file from its host: resumed after any cut, checked, and put in its place only then.

Neither huggingface_hub (from 2.0) nor pooch goes on where an earlier process stopped; files of many
GB need that, so the transfer is made here.
"""

import hashlib
import re
import time
from collections.abc import Callable
from pathlib import Path

import requests
from urllib3.exceptions import HTTPError

from simcrop.errors import DISK_FULL, InputError
from simcrop.remote import hosts
from simcrop.remote.hosts import File, Host, Unreachable, Unusable

_CHUNK = 2**18
_IDLE_TRIES = 6


def download(
    host: Host, file: File, target: Path, advanced: Callable[[int], object] = lambda count: None
) -> str:
    """Fetch `file` to `target`; returns its checksum, "sha256:…" where the host gives none.

    What an interrupted call has fetched lies in `<target>.part`, and is not fetched again.

    Args:
        advanced: told the number of bytes as they come, those of an earlier call first; negative
            where they have to be fetched again.

    Raises:
        Refused: the host does not give it to you.
        Unusable: it is not there, or not what was listed.
        InputError: the host cannot be reached, or the disk is full.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(target.name + ".part")
    for last in (False, True):
        try:
            _complete(host, file, part, advanced)
        except OSError as error:
            if error.errno in DISK_FULL:
                raise InputError(
                    f"{part}: no space left for {file.name}; make room, and start again: what was "
                    "fetched stays"
                ) from error
            raise
        found = checksum(part, file.checksum.partition(":")[0] or "sha256")
        if found == (file.checksum or found):
            part.replace(target)
            return found
        advanced(-part.stat().st_size)
        part.unlink()
        if last:
            raise Unusable(
                f"{file.url}: has checksum {found} twice, and {file.checksum} is listed; report it "
                "to the host, or take another revision"
            )
    raise AssertionError


def checksum(path: Path, kind: str) -> str:
    """The checksum of a file, as "<kind>:<hexadecimal>".

    `git` is the SHA-1 by which Git, and the hub, name a file: of its size and its content.
    """
    with path.open("rb") as stream:
        if kind != "git":
            return f"{kind}:{hashlib.file_digest(stream, kind).hexdigest()}"
        digest = hashlib.sha1(b"blob %d\0" % path.stat().st_size, usedforsecurity=False)
        while piece := stream.read(_CHUNK):
            digest.update(piece)
    return f"git:{digest.hexdigest()}"


def _complete(host: Host, file: File, part: Path, advanced: Callable[[int], object]) -> None:
    """Add to `part` what it lacks."""
    size = file.bytes
    have = part.stat().st_size if part.exists() else 0
    if 0 <= size < have:
        part.unlink()
        have = 0
    advanced(have)
    idle = 0
    reason = "ends early"
    with host.session() as session:
        while have != size:
            before = have
            try:
                have, size = _more(host, session, file, part, have, size, advanced)
            except (HTTPError, ConnectionError, TimeoutError, Unreachable) as error:
                reason = type(error).__name__
                have = part.stat().st_size if part.exists() else 0
            if have != size:
                idle = 0 if have > before else idle + 1
                if idle == _IDLE_TRIES:
                    raise InputError(
                        f"{file.url}: cut again and again ({reason}), with {have} bytes here; "
                        "start again later"
                    )
                time.sleep(hosts.BACKOFF * 2**idle)
    if size == 0:
        part.touch()


def _more(
    host: Host,
    session: requests.Session,
    file: File,
    part: Path,
    have: int,
    size: int,
    advanced: Callable[[int], object],
) -> tuple[int, int]:
    """One request from byte `have` on; returns how many bytes there are then, and the whole size.

    The size is unknown (-1) until a host tells it.
    """
    headers = {"Range": f"bytes={have}-"} if have else {}
    with host.get(session, file.url, headers=headers, stream=True) as response:
        span = re.fullmatch(
            r"bytes (?:(\d+)-\d+|\*)/(\d+)", response.headers.get("Content-Range", "")
        )
        if response.status_code == 416 and span and int(span[2]) == have:
            return have, have
        if response.status_code != 206 or not span or int(span[1] or -1) != have:
            advanced(-have)
            part.unlink(missing_ok=True)
            have = 0
            if response.status_code != 200:
                return have, size
        told = int(span[2]) if have else int(response.headers.get("Content-Length", -1))
        if told != size and -1 not in (told, size):
            raise Unusable(
                f"{file.url}: is of {told} bytes, and {size} are listed; take another revision"
            )
        size = max(size, told)
        # Unbuffered, so that what came before a kill is on disk.
        with part.open("ab", buffering=0) as out:
            # Of a cut connection `iter_content` would drop what does not fill a chunk.
            while chunk := response.raw.read1(_CHUNK):
                out.write(chunk)
                have += len(chunk)
                advanced(len(chunk))
    return have, have if size == -1 else size
