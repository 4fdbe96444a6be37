"""Pushing and pulling model folders, against a local stand-in for the hub that keeps commits in memory."""

import base64
import hashlib
import importlib
import json
import re
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import torch

import logpx
import logpx.hub
from logpx.errors import DataError, MissingExtraError, ModelFolderError, ResourceError, UsageError

Folders = Callable[[str], Path]
pytestmark = pytest.mark.filterwarnings("default")


class StandIn(BaseHTTPRequestHandler):
    """The few requests that a push and a pull make; a name with "locked" in it is refused."""

    commits: dict[str, dict[str, bytes]]
    branches: dict[str, str]

    def answer(self, content: bytes, status: int = 200, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(content)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def json(self, document: object, status: int = 200) -> None:
        self.answer(json.dumps(document).encode(), status, {"Content-Type": "application/json"})

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.headers.get("Transfer-Encoding") == "chunked":
            body = b""
            while size := int(self.rfile.readline(), 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
        if self.path.endswith("/repos/create"):
            name = json.loads(body)["name"]
            refused = "locked" in name
            self.json(
                {"error": "no permission"} if refused else {"url": f"{self.address}/user/{name}"},
                403 if refused else 200,
            )
        elif self.path.endswith("/validate-yaml"):
            self.json({"errors": [], "warnings": []})
        elif "/preupload/" in self.path:
            files = json.loads(body)["files"]
            self.json(
                {
                    "files": [
                        {"path": one["path"], "uploadMode": "regular", "shouldIgnore": False} for one in files
                    ]
                }
            )
        else:
            repo = re.search(r"/api/models/(.+)/commit/", self.path).group(1)
            files = {}
            for line in body.splitlines():
                entry = json.loads(line)
                if entry["key"] == "file":
                    files[entry["value"]["path"]] = base64.b64decode(entry["value"]["content"])
            oid = hashlib.sha1(body).hexdigest()
            self.commits[oid], self.branches[repo] = files, oid
            self.json({"commitUrl": f"{self.address}/{repo}/commit/{oid}", "commitOid": oid, "success": True})

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if found := re.fullmatch(r"/api/models/(.+)/tree/([0-9a-f]{40})", path):
            files = self.commits[found.group(2)]
            kind = {"type": "file", "oid": "0" * 40}
            self.json([{"path": name, "size": len(files[name]), **kind} for name in files])
            return
        if found := re.fullmatch(r"/api/models/(.+?)(?:/revision/(.+))?", path):
            repo, revision = found.groups()
            oid = revision if revision in self.commits else self.branches.get(repo)
            if oid is None:
                self.json({"error": "Repository not found"}, 404)
                return
            siblings = [{"rfilename": name} for name in self.commits[oid]]
            self.json(
                {"id": repo, "modelId": repo, "sha": oid, "siblings": siblings, "tags": [], "private": True}
            )
            return
        found = re.fullmatch(r"/(.+)/resolve/([0-9a-f]{40})/(.+)", path)
        content = self.commits[found.group(2)][found.group(3)]
        etag = hashlib.sha1(content).hexdigest()
        self.answer(content, 200, {"ETag": f'"{etag}"', "X-Repo-Commit": found.group(2)})

    do_HEAD = do_GET

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[type[StandIn]]:
    missing = "huggingface_hub is not installed: make test-engines"
    pytest.importorskip("huggingface_hub", reason=missing, exc_type=ImportError)

    constants = importlib.import_module("huggingface_hub.constants")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    handler = type("Handler", (StandIn,), {"commits": {}, "branches": {}})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    handler.address = f"http://127.0.0.1:{server.server_address[1]}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield handler
    server.shutdown()
    server.server_close()


def test_what_was_pushed_is_pulled(hub, folders: Folders, tmp_path: Path):
    options = {"endpoint": hub.address, "token": "testing"}
    first = logpx.hub.push(folders("smooth"), "user/density", **options)
    second = logpx.hub.push(folders("gaussian"), "user/density", **options)
    assert first != second
    for revision, kind in ((first, "smooth"), (second, "gaussian"), (None, "gaussian")):
        place = tmp_path / f"{kind}-{revision}"
        model = logpx.hub.pull("user/density", place, revision=revision, **options)
        for name, value in logpx.load(folders(kind)).state_dict().items():
            assert torch.equal(model.state_dict()[name], value)
        for file in folders(kind).iterdir():
            assert (place / file.name).read_bytes() == file.read_bytes()
    with pytest.raises(UsageError, match="already holds a model"):
        logpx.hub.pull("user/density", place, **options)


def test_as_on_the_page(hub, recipe, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", hub.address)
    files = hub.address + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr("huggingface_hub.constants.HUGGINGFACE_CO_URL_TEMPLATE", files)
    monkeypatch.setenv("HF_TOKEN", "testing")
    found = recipe("The Hugging Face Hub")
    assert set(hub.commits) == {found["commit"]}
    for file in Path("model").iterdir():
        assert (Path("pulled") / file.name).read_bytes() == file.read_bytes()


def test_what_is_damaged_on_the_way_is_refused(hub, folders: Folders, tmp_path: Path):
    options = {"endpoint": hub.address, "token": "testing"}
    commit = logpx.hub.push(folders("smooth"), "user/damaged", **options)
    files = hub.commits[commit]
    *rest, last = files["model.safetensors"]
    files["model.safetensors"] = bytes([*rest, last ^ 1])
    with pytest.raises(ModelFolderError, match="user/damaged at"):
        logpx.hub.pull("user/damaged", tmp_path / "model", **options)
    assert not (tmp_path / "model").exists()


def test_refusals_are_typed(hub, folders: Folders):
    options = {"endpoint": hub.address, "token": "testing"}
    with pytest.raises(DataError, match="cannot be read"):
        logpx.hub.pull("user/nothing", **options)
    with pytest.raises(ResourceError, match="cannot be written"):
        logpx.hub.push(folders("smooth"), "user/locked", **options)
    with pytest.raises(UsageError):
        logpx.hub.push(folders("smooth"), "no/such/name", **options)
    with pytest.raises(ModelFolderError):
        logpx.hub.push("nothing", "user/density", **options)


def test_missing_hub_is_said(folders: Folders, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(MissingExtraError, match=r"logpx\[hub\]"):
        logpx.hub.push(folders("smooth"), "user/density")
