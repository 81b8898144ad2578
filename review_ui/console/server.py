"""The console on a port: served from a thread, beside whatever else the process does."""

from __future__ import annotations

import errno
import socket
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Self

import uvicorn

from feedback.errors import InvalidInput, StageRefused
from review_ui.console.access import LOCAL_HOSTS
from review_ui.console.app import create_app

PORT = 6901
"""Where the console is, unless something else is there."""

PATIENCE_SECONDS = 10
"""How long to wait for the console to answer, and for it to end."""


class ConsoleServer:
    """A project's console. Its port is taken when this is made, and it answers inside the `with` block.

    Raises InvalidInput when the port is in use or may not be listened on. Without a port it is PORT where that is free, else
    any free one.
    """

    def __init__(self, project_dir: Path, *, host: str, port: int | None) -> None:
        self._socket = _listen_somewhere(host) if port is None else listen(host, port)
        self.url = f"http://{_shown(host)}:{self._socket.getsockname()[1]}"
        # Reached from elsewhere, it is asked under names that only the network knows.
        hosts = LOCAL_HOSTS if host in LOCAL_HOSTS else ("*",)
        config = uvicorn.Config(create_app(project_dir, allowed_hosts=hosts), log_level="warning", access_log=False,
                                timeout_graceful_shutdown=2, lifespan="off", server_header=False)
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, kwargs={"sockets": [self._socket]}, name="console", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        end = time.monotonic() + PATIENCE_SECONDS
        while not self._server.started:
            if time.monotonic() > end or not self._thread.is_alive():
                self.close()
                raise StageRefused(f"the console did not start at {self.url}; `redpen doctor` says what is missing")
            time.sleep(0.02)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Stop answering and free the port."""
        self._server.should_exit = True
        if self._thread.is_alive():
            self._thread.join(PATIENCE_SECONDS)
        self._socket.close()


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens there. Raises InvalidInput with what to do when it cannot."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    taken = socket.socket(family, socket.SOCK_STREAM)
    # A port that the last run has just left is free for this one.
    taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        taken.bind((host, port))
        taken.listen(128)
    except OSError as error:
        taken.close()
        raise InvalidInput(_why_not(host, port, error)) from None
    return taken


def _listen_somewhere(host: str) -> socket.socket:
    try:
        return listen(host, PORT)
    except InvalidInput:
        return listen(host, 0)


def _why_not(host: str, port: int, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"port {port} of {host} is in use; stop the program that holds it, or choose another with --console-port"
    return f"port {port} of {host} cannot be listened on ({error.strerror}); choose another --host or --console-port"


def _shown(host: str) -> str:
    # Nothing can be asked at "every address"; this machine's own is one of them.
    return {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)  # noqa: S104
