"""A function of argilla-server in another's place, under every name that it was imported as."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any


def replace(original: Callable[..., Any], replacement: Callable[[Any], Any]) -> None:
    """Put `replacement(original)` wherever the server's modules hold the original."""
    new = replacement(original)
    for name, module in list(sys.modules.items()):
        if name.startswith("argilla_server"):
            for attribute in [key for key, value in vars(module).items() if value is original]:
                setattr(module, attribute, new)
