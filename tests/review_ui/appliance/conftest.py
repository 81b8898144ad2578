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
    owner = json.loads(running.owner_file.read_text(encoding="utf-8"))
    with httpx.Client(base_url=running.url, timeout=60) as client:
        yield Desk(client, {"X-Argilla-Api-Key": owner["api_key"]})
