"""The way out: the compose file publishes nothing to the network, knows no secret, and pins what it runs."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

import configs

FILE = Path(configs.__file__).parent / "deploy" / "compose.yaml"
SERVICES: dict[str, dict[str, Any]] = yaml.safe_load(FILE.read_text(encoding="utf-8"))["services"]


def test_argilla_runs_with_a_worker_on_postgresql_elasticsearch_and_redis() -> None:
    assert set(SERVICES) == {"argilla", "worker", "postgres", "elasticsearch", "redis"}
    said = SERVICES["argilla"]["environment"]
    assert (said["ARGILLA_DATABASE_URL"].split(":")[0], said["ARGILLA_SEARCH_ENGINE"]) == ("postgresql+asyncpg", "elasticsearch")
    assert "worker" in SERVICES["worker"]["command"]


def test_nothing_is_published_beyond_this_machine() -> None:
    published = [port for service in SERVICES.values() for port in service.get("ports", ())]
    assert published == ["127.0.0.1:6900:6900"]


def test_every_secret_has_to_be_given() -> None:
    secret = re.compile("PASSWORD|SECRET|API_KEY")
    given = {name: value for service in SERVICES.values() for name, value in service.get("environment", {}).items()
             if secret.search(name)}
    assert len(given) >= 4
    assert [name for name, value in given.items() if not re.fullmatch(r"\$\{\w+:\?.+\}", value)] == []


def test_every_image_is_of_a_version_and_keeps_its_data() -> None:
    assert [name for name, service in SERVICES.items() if not re.search(r":v?\d", service["image"])] == []
    assert [name for name, service in SERVICES.items() if "volumes" not in service] == []
