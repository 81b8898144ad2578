"""How the server routes records: the file `routing.json` in its home, written by whoever starts the appliance."""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass, field
from pathlib import Path

FILE = "routing.json"
GROUP = "group:"
"""What a group's name begins with among the names that a record is assigned to."""


@dataclass(frozen=True, slots=True)
class Rules:
    """What the project's `argilla: routing:` says."""

    reserve_seconds: float
    """How long a record is kept for the person it was shown to, from the last sign of life."""
    reserve_records: int
    """How many of the records shown to a person are kept for them."""
    groups: dict[str, frozenset[str]] = field(default_factory=dict)
    """User names by group."""

    def names_of(self, username: str) -> tuple[str, ...]:
        """What a record may be assigned to for this person to see it."""
        return (username, *(GROUP + name for name, members in sorted(self.groups.items()) if username in members))


class RulesFile:
    """The rules as the file holds them now: it is read again when it changes, so groups may change while people work."""

    def __init__(self, home: Path) -> None:
        self._path = home / FILE
        self._lock = threading.Lock()
        self._read_at: tuple[int, int] | None = None
        self._rules: Rules | None = None

    def exists(self) -> bool:
        """Whether records are routed at all."""
        return self._path.exists()

    def now(self) -> Rules:
        """The rules; while the file is missing or no rules, those read before. Raises ValueError when there are none."""
        with self._lock:
            try:
                found = self._path.stat()
                stamp = (found.st_mtime_ns, found.st_size)
                if stamp != self._read_at:
                    self._rules = _read(self._path.read_text(encoding="utf-8"))
                    self._read_at = stamp
            except (OSError, ValueError, KeyError, TypeError) as error:
                if self._rules is None:
                    raise ValueError(f"{self._path} cannot be used ({error!r}); start `redpen serve` again") from error
            assert self._rules is not None
            return self._rules


def _read(text: str) -> Rules:
    given = json.loads(text)
    return Rules(reserve_seconds=float(given["reserve_seconds"]), reserve_records=int(given["reserve_records"]),
                 groups={name: frozenset(members) for name, members in given["groups"].items()})
