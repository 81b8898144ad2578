"""Which set of server packages a home was last served with, and which one this Redpen has."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

from feedback.config import Strict, validate
from feedback.errors import RedpenError
from feedback.ids import content_hash
from review_ui.appliance.environment import LOCK_FILE

_RECORD = "versions.json"


class ServedWith(Strict):
    """`versions.json` of a home."""

    kind: str = "argilla versions"
    lock: str
    """Hash of the lock file."""
    server: str
    """Version of argilla-server."""
    since: str
    """When the home was first served with it, in UTC."""


def installed() -> ServedWith:
    """What this Redpen serves with."""
    text = LOCK_FILE.read_text(encoding="utf-8")
    found = re.search(r"^argilla-server==(\S+)", text, re.MULTILINE)
    assert found is not None
    return ServedWith(lock=content_hash("lock", text), server=found[1], since=datetime.now(UTC).isoformat(timespec="seconds"))


def recorded(home: Path) -> ServedWith | None:
    """What the home was last served with; None when it never was, or by a Redpen that did not write it down.

    Raises RedpenError when the file cannot be read.
    """
    import json

    path = home / _RECORD
    if not path.exists():
        return None
    try:
        return validate(json.loads(path.read_text(encoding="utf-8")), ServedWith, source=str(path))
    except ValueError as error:
        raise RedpenError(f"{path}: cannot be read ({error}); remove it, the server writes it anew") from None


def record(home: Path) -> None:
    """Write down that the home is served with what is installed, unless it says so already."""
    now, before = installed(), recorded(home)
    if before is None or before.lock != now.lock:
        (home / _RECORD).write_text(now.model_dump_json(indent=1) + "\n", encoding="utf-8")
        (home / _RECORD).chmod(0o600)
