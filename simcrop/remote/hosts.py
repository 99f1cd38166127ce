"""What the Hugging Face hub, Zenodo, figshare and Kaggle hold of a dataset, as one list of files.

Hub: huggingface_hub asks for the tree and finds the token. Zenodo: /api/records/<record>. figshare:
/v2/articles/<article>[/versions/<version>]. Kaggle: /api/v1/datasets/view and download, the latter
one archive.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Any, Literal
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase
from urllib3.util import Retry, make_headers

from simcrop.errors import InputError

_RETRIES = 6
BACKOFF = 1.0
_TIMEOUT = (20, 120)
# The hub's is that of huggingface_hub, which reads HF_ENDPOINT.
_ADDRESSES = {
    "zenodo": "https://zenodo.org",
    "figshare": "https://api.figshare.com",
    "kaggle": "https://www.kaggle.com",
}


class Refused(InputError):
    """The host wants a token, or its terms accepted."""


class Unusable(InputError):
    """The host lists a file that it does not have, or has otherwise."""


class Unreachable(InputError):
    """The host does not answer."""


class _Login(AuthBase):
    """The header that shows who one is, sent to one scheme, host and port alone."""

    def __init__(self, header: str, address: str) -> None:
        self._header, self._address = header, address

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if _origin(request.url) == _origin(self._address):
            request.headers["Authorization"] = self._header
        return request


class _Session(requests.Session):
    """A client whose login gives way to none of ~/.netrc, as that of requests does on redirects."""

    def rebuild_auth(
        self, prepared_request: requests.PreparedRequest, response: requests.Response
    ) -> None:
        if self.auth is None:
            super().rebuild_auth(prepared_request, response)
            return
        prepared_request.headers.pop("Authorization", None)
        self.auth(prepared_request)


@dataclass(frozen=True)
class Host:
    """Where a dataset is kept.

    kind: `open` are plain addresses, of which there is no listing
    names: repository, records or article, in the spelling of the host
    files: patterns of the files that are wanted
    volumes: patterns of those among them that are one volume each, and need not be kept
    access: what has to be done before the host gives them
    endpoint: address of a mirror, in place of the host's own
    """

    kind: Literal["hub", "zenodo", "figshare", "kaggle", "open"]
    names: tuple[str, ...] = ()
    files: tuple[str, ...] = ("*",)
    volumes: tuple[str, ...] = ()
    access: str = ""
    endpoint: str = ""

    @property
    def address(self) -> str:
        """Where it is asked, and the only place that a token is sent to; empty for `open`."""
        if self.endpoint:
            return self.endpoint.rstrip("/")
        if self.kind == "hub":
            from huggingface_hub import constants

            return constants.ENDPOINT
        return _ADDRESSES.get(self.kind, "")

    def mirrored(self, endpoint: str | None) -> "Host":
        """Its mirror at `endpoint`; itself if there is none."""
        return replace(self, endpoint=endpoint or "")

    def is_volume(self, name: str) -> bool:
        """Whether a file is one volume."""
        return any(fnmatchcase(name, pattern) for pattern in self.volumes)

    @property
    def token(self) -> str:
        """The environment variables that hold what the host asks for; empty where it is open."""
        return {"hub": "HF_TOKEN", "kaggle": "KAGGLE_USERNAME and KAGGLE_KEY"}.get(self.kind, "")

    @property
    def has_token(self) -> bool:
        """Whether they are set, or nothing is asked for."""
        return not self.token or bool(self._login())

    def session(self) -> requests.Session:
        """A client that identifies itself, and asks again with growing pauses when it is put off.

        It shows its token to `address` alone, whatever it is asked to get and wherever that leads.
        """
        session = _Session()
        session.headers["Accept-Encoding"] = "identity"
        if login := self._login():
            session.auth = _Login(login, self.address)
        retry = Retry(
            total=_RETRIES,
            connect=2,
            backoff_factor=BACKOFF,
            status_forcelist=(429, 500, 502, 503, 504),
            raise_on_status=False,
        )
        for scheme in ("http://", "https://"):
            session.mount(scheme, HTTPAdapter(max_retries=retry))
        return session

    def get(self, session: requests.Session, url: str, **options: Any) -> requests.Response:
        """GET `url`.

        Raises:
            Refused: 401 or 403. Unusable: 404. Unreachable: no answer. InputError: another error.
        """
        try:
            response = session.get(url, timeout=_TIMEOUT, **options)
        except requests.RequestException as error:
            raise Unreachable(f"{url}: no answer ({type(error).__name__}); try again") from None
        if response.status_code < 400 or response.status_code == 416:
            return response
        response.close()
        raise self.fault(url, response.status_code)

    def fault(self, url: str, status: int) -> InputError:
        """The error that a status of 400 or more stands for."""
        if status in (401, 403):
            ask = f"set {self.token}" if self.token else "see whether the record is open"
            if self.token and status == 403:
                ask += ", of an account that may read it"
            if self.token and self.has_token and _origin(url) != _origin(self.address):
                ask = f"{self.token} goes to {self.address} alone; name a mirror as `endpoint`"
            asked = ", ".join(filter(None, (self.access, ask)))
            return Refused(f"{url}: refused ({status}); {asked}")
        if status == 404:
            return Unusable(f"{url}: not there (404); look at the revision, or report it")
        return InputError(f"{url}: the host answers {status}; try again later")

    def _login(self) -> str:
        """What the header Authorization says; empty where nothing is set, or asked for."""
        if self.kind == "hub":
            from huggingface_hub import get_token

            token = get_token()
            return f"Bearer {token}" if token else ""
        pair = (os.environ.get("KAGGLE_USERNAME", ""), os.environ.get("KAGGLE_KEY", ""))
        if self.kind == "kaggle" and all(pair):
            return make_headers(basic_auth=":".join(pair))["authorization"]
        return ""


@dataclass(frozen=True)
class File:
    """A file at its host.

    name: relative, as it is kept here
    bytes: -1 where the host does not say
    checksum: "sha256:…", "md5:…" or "git:…" (see `download.checksum`), empty where there is none
    """

    name: str
    bytes: int
    checksum: str
    url: str


@dataclass(frozen=True)
class Listing:
    """What a host holds of a dataset at one revision."""

    revision: str
    files: list[File]


def listing(host: Host, revision: str | None = None) -> Listing:
    """Ask a host for its files; none of them is fetched.

    Args:
        revision: commit (hub) or version (figshare, Kaggle); the newest if unset. Records of Zenodo
            are revisions themselves.

    Raises:
        InputError: the host refuses, does not answer, or holds none of the wanted files.
    """
    revision, files = _KINDS[host.kind](host, revision)
    kept = [f for f in files if any(fnmatchcase(f.name, pattern) for pattern in host.files)]
    if not kept:
        raise InputError(
            f"{', '.join(host.names)}: holds none of {', '.join(host.files)} at revision "
            f"{revision}; look at the revision"
        )
    for file in kept:
        _check_name(host, file.name)
    return Listing(revision, sorted(kept, key=lambda file: file.name))


def _hub(host: Host, revision: str | None) -> tuple[str, list[File]]:
    from huggingface_hub import HfApi, hf_hub_url
    from huggingface_hub.errors import GatedRepoError, HfHubHTTPError, RepositoryNotFoundError
    from huggingface_hub.hf_api import RepoFile

    (name,) = host.names
    api = HfApi(endpoint=host.address)
    asked = f"{api.endpoint}/datasets/{name}"
    try:
        commit = api.repo_info(name, repo_type="dataset", revision=revision).sha
        tree = api.list_repo_tree(name, repo_type="dataset", revision=commit, recursive=True)
        entries = [entry for entry in tree if isinstance(entry, RepoFile)]
    except (GatedRepoError, RepositoryNotFoundError):
        # The hub hides what one may not see behind 404 or 401.
        raise host.fault(asked, 401) from None
    except HfHubHTTPError as error:
        raise host.fault(asked, error.response.status_code) from None
    except Exception as error:  # of the hub's client, which has changed its own more than once
        raise InputError(f"{asked}: no answer ({type(error).__name__}); try again") from None
    return commit, [
        File(
            entry.path,
            entry.size,
            f"sha256:{entry.lfs.sha256}" if entry.lfs else f"git:{entry.blob_id}",
            hf_hub_url(
                name, entry.path, repo_type="dataset", revision=commit, endpoint=api.endpoint
            ),
        )
        for entry in entries
    ]


def _zenodo(host: Host, revision: str | None) -> tuple[str, list[File]]:
    files = []
    with host.session() as session:
        for record in host.names:
            url = f"{host.address}/api/records/{record}"
            files += [
                File(f["key"], f["size"], _md5(f["checksum"]), f["links"]["self"])
                for f in _json(host, session, url)["files"]
            ]
    return ", ".join(host.names), files


def _figshare(host: Host, revision: str | None) -> tuple[str, list[File]]:
    (article,) = host.names
    url = f"{host.address}/v2/articles/{article}"
    with host.session() as session:
        answer = _json(host, session, f"{url}/versions/{revision}" if revision else url)
    return str(answer["version"]), [
        File(
            entry["name"],
            entry["size"],
            _md5(entry.get("computed_md5") or entry.get("supplied_md5") or ""),
            entry["download_url"],
        )
        for entry in answer["files"]
    ]


def _kaggle(host: Host, revision: str | None) -> tuple[str, list[File]]:
    (name,) = host.names
    root = f"{host.address}/api/v1/datasets"
    if revision is None:
        with host.session() as session:
            revision = str(_json(host, session, f"{root}/view/{name}")["currentVersionNumber"])
    url = f"{root}/download/{name}?datasetVersionNumber={revision}"
    return revision, [File(f"{name.rpartition('/')[2]}.zip", -1, "", url)]


_KINDS: dict[str, Callable[[Host, str | None], tuple[str, list[File]]]] = {
    "hub": _hub,
    "zenodo": _zenodo,
    "figshare": _figshare,
    "kaggle": _kaggle,
}


def _json(host: Host, session: requests.Session, url: str) -> dict[str, Any]:
    try:
        return host.get(session, url).json()
    except requests.JSONDecodeError:
        raise InputError(f"{url}: the answer is no JSON; try again later") from None


def _origin(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or {"http": 80, "https": 443}.get(parts.scheme)


def _md5(checksum: str) -> str:
    digest = checksum.removeprefix("md5:")
    return f"md5:{digest}" if digest else ""


def _check_name(host: Host, name: str) -> None:
    """Raise InputError if a file would be put outside of its folder."""
    if name.startswith("/") or ".." in name.split("/") or "\\" in name:
        raise InputError(
            f"{', '.join(host.names)}: lists a file named '{name}', which leads elsewhere; "
            "nothing of it is fetched, report it to the host"
        )
