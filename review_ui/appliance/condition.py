"""How a home's server is: what runs, how often it was started again, what it holds, and the last errors in its logs."""

from __future__ import annotations

import json
import shutil
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from feedback.config import Strict
from review_ui.appliance import versions
from review_ui.appliance.archive import DATABASE, counts_of
from review_ui.appliance.holding import holder_of, is_held

ERROR_LINES = 3
"""Shown of each log."""


class ChildState(Strict):
    """One supervised process."""

    name: str
    pid: int | None
    starts: int
    """1 when it never died."""
    last_exit: int | None


class Condition(Strict):
    """`redpen server status`."""

    home: str
    running: bool
    url: str | None
    healthy: bool | None
    """What `/healthz` says; None when nothing runs."""
    failing: tuple[str, ...]
    """Checks of `/healthz` that failed."""
    children: tuple[ChildState, ...]
    server: str
    """Version of argilla-server that this Redpen has."""
    upgrade_due: bool
    """The home was last served with another set of packages."""
    counts: dict[str, int]
    database_bytes: int
    free_bytes: int
    errors: dict[str, tuple[str, ...]]
    """Log -> its last lines that look like errors."""


def condition(home: Path) -> Condition:
    """Look; changes nothing."""
    running = is_held(home)
    url = holder_of(home).get("url") if running else None
    checks = _healthz(url) if url else None
    database, served = home / DATABASE, versions.recorded(home)
    return Condition(
        home=str(home), running=running, url=url, healthy=None if checks is None else bool(checks) and all(checks.values()),
        failing=tuple(name for name, good in (checks or {}).items() if not good), children=_children(home) if running else (),
        server=versions.installed().server, upgrade_due=served is not None and served.lock != versions.installed().lock,
        counts=counts_of(database) if database.exists() else {},
        database_bytes=sum(path.stat().st_size for path in home.glob(f"{DATABASE}*")),
        free_bytes=shutil.disk_usage(home if home.exists() else home.parent).free, errors=_errors(home / "logs"))


def _healthz(url: str) -> dict[str, bool]:
    """The checks; without an answer, one named `answers` that fails."""
    try:
        with urllib.request.urlopen(f"{url}/healthz", timeout=10) as response:  # noqa: S310
            return dict(json.load(response))
    except urllib.error.HTTPError as error:
        return dict(json.load(error))
    except (OSError, ValueError):
        return {"answers": False}


def _children(home: Path) -> tuple[ChildState, ...]:
    try:
        state: dict[str, dict[str, Any]] = json.loads((home / "run" / "state.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return ()
    return tuple(ChildState(name=name, **child) for name, child in state.items())


def _errors(logs: Path) -> dict[str, tuple[str, ...]]:
    found = {path.name: _last_errors(path) for path in sorted(logs.glob("*.log"))}
    return {name: lines for name, lines in found.items() if lines}


def _last_errors(log: Path) -> tuple[str, ...]:
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - 100_000))
        lines = file.read().decode("utf-8", errors="replace").splitlines()
    return tuple(line[:300] for line in lines if "ERROR" in line or "Error:" in line)[-ERROR_LINES:]
