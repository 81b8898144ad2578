"""A small real server that speaks the part of the Hugging Face Hub's HTTP that pushing a dataset needs."""

from __future__ import annotations

import base64
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

TOKEN = "hf_write"


class Hub:
    """Repositories by name, as they were asked for."""

    def __init__(self) -> None:
        self.private: dict[str, bool] = {}
        self.files: dict[str, dict[str, bytes]] = {}
        self.address = ""


@contextmanager
def hub() -> Iterator[Hub]:
    """The server, answering on a port of this machine."""
    state = Hub()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"hub": state}))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    state.address = f"http://127.0.0.1:{server.server_port}"
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    hub: Hub

    def do_GET(self) -> None:
        name = re.match(r"/api/datasets/([^/]+/[^/?]+)", self.path)
        if name is None or name[1] not in self.hub.private:
            self._answer(404, {"error": "not found"})
            return
        self._answer(200, {"id": name[1], "private": self.hub.private[name[1]], "sha": "0" * 40, "tags": [], "siblings": []})

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers["Authorization"] != f"Bearer {TOKEN}":
            self._answer(401, {"error": "Invalid username or password."})
        elif self.path == "/api/repos/create":
            self._create(json.loads(body))
        elif "/preupload/" in self.path:
            names = [file["path"] for file in json.loads(body)["files"]]
            self._answer(200, {"files": [{"path": name, "uploadMode": "regular", "shouldIgnore": False} for name in names]})
        elif "/commit/" in self.path:
            self._commit(self.path.split("/api/datasets/")[1].split("/commit/")[0], body)
        else:
            self._answer(200, {})

    def _create(self, asked: dict[str, Any]) -> None:
        name = f"{asked['organization']}/{asked['name']}"
        if name in self.hub.private:
            self._answer(409, {"error": "exists", "url": f"{self.hub.address}/datasets/{name}"})
            return
        self.hub.private[name] = asked.get("private", False) or asked.get("visibility") == "private"
        self._answer(200, {"url": f"{self.hub.address}/datasets/{name}", "name": name})

    def _commit(self, name: str, body: bytes) -> None:
        entries = [json.loads(line) for line in body.splitlines() if line]
        self.hub.files[name] = {entry["value"]["path"]: base64.b64decode(entry["value"]["content"])
                                for entry in entries if entry["key"] == "file"}
        self._answer(200, {"commitUrl": f"{self.hub.address}/datasets/{name}/commit/1", "commitOid": "1" * 40, "success": True})

    def _answer(self, status: int, content: dict[str, Any]) -> None:
        payload = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(payload)))
        self.end_headers()
        self.wfile.write(payload)

    def log_message(self, *_: Any) -> None:
        """Nothing on stderr."""
