"""Bringing a home to the server packages of this Redpen: backup first, then the tables, then proof that nothing went missing."""

from __future__ import annotations

import shutil
import subprocess
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from feedback.config import Strict
from feedback.errors import LineageError, NothingToDo, RedpenError
from review_ui.appliance import environment, versions
from review_ui.appliance.archive import DATABASE, backup, counts_of
from review_ui.appliance.holding import hold
from review_ui.appliance.supervisor import inside_variables


class Upgrade(Strict):
    """What was done."""

    before: str | None
    """Version of argilla-server that the home was last served with; None when that was not written down."""
    now: str
    backup: str | None
    """Where the home as it was is kept; None when nothing had to be done."""
    counts: dict[str, int]
    removed: tuple[str, ...]
    """Environments of older versions that were removed."""


def upgrade(home: Path, *, prune: bool = False) -> Upgrade:
    """Do what is due, offline. `prune` removes the environments of other versions from the user's cache.

    Raises NothingToDo where no server was ever started, Locked while one runs, and LineageError when rows went missing, with
    the backup's name.
    """
    if not (home / DATABASE).exists():
        raise NothingToDo(f"{home}: no server was started here yet; `redpen serve` makes it with the newest packages")
    before, now = versions.recorded(home), versions.installed()
    with closing(hold(home)):
        kept = None if is_current(home) else _bring_up(home)
    removed = _prune() if prune else ()
    return Upgrade(before=before.server if before else None, now=now.server, backup=str(kept) if kept else None,
                   counts=counts_of(home / DATABASE), removed=removed)


def is_current(home: Path) -> bool:
    """Nothing to do: the home is new, or was last served with the packages of this Redpen."""
    served = versions.recorded(home)
    return not (home / DATABASE).exists() or (served is not None and served.lock == versions.installed().lock)


def _bring_up(home: Path) -> Path:
    python = environment.ensure()
    kept = home / "backups" / f"before-upgrade-{datetime.now(UTC):%Y%m%dT%H%M%S}.tar.gz"
    backup(home, kept)
    counts = counts_of(home / DATABASE)
    done = subprocess.run([str(python), "-s", "-m", "inside.upgrade", str(home)], capture_output=True, text=True,
                          env=inside_variables())
    if done.returncode:
        raise RedpenError(f"{home}: the tables could not be brought to the new version; the home as it was is in {kept}:\n"
                          f"{done.stderr.strip()[-2000:]}")
    if (after := counts_of(home / DATABASE)) != counts:
        raise LineageError(f"{home}: rows went missing: {counts} became {after}. Put the old state back with `redpen server "
                           f"restore {kept} --replace`")
    versions.record(home)
    return kept


def _prune() -> tuple[str, ...]:
    """Remove the environments that this Redpen does not use. One that a server runs in goes on: its files are open."""
    current = environment.folder()
    others = [path for path in current.parent.iterdir() if path.is_dir() and path != current]
    for path in others:
        shutil.rmtree(path)
    return tuple(str(path) for path in others)
