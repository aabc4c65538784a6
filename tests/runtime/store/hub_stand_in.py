"""A hub on this machine that speaks the part of the real one's protocol that the library uses.

Written from what huggingface_hub 2.4 sends and expects, not from the hub itself: model information,
file resolution with and without large-file storage, creation of repositories, preupload, the
large-file batch, and commits. It keeps everything in memory.
"""

from __future__ import annotations

import base64
import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

Files = dict[str, bytes]


@dataclass
class Repository:
    """Commits by their name, branches, and who may read."""

    private: bool = False
    gated: bool = False
    commits: dict[str, Files] = field(default_factory=dict)
    branches: dict[str, str] = field(default_factory=dict)

    def commit(self, files: Files, branch: str = "main") -> str:
        """Add files to what is there; returns the commit."""
        before = self.commits.get(self.branches.get(branch, ""), {})
        now = {**before, **files}
        text = json.dumps({k: hashlib.sha256(v).hexdigest() for k, v in now.items()})
        oid = hashlib.sha1(f"{len(self.commits)}{text}".encode()).hexdigest()
        self.commits[oid] = now
        self.branches[branch] = oid
        return oid

    def at(self, revision: str) -> str | None:
        """The commit that a revision means."""
        return self.branches.get(revision, revision if revision in self.commits else None)


@dataclass
class Hub:
    """What the stand-in holds, and what was asked of it."""

    url: str = ""
    token: str = "hf_right"
    repositories: dict[str, Repository] = field(default_factory=dict)
    large: dict[str, bytes] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    broken: str = ""  # files whose sending breaks off after half
    status: int = 0  # what every request is refused with


class _Answers(BaseHTTPRequestHandler):
    hub: Hub
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: Any) -> None:
        """Keep quiet."""

    def do_HEAD(self) -> None:
        self._any()

    def do_GET(self) -> None:
        self._any()

    def do_POST(self) -> None:
        self._any()

    def do_PUT(self) -> None:
        self._any()

    def _any(self) -> None:
        path = unquote(urlsplit(self.path).path)
        self.hub.asked.append(f"{self.command} {path}")
        length = self.headers.get("Content-Length")
        self.body = self.rfile.read(int(length)) if length else self._chunks()
        if self.hub.status:
            return self._send(self.hub.status, {"error": "no"})
        parts = path.strip("/").split("/")
        if path == "/api/repos/create":
            return self._create()
        if path == "/api/validate-yaml":
            return self._send(200, {"errors": [], "warnings": []})
        if parts[0] == "large":
            return self._large(parts[1])
        name = "/".join(parts[2:4] if parts[0] == "api" else parts[:2]).removesuffix(".git")
        found = self.hub.repositories.get(name)
        may = self.headers.get("authorization") == f"Bearer {self.hub.token}"
        if found is None or (found.private and not may):
            return self._send(401, {"error": "no"}, **{"X-Error-Code": "RepoNotFound"})
        if found.gated and not may:
            return self._send(403, {"error": "no"}, **{"X-Error-Code": "GatedRepo"})
        if self.command == "POST" and not may:
            return self._send(403, {"error": "no"})
        return self._inside(found, name, parts)

    def _inside(self, found: Repository, name: str, parts: list[str]) -> None:
        if parts[-1] == "batch":
            return self._batch()
        verb, revision = (parts[4:6]) if parts[0] == "api" else parts[2:4]
        if verb == "preupload":
            return self._preupload()
        if verb == "commit":
            return self._commit(found, name, revision)
        commit = found.at(revision)
        if commit is None:
            return self._send(404, {"error": "no"}, **{"X-Error-Code": "RevisionNotFound"})
        files = found.commits[commit]
        if verb == "revision":
            rows = [{"rfilename": key, "size": len(value)} for key, value in files.items()]
            return self._send(200, {"id": name, "sha": commit, "siblings": rows})
        return self._resolve(files, commit, "/".join(parts[4:]))

    def _resolve(self, files: Files, commit: str, name: str) -> None:
        if name not in files:
            return self._send(404, {"error": "no"}, **{"X-Error-Code": "EntryNotFound"})
        content, told = files[name], {"X-Repo-Commit": commit}
        if name.endswith(".safetensors"):
            oid = hashlib.sha256(content).hexdigest()
            self.hub.large[oid] = content
            linked = {"X-Linked-Etag": f'"{oid}"', "X-Linked-Size": str(len(content))}
            # As on the real hub, large files come from another host.
            place = {"Location": f"{self.hub.url}/large/{oid}".replace("127.0.0.1", "localhost")}
            return self._send(302, b"", **told, **linked, **place)
        return self._send(200, content, ETag=f'"{hashlib.sha1(content).hexdigest()}"', **told)

    def _large(self, oid: str) -> None:
        if self.command == "PUT":
            assert hashlib.sha256(self.body).hexdigest() == oid
            self.hub.large[oid] = self.body
            return self._send(200, b"")
        return self._send(200, self.hub.large[oid], ETag=f'"{oid}"')

    def _create(self) -> None:
        if self.headers.get("authorization") != f"Bearer {self.hub.token}":
            return self._send(401, {"error": "no"})
        asked = json.loads(self.body)
        name = f"{asked['organization']}/{asked['name']}"
        if name in self.hub.repositories:
            return self._send(409, {"error": "there already", "url": f"{self.hub.url}/{name}"})
        private = asked.get("private", asked.get("visibility") == "private")
        self.hub.repositories[name] = Repository(private=bool(private))
        self.hub.repositories[name].commit({".gitattributes": b"*.safetensors filter=lfs\n"})
        return self._send(200, {"url": f"{self.hub.url}/{name}", "name": name})

    def _preupload(self) -> None:
        rows = []
        for one in json.loads(self.body)["files"]:
            mode = "lfs" if one["path"].endswith(".safetensors") else "regular"
            rows.append({"path": one["path"], "uploadMode": mode, "shouldIgnore": False})
        return self._send(200, {"files": rows})

    def _batch(self) -> None:
        rows = []
        for one in json.loads(self.body)["objects"]:
            upload = {"href": f"{self.hub.url}/large/{one['oid']}"}
            known = one["oid"] in self.hub.large
            rows.append({**one, **({} if known else {"actions": {"upload": upload}})})
        return self._send(200, {"transfer": "basic", "objects": rows})

    def _commit(self, found: Repository, name: str, branch: str) -> None:
        files = {}
        for line in self.body.splitlines():
            told = json.loads(line)
            if told["key"] == "file":
                files[told["value"]["path"]] = base64.b64decode(told["value"]["content"])
            elif told["key"] == "lfsFile":
                files[told["value"]["path"]] = self.hub.large[told["value"]["oid"]]
        oid = found.commit(files, branch)
        url = f"{self.hub.url}/{name}/commit/{oid}"
        return self._send(200, {"commitOid": oid, "commitUrl": url, "success": True})

    def _chunks(self) -> bytes:
        if "chunked" not in self.headers.get("Transfer-Encoding", ""):
            return b""
        got = []
        while size := int(self.rfile.readline(), 16):
            got.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(got)

    def _send(self, status: int, body: Any, **headers: str) -> None:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        for key, value in headers.items():
            self.send_header(key, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command == "HEAD":
            return
        if self.hub.broken and self.hub.broken in self.path and len(content) > 1:
            self.wfile.write(content[: len(content) // 2])
            self.close_connection = True
            return
        self.wfile.write(content)


@contextmanager
def hub_stand_in() -> Iterator[Hub]:
    """A hub on a free port of this machine, for as long as it is needed."""
    hub = Hub()
    answers = type("Answers", (_Answers,), {"hub": hub})
    server = ThreadingHTTPServer(("127.0.0.1", 0), answers)
    hub.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
