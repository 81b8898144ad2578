"""Modules that argilla-server imports and the appliance does not need, replaced before the first import.

The Elasticsearch and OpenSearch engines bring two client libraries that would never be called. The hub importer brings
`datasets`, pandas and pyarrow: a second of start and 100 MiB for a job that only the worker runs.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from types import ModuleType
from typing import Any

_HUB = "argilla_server.contexts.hub"
_NOBODYS = b"$2b$12$wjfU5YRvHG37nBBjAKbaKuccBytnZbZLxABAjS9J.1q6kRkjKOsD."
"""bcrypt at the cost of 12 that the server uses."""


def without_search_clusters() -> None:
    """Let `argilla_server.search_engine` import without the Elasticsearch and OpenSearch clients."""
    _stand_in("argilla_server.search_engine.elasticsearch", "ElasticSearchEngine")
    _stand_in("argilla_server.search_engine.opensearch", "OpenSearchEngine")


def without_hub() -> None:
    """Import the hub's importer and exporter, and all that they need, when a job first makes one."""
    _stand_in(_HUB, "HubDataset", "HubDatasetExporter")
    for name in ("HubDataset", "HubDatasetExporter"):
        setattr(sys.modules[_HUB], name, _made_late(name))


@contextmanager
def without_hashing() -> Iterator[None]:
    """While argilla-server is imported: it hashes a password then, which takes a quarter of a second, to have something that
    it can compare with when somebody unknown signs in. Any hash of the same cost does."""
    import bcrypt

    original, bcrypt.hashpw = bcrypt.hashpw, lambda _password, _salt: _NOBODYS
    try:
        yield
    finally:
        bcrypt.hashpw = original


def _made_late(name: str) -> type:
    def make(_class: type, *arguments: Any, **named: Any) -> Any:
        if not hasattr(sys.modules[_HUB], "__file__"):
            del sys.modules[_HUB]
        return getattr(import_module(_HUB), name)(*arguments, **named)

    return type(name, (), {"__new__": make})


def _stand_in(module: str, *classes: str) -> None:
    if module in sys.modules:
        return
    empty = ModuleType(module)
    for name in classes:
        setattr(empty, name, type(name, (), {}))
    sys.modules[module] = empty
