"""Where Redpen keeps what several projects share: converted models, the appliance's environment, hashes of big files."""

from __future__ import annotations

import os
from pathlib import Path


def cache_dir() -> Path:
    """The user's cache: `$REDPEN_CACHE`, else `$XDG_CACHE_HOME/redpen`, else `~/.cache/redpen`. It may not exist yet."""
    if own := os.environ.get("REDPEN_CACHE"):
        return Path(own).expanduser().absolute()
    shared = os.environ.get("XDG_CACHE_HOME")
    return (Path(shared) if shared else Path.home() / ".cache") / "redpen"
