"""A server on loopback that speaks as the hub, Zenodo, figshare and Kaggle do, and can be bad.

    with LocalHost() as host:
        host.hub("me/data", {"a.csv": b"…"}, token="secret")
        remote.listing(…, endpoint=host.url)

Only what the suite asks of them is there, in the shapes of their documentation.
"""

import base64
import gzip
import hashlib
import json
import re
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@dataclass
class Fault:
    """What happens to requests for a file, some times.

    status: it is answered instead
    cut: bytes after which the connection ends
    shift: bytes by which a part begins elsewhere than asked, as its Content-Range says
    """

    status: int | None = None
    cut: int | None = None
    shift: int = 0
    times: int = 1_000_000


@dataclass
class LocalHost:
    """See the module; `served` counts the bytes of files sent, `asked` lists path and range.

    logins: the headers Authorization, in order
    ranges: whether parts of a file are given
    zips: whether files are compressed on the way where the client allows it
    pause: seconds after each 16 KiB
    """

    files: dict[str, bytes] = field(default_factory=dict)
    answers: dict[str, object] = field(default_factory=dict)
    tokens: dict[str, str] = field(default_factory=dict)
    faults: dict[str, Fault] = field(default_factory=dict)
    asked: list[tuple[str, str]] = field(default_factory=list)
    logins: list[str | None] = field(default_factory=list)
    served: dict[str, int] = field(default_factory=dict)
    repositories: dict[str, dict[str, bytes]] = field(default_factory=dict)
    ranges: bool = True
    zips: bool = False
    pause: float = 0.0

    def __enter__(self) -> "LocalHost":
        host = self

        class Handler(_Handler):
            local = host

        self._server = _Server(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def hub(self, name: str, files: dict[str, bytes], token: str = "", lfs: int = 100) -> None:
        """A dataset of the hub: SHA-256 of files above `lfs` bytes, Git's SHA-1 of the others."""
        tree = []
        for path, content in files.items():
            oid = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
            entry = {"type": "file", "oid": oid, "size": len(content), "path": path}
            if len(content) > lfs:
                digest = hashlib.sha256(content).hexdigest()
                entry["lfs"] = {"oid": digest, "size": len(content), "pointerSize": 130}
            tree.append(entry)
            self.files[f"/datasets/{name}/resolve/{COMMIT}/{path}"] = content
        info = {"id": name, "sha": COMMIT, "private": False, "gated": bool(token), "tags": []}
        root = f"/api/datasets/{name}"
        self.answers |= {root: info, f"{root}/revision/main": info, f"{root}/tree/{COMMIT}": tree}
        self.answers[f"{root}/revision/{COMMIT}"] = info
        if token:
            self.tokens |= {f"/api/datasets/{name}": f"Bearer {token}"}
            self.tokens |= {f"/datasets/{name}": f"Bearer {token}"}

    def zenodo(self, record: str, files: dict[str, bytes]) -> None:
        """A record of Zenodo."""
        entries = []
        for name, content in files.items():
            path = f"/api/records/{record}/files/{name}/content"
            self.files[path] = content
            entries.append(
                {
                    "key": name,
                    "size": len(content),
                    "checksum": "md5:" + hashlib.md5(content).hexdigest(),
                    "links": {"self": self.url + path},
                }
            )
        self.answers[f"/api/records/{record}"] = {"id": int(record), "files": entries}

    def figshare(self, article: str, files: dict[str, bytes], version: int = 2) -> None:
        """An article of figshare; its files come by a redirect."""
        entries = []
        for number, (name, content) in enumerate(files.items()):
            self.files[f"/storage/{number}"] = content
            self.answers[f"/files/{number}"] = f"{self.url}/storage/{number}"
            entries.append(
                {
                    "id": number,
                    "name": name,
                    "size": len(content),
                    "computed_md5": hashlib.md5(content).hexdigest(),
                    "download_url": f"{self.url}/files/{number}",
                }
            )
        answer = {"id": int(article), "version": version, "files": entries}
        root = f"/v2/articles/{article}"
        self.answers |= {root: answer, f"{root}/versions/{version}": answer}

    def kaggle(self, name: str, archive: bytes, user: str, key: str, version: int = 3) -> None:
        """A dataset of Kaggle, one archive behind a login."""
        root = "/api/v1/datasets"
        self.answers[f"{root}/view/{name}"] = {"currentVersionNumber": version}
        self.files[f"{root}/download/{name}"] = archive
        login = "Basic " + base64.b64encode(f"{user}:{key}".encode()).decode()
        self.tokens[f"{root}/download/{name}"] = login


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *arguments: object) -> None:
        """Clients that are killed on purpose are no news."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    local: LocalHost

    def log_message(self, *arguments: object) -> None:
        pass

    def do_GET(self) -> None:
        path = unquote(urlsplit(self.path).path)
        local = self.local
        local.asked.append((path, self.headers.get("Range", "")))
        local.logins.append(self.headers.get("Authorization"))
        for start, token in local.tokens.items():
            if path.startswith(start) and self.headers.get("Authorization") != token:
                return self._end(401, b"{}", {"X-Error-Code": "GatedRepo"})
        fault = local.faults.get(path)
        if fault and fault.times > 0:
            fault.times -= 1
            if fault.status:
                return self._end(fault.status, b"{}", {"Retry-After": "0"})
        else:
            fault = None
        if path in local.files:
            return self._file(path, local.files[path], fault)
        for name, files in local.repositories.items():
            if path == f"/api/models/{name}/revision/main":
                kept = [{"rfilename": file} for file in files]
                return self._json({"id": name, "sha": COMMIT, "siblings": kept, "tags": []})
            if path.startswith(f"/api/models/{name}/tree/"):
                kept = [
                    {"type": "file", "oid": "0" * 40, "size": len(content), "path": file}
                    for file, content in files.items()
                ]
                return self._json(kept)
            start = f"/{name}/resolve/"
            if path.startswith(start):
                file = path.removeprefix(start).partition("/")[2]
                if file in files:
                    return self._file(path, files[file], None)
        answer = local.answers.get(path)
        if answer is None:
            return self._end(404, b"{}", {"X-Error-Code": "EntryNotFound"})
        if isinstance(answer, str):
            return self._end(302, b"", {"Location": answer})
        return self._json(answer)

    do_HEAD = do_GET

    def do_POST(self) -> None:
        path = urlsplit(self.path).path
        body = self._body()
        local = self.local
        local.asked.append((path, ""))
        if path not in ("/api/repos/create",) and not path.startswith("/api/validate-yaml"):
            name = re.search(r"(?:/api/models)?/([^/]+/[^/.]+)", path)[1]
        if path == "/api/repos/create":
            if "push" in local.tokens and self.headers["Authorization"] != local.tokens["push"]:
                return self._end(401, b"{}", {})
            asked = json.loads(body)
            name = f"{asked.get('organization') or 'me'}/{asked['name']}"
            local.repositories.setdefault(name, {})
            return self._json({"url": f"{local.url}/{name}", "id": name})
        if path == "/api/validate-yaml":
            return self._json({"errors": [], "warnings": []})
        if "/preupload/" in path:
            files = [
                {
                    "path": file["path"],
                    "uploadMode": "lfs" if file["path"].endswith(".safetensors") else "regular",
                    "shouldIgnore": False,
                }
                for file in json.loads(body)["files"]
            ]
            return self._json({"files": files})
        if path.endswith("/info/lfs/objects/batch"):
            objects = [
                entry | {"actions": {"upload": {"href": f"{local.url}/lfs/{entry['oid']}"}}}
                for entry in json.loads(body)["objects"]
            ]
            return self._json({"transfer": "basic", "objects": objects})
        if "/commit/" in path:
            for line in map(json.loads, body.splitlines()):
                if line["key"] == "file":
                    content = base64.b64decode(line["value"]["content"])
                    local.repositories[name][line["value"]["path"]] = content
                if line["key"] == "lfsFile":
                    content = local.files[f"/lfs/{line['value']['oid']}"]
                    local.repositories[name][line["value"]["path"]] = content
            answer = {"commitUrl": f"{local.url}/{name}/commit/{COMMIT}", "commitOid": COMMIT}
            return self._json(answer | {"success": True})
        return self._end(404, b"{}", {})

    def do_PUT(self) -> None:
        path = urlsplit(self.path).path
        self.local.files[path] = self._body()
        self._end(200, b"", {})

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def _json(self, answer: object) -> None:
        self._end(200, json.dumps(answer).encode(), {"Content-Type": "application/json"})

    def _end(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _file(self, path: str, content: bytes, fault: Fault | None) -> None:
        wanted = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        start = int(wanted[1]) if wanted and self.local.ranges else 0
        if start and fault:
            start += fault.shift
        if start and start >= len(content):
            return self._end(416, b"", {"Content-Range": f"bytes */{len(content)}"})
        if self.local.zips and "gzip" in self.headers.get("Accept-Encoding", ""):
            return self._end(200, gzip.compress(content), {"Content-Encoding": "gzip"})
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        self.send_header("Content-Length", str(len(content) - start))
        self.send_header("ETag", f'"{hashlib.sha256(content).hexdigest()}"')
        self.send_header("X-Repo-Commit", COMMIT)
        self.end_headers()
        if self.command == "HEAD":
            return
        end = (
            min(len(content), start + fault.cut)
            if fault and fault.cut is not None
            else len(content)
        )
        for begin in range(start, end, 2**14):
            part = content[begin : min(begin + 2**14, end)]
            try:
                self.wfile.write(part)
            except OSError:
                break
            self.local.served[path] = self.local.served.get(path, 0) + len(part)
            if self.local.pause:
                threading.Event().wait(self.local.pause)
        if end < len(content):
            self.close_connection = True
            self.connection.close()
