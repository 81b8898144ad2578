"""A store with a queue in it, and a desk in memory."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from feedback.store.store import Store
from tests.desk_in_memory import DeskInMemory
from tests.people import a_completion, a_prompt, a_rank_item, a_rate_item


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
