"""A child process that `redpen serve` keeps running: started again when it fails, ended with everything it started."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

FIRST_PAUSE_SECONDS = 2.0
LONGEST_PAUSE_SECONDS = 300.0
"""Between two starts of a child that fails: doubled each time, so that a mistake in a file does not fill the log."""
STEADY_SECONDS = 60.0
"""A child that ran this long was well: its next pause is the first again."""
GRACE_SECONDS = 15.0
"""Between asking a child to end and ending it."""

_PR_SET_PDEATHSIG = 1
# Opened beforehand: between fork and exec a process with threads may do little more than call it.
_LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None


class Worker:
    """One supervised command. Its output goes to a log file; what went wrong is told through `say`."""

    def __init__(self, name: str, command: Sequence[str], *, log: Path, say: Callable[[str], None],
                 environment: Mapping[str, str] | None = None) -> None:
        self.name = name
        self.log = log
        self._command = list(command)
        self._environment = {**os.environ, **(environment or {})}
        self._say = say
        self._process: subprocess.Popen[bytes] | None = None
        self._started = 0.0
        self.pause = FIRST_PAUSE_SECONDS
        """Seconds before the next start, should the child fail."""
        self._next_start: float | None = 0.0

    @property
    def pid(self) -> int | None:
        """The child's process id, while it runs."""
        return self._process.pid if self._process else None

    def tend(self) -> None:
        """Start the child if it is due, and notice when it has ended. Call this every second or so."""
        now = time.monotonic()
        if self._process is None:
            if self._next_start is not None and now >= self._next_start:
                self._start(now)
        elif (code := self._process.poll()) is not None:
            self._process = None
            self._ended(code, now)

    def _start(self, now: float) -> None:
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            # A session of its own: a Ctrl-C at the terminal reaches `serve` alone, which then ends its children in order.
            self._process = subprocess.Popen(self._command, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                             env=self._environment, start_new_session=True,
                                             preexec_fn=_end_with_parent)
        self._started = now

    def _ended(self, code: int, now: float) -> None:
        if code == 0:
            self._next_start = None
            self._say(f"{self.name}: done ({self.log})")
            return
        self.pause = FIRST_PAUSE_SECONDS if now - self._started > STEADY_SECONDS else self.pause
        self._next_start = now + self.pause
        self._say(f"{self.name} ended with {code}: {last_line(self.log)}\n  its log: {self.log}; "
                  f"starting it again in {self.pause:.0f} s")
        self.pause = min(2 * self.pause, LONGEST_PAUSE_SECONDS)

    def stop(self) -> None:
        """End the child and all it started; returns when they are gone."""
        process, self._process, self._next_start = self._process, None, None
        if process is None:
            return
        _signal_group(process.pid, signal.SIGTERM)
        try:
            process.wait(GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            self._say(f"{self.name}: did not end within {GRACE_SECONDS:.0f} s; ending it")
        # What the child left behind in its group, and the child itself if it did not listen.
        _signal_group(process.pid, signal.SIGKILL)
        process.wait()


def last_line(log: Path, *, most: int = 300) -> str:
    """The last line of a log that says something, cut to `most` characters."""
    try:
        lines = log.read_bytes()[-8192:].decode("utf-8", "replace").splitlines()
    except OSError:
        return "no log"
    return next((line.strip()[:most] for line in reversed(lines) if line.strip()), "it said nothing")


def _end_with_parent() -> None:
    """Linux ends the child when `serve` itself is killed, so that an orphan does not keep the project's lock."""
    if _LIBC is not None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def _signal_group(leader: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(leader, number)
