"""A store with a queue in it, a desk in memory and a desk on a real Argilla."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from feedback.config import DeskConfig
from feedback.desk.argilla_desk import ArgillaDesk, connect
from feedback.store.store import Store
from tests.desk_in_memory import DeskInMemory
from tests.people import a_completion, a_prompt, a_rank_item, a_rate_item

if TYPE_CHECKING:
    import httpx

    from review_ui.appliance.appliance import Running


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """Three rate items, two rate items for two reviewers, one rank item of four."""
    prompts = [a_prompt(number) for number in range(6)]
    answers = [a_completion(prompt) for prompt in prompts[:5]]
    ranked = [a_completion(prompts[5], index) for index in range(4)]
    with Store.open(tmp_path / "store.db") as opened:
        opened.add_prompts(prompts)
        opened.add_completions([*answers, *ranked])
        opened.add_items([*(a_rate_item(one) for one in answers[:3]), *(a_rate_item(one, reviews=2) for one in answers[3:]),
                          a_rank_item(ranked)])
        yield opened


@pytest.fixture
def desk() -> DeskInMemory:
    return DeskInMemory(made=True)


@pytest.fixture
def real(appliance: Running, request: pytest.FixtureRequest) -> Iterator[ArgillaDesk]:
    """A workspace of this test's own."""
    name = re.sub(r"\W+", "-", request.node.name)[:60]
    made = connect(DeskConfig(workspace=name), url=appliance.url, api_key=appliance.api_key)
    yield made
    made.close()


@pytest.fixture
def clients(appliance: Running) -> Iterator[Callable[[str], httpx.Client]]:
    """Makes HTTP clients for API keys."""
    import httpx

    with ExitStack() as stack:
        yield lambda key: stack.enter_context(
            httpx.Client(base_url=f"{appliance.url}/api/v1", headers={"X-Argilla-Api-Key": key}, timeout=30))


@pytest.fixture
def owner(appliance: Running, clients: Callable[[str], httpx.Client]) -> httpx.Client:
    return clients(appliance.api_key)
