"""Quarantine from the first click to the lift, on a real Argilla: rated, proposed, approved, asked again, taken back."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from feedback.aggregation.integrity import profiles
from feedback.aggregation.verdicts import aggregate, weighed_contents
from feedback.config import QueueConfig
from feedback.desk.argilla_desk import ArgillaDesk
from feedback.desk.codec import encode_answer
from feedback.desk.setup import setup
from feedback.desk.sync import sync
from feedback.schemas import ReviewItem, VerdictValue
from feedback.store.quarantine import decide
from feedback.store.snapshot import contents_now
from feedback.store.store import Store
from tests.feedback.desk.people_of_argilla import new_annotator
from tests.people import a_completion, a_prompt, a_rate_answer, a_rate_item, a_rubric

pytestmark = pytest.mark.argilla

TRUTHS = (VerdictValue.CORRECT, VerdictValue.INCORRECT)
ITEMS = 14


@pytest.fixture
def queue(tmp_path: Path) -> Store:
    """Answers that three people are to rate."""
    answers = [a_completion(a_prompt(number)) for number in range(ITEMS)]
    store = Store.open(tmp_path / "queue.db")
    store.add_prompts(a_prompt(number) for number in range(ITEMS))
    store.add_completions(answers)
    store.add_items(a_rate_item(one, reviews=3) for one in answers)
    return store


def submit(client: httpx.Client, store: Store, item: ReviewItem, verdict: VerdictValue) -> None:
    completions = {one.id: one for one in store.completions(item.completion_ids)}
    values = {key: {"value": value}
              for key, value in encode_answer(a_rate_answer(verdict), item=item, completions=completions).items()}
    (place,) = store.pushed([item.id])[item.id]
    client.post(f"/records/{place.split('/')[1]}/responses", json={"status": "submitted", "values": values}).raise_for_status()


def test_who_always_says_the_same_is_proposed_left_out_asked_for_again_and_taken_back(
        real: ArgillaDesk, owner: httpx.Client, clients: Callable[[str], httpx.Client], queue: Store) -> None:
    setup(real, a_rubric(), QueueConfig(audit_reviews=3))
    sync(real, queue, a_rubric(), QueueConfig())
    people = [clients(new_annotator(owner, f"sim-q{number}", real.workspace)["api_key"]) for number in range(3)]
    for number, item in enumerate(queue.items()):
        for person, client in enumerate(people):
            submit(client, queue, item, VerdictValue.CORRECT if person == 2 else TRUTHS[number % 2])
    assert sync(real, queue, a_rubric(), QueueConfig()).pulled.new == 3 * ITEMS

    found = profiles(weighed_contents(contents_now(queue, a_rubric())))
    assert [row.name for row in found if row.proposed] == ["sim-q2"]
    assert aggregate(contents_now(queue, a_rubric())).left_out == {}

    decide(queue, "sim-q2", lift=False, actor="lead", reason="one label throughout", at=datetime.now(UTC))
    without = aggregate(contents_now(queue, a_rubric()))
    assert without.left_out == {"its reviewer is in quarantine: one label throughout": ITEMS}
    assert all(len(row.sources.reviewers) == 2 for row in without.rate)
    assert sync(real, queue, a_rubric(), QueueConfig()).asked.again == 0  # nobody is left whose review would count
    new_annotator(owner, "sim-q3", real.workspace)
    assert sync(real, queue, a_rubric(), QueueConfig()).asked.again == ITEMS
    assert "owner" in real.people().managers

    decide(queue, "sim-q2", lift=True, actor="lead", reason="spoke with them", at=datetime.now(UTC))
    assert aggregate(contents_now(queue, a_rubric())).left_out == {}
    queue.close()
