"""One appliance for the tests that only read and write datasets; each makes a dataset of its own."""

from __future__ import annotations

import json
from collections.abc import Iterator

import httpx
import pytest

from review_ui.appliance.appliance import Appliance, Running
from tests.review_ui.appliance.desk import Desk


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with Appliance(tmp_path_factory.mktemp("appliance") / "argilla") as server:
        yield server


@pytest.fixture(scope="session")
def desk(running: Running) -> Iterator[Desk]:
    with httpx.Client(base_url=running.url, timeout=60) as client:
        yield owner_of(running, client)


def owner_of(running: Running, client: httpx.Client) -> Desk:
    """What the owner may do."""
    owner = json.loads(running.owner_file.read_text(encoding="utf-8"))
    return Desk(client, {"X-Argilla-Api-Key": owner["api_key"]})
