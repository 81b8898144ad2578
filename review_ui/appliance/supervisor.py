"""`python -m review_ui.appliance.supervisor PLAN`: keeps Valkey, the server and the worker running for one home.

A process of its own, so that the appliance ends with the program that started it whatever happens: its standard input is a
pipe that nobody writes to, and its end means that the starter is gone. Standard library only, since it runs all day.
"""

from __future__ import annotations

import ctypes
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FIRST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 30.0
STEADY_SECONDS = 60.0
"""A child that ran this long is started again without a pause."""
GRACE_SECONDS = 10.0
"""What a child gets between SIGTERM and SIGKILL."""
LOG_BYTES = 5_000_000
KEPT_LOGS = 3
"""Older logs of each child, beside the one that is written."""
ROTATE_SECONDS = 10.0
_PR_SET_PDEATHSIG = 1


@dataclass(frozen=True, slots=True)
class Plan:
    """What to run; handed over as JSON."""

    home: str
    url: str
    python: str
    """The appliance environment's interpreter."""
    descriptor: int
    """The listening socket, open in this process and kept while the server restarts: nobody is refused meanwhile."""
    valkey: str
    """The Valkey or Redis server program."""
    socket_folder: str
    """Where Valkey's unix socket is; removed at the end when it is outside the home."""
    passwords: str = ""
    """JSON of the rules for passwords; none when empty."""

    @property
    def socket(self) -> str:
        return str(Path(self.socket_folder) / "valkey.sock")


class Child:
    """One supervised process, its log and its history."""

    def __init__(self, name: str, command: list[str], *, log: Path, environment: dict[str, str],
                 descriptors: tuple[int, ...] = ()) -> None:
        self.name = name
        self._command = command
        self.log = log
        self._descriptors = descriptors
        self._environment = environment
        self.process: subprocess.Popen[bytes] | None = None
        self.starts = 0
        self.last_exit: int | None = None
        self._pause = 0.0
        self._started_at = 0.0
        self._due_at = 0.0

    def tend(self) -> bool:
        """Start it when it is due, notice when it died. True when something changed."""
        now = time.monotonic()
        if self.process is not None:
            if self.process.poll() is None:
                return False
            self.last_exit = self.process.returncode
            self.process = None
            self._pause = FIRST_PAUSE_SECONDS if now - self._started_at > STEADY_SECONDS else \
                min(max(self._pause * 2, FIRST_PAUSE_SECONDS), LONGEST_PAUSE_SECONDS)
            self._due_at = now + self._pause
            return True
        if now < self._due_at:
            return False
        self._start()
        return True

    def _start(self) -> None:
        self.starts += 1
        self._started_at = time.monotonic()
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(self._command, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            env=self._environment, pass_fds=self._descriptors, preexec_fn=_die_with_parent)

    def stop(self) -> None:
        """SIGTERM, then SIGKILL after the grace."""
        if self.process is None:
            return
        self.process.terminate()
        try:
            self.last_exit = self.process.wait(GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.last_exit = self.process.wait()
        self.process = None

    def state(self) -> dict[str, Any]:
        return {"pid": self.process.pid if self.process else None, "starts": self.starts, "last_exit": self.last_exit}


def _die_with_parent() -> None:
    """Linux ends the child when the supervisor is killed. Elsewhere a killed supervisor leaves it to the next start."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def rotate(path: Path) -> None:
    """Copy a log that has grown to `.log.1`, older ones to `.2` and `.3`, and empty it: its writers append and go on.

    On a full disk it is emptied without a copy, which makes room.
    """
    if not path.exists() or path.stat().st_size <= LOG_BYTES:
        return
    for number in range(KEPT_LOGS, 1, -1):
        older = path.with_suffix(f".log.{number - 1}")
        if older.exists():
            older.replace(path.with_suffix(f".log.{number}"))
    try:
        shutil.copyfile(path, path.with_suffix(".log.1"))
    except OSError:
        path.with_suffix(".log.1").unlink(missing_ok=True)
    os.truncate(path, 0)


def children(plan: Plan) -> list[Child]:
    """Valkey, the server and the worker, in the order in which they start."""
    home, logs = Path(plan.home), Path(plan.home) / "logs"
    redis = f"unix://{plan.socket}"
    inside = [plan.python, "-s", "-m"]
    common = ["--home", plan.home, "--url", plan.url, "--redis", redis]
    environment = {**inside_variables(), "TMPDIR": str(home / "run" / "tmp")}
    return [
        Child("valkey", [plan.valkey, "--port", "0", "--unixsocket", plan.socket, "--unixsocketperm", "700", "--daemonize", "no",
                         "--dir", str(home / "valkey"), "--appendonly", "yes", "--save", "", "--maxclients", "200"],
              log=logs / "valkey.log", environment=environment),
        Child("server", [*inside, "inside.server", *common, "--descriptor", str(plan.descriptor), "--passwords", plan.passwords],
              log=logs / "server.log", descriptors=(plan.descriptor,), environment=environment),
        Child("worker", [*inside, "inside.worker", *common], log=logs / "worker.log", environment=environment),
    ]


def inside_variables() -> dict[str, str]:
    """The user's environment without Python's own settings: they would change what is imported, or keep it from being
    compiled once and for all. One thread, since people's work goes on beside it."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON") and name != "VIRTUAL_ENV"}
    return {**kept, "PYTHONPATH": str(Path(__file__).parent), "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


def supervise(plan: Plan) -> None:
    """Run until the starter is gone or SIGTERM arrives; then stop everything and remove what was only for running."""
    os.umask(0o077)
    starter = os.getppid()
    stopping = False

    def stop(_signal: int, _frame: object) -> None:
        nonlocal stopping
        stopping = True

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, stop)
    family = children(plan)
    state = Path(plan.home) / "run" / "state.json"
    look_at_logs, unwritten = 0.0, False
    try:
        while not stopping:
            changed = [child.tend() for child in family]
            unwritten = (unwritten or any(changed)) and not _write_state(state, family)
            if time.monotonic() > look_at_logs:
                look_at_logs = time.monotonic() + ROTATE_SECONDS
                for child in family:
                    rotate(child.log)
            readable, _, _ = select.select([sys.stdin], [], [], 0.2)
            # The pipe can be held open by a process that the starter forked, so its parent is watched as well.
            stopping = stopping or os.getppid() != starter or (bool(readable) and not os.read(sys.stdin.fileno(), 1))
    finally:
        for child in reversed(family):
            child.stop()
        _tidy(plan)


def _write_state(path: Path, family: list[Child]) -> bool:
    """False on a full disk: it is written as soon as there is space, and nobody's work ends for want of it."""
    partial = path.with_suffix(".partial")
    try:
        partial.write_text(json.dumps({child.name: child.state() for child in family}), encoding="utf-8")
        partial.replace(path)
    except OSError:
        return False
    return True


def _tidy(plan: Plan) -> None:
    run = Path(plan.home) / "run"
    shutil.rmtree(run, ignore_errors=True)
    if Path(plan.socket_folder) != run:
        shutil.rmtree(plan.socket_folder, ignore_errors=True)


if __name__ == "__main__":
    supervise(Plan(**json.loads(sys.argv[1])))
