"""A home belongs to one at a time: a server that runs, or a command that replaces its files."""

from __future__ import annotations

import fcntl
import json
import os
import time
from pathlib import Path
from typing import IO, Any

from feedback.errors import Locked

PATIENCE_SECONDS = 40.0
"""What a supervisor whose starter was killed gets to end."""


def hold(home: Path) -> IO[str]:
    """The home's lock, held until the file and every process that inherits it is gone. Raises Locked with who has it."""
    path = home / "lock"
    file = path.open("a+", encoding="utf-8")
    for _ in range(int(PATIENCE_SECONDS / 0.2)):
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return file
        except BlockingIOError:
            holder = holder_of(home)
            if is_alive(holder.get("starter")):
                file.close()
                raise Locked(f"{home} is in use by process {holder.get('starter')}, which serves it at {holder.get('url')}; "
                             "use that one or stop it first") from None
            # Its starter was killed: the supervisor is just ending.
            time.sleep(0.2)
    file.close()
    raise Locked(f"{home} is still held by process {holder_of(home).get('supervisor')}; stop it first")


def sign(lock: IO[str], **holder: Any) -> None:
    """Say who holds it: `starter`, `supervisor`, `url`."""
    lock.seek(0)
    lock.truncate()
    lock.write(json.dumps(holder))
    lock.flush()


def holder_of(home: Path) -> dict[str, Any]:
    """What the last holder wrote; empty when there was none."""
    try:
        return dict(json.loads((home / "lock").read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return {}


def is_held(home: Path) -> bool:
    """Somebody holds it now."""
    path = home / "lock"
    if not path.exists():
        return False
    with path.open("a+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        return False


def is_alive(pid: int | None) -> bool:
    """A process with that number runs."""
    if not pid:
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True
