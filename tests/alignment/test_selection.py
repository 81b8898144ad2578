from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alignment import selection
from feedback.config import QueueConfig, SplitConfig
from feedback.ids import PolicyId, PromptId
from feedback.schemas import Completion, Decoding, Message, Prompt, Queue

SPLIT = SplitConfig(held_out_share=0.3)


def prompt(text: str, *, family: str | None = None, critical: bool = False) -> Prompt:
    return Prompt.of([Message(role="user", content=text)], family=family, critical=critical, reference="known")


def answers(to: Prompt, *texts: str) -> list[Completion]:
    return [Completion.of(prompt_id=to.id, policy_id=PolicyId("base-0"), index=index, text=text, decoding=Decoding())
            for index, text in enumerate(texts)]


PROMPTS = [prompt(f"Question {number}, put in way {way}?", family=f"family-{number}") for number in range(60) for way in range(3)]
CRITICAL = [prompt(f"Critical question {number}?", critical=True) for number in range(5)]
ALL = [*CRITICAL, *PROMPTS]


def leaks(queue: list[Prompt], audit: list[Prompt]) -> set[str]:
    """Families that are both trained on and audited."""
    return {p.family for p in queue} & {p.family for p in audit}


def test_no_family_is_both_queued_and_audited():
    queue = selection.queue_prompts(ALL, SPLIT, asked={}, count=1000, seed=0, round=1)
    audit = selection.audit_prompts(ALL, SPLIT, families=1000)
    assert queue
    assert audit
    assert not leaks(queue, audit)
    assert leaks(ALL, audit), "the check must see a leak when there is one"


def test_every_critical_question_is_audited_even_when_few_families_are_asked_for():
    audit = selection.audit_prompts(ALL, SPLIT, families=1)
    assert {p.id for p in audit} == {p.id for p in CRITICAL}


def test_a_family_with_a_critical_question_is_never_trained_on():
    shared = [prompt("What must never be said?", family="family-1", critical=True), *PROMPTS]
    assert "family-1" not in {p.family for p in selection.trainable(shared, SPLIT)}


def test_a_synthetic_question_is_never_audited_and_never_trains_in_a_held_out_family():
    written = [p.model_copy(update={"synthetic": True, "id": PromptId(f"{p.id}-varied")}) for p in PROMPTS]
    audit = selection.audit_prompts([*written, *ALL], SPLIT, families=1000)
    assert not any(p.synthetic for p in audit)
    assert not leaks(selection.trainable([*written, *ALL], SPLIT), audit)
    assert not any(p.synthetic for p in selection.audit_prompts(written, SPLIT, families=1000))


def test_one_prompt_of_a_family_is_asked_each_round():
    queue = selection.queue_prompts(ALL, SPLIT, asked={}, count=1000, seed=0, round=1)
    assert max(Counter(p.family for p in queue).values()) == 1


def test_families_not_asked_before_come_first():
    first = selection.queue_prompts(ALL, SPLIT, asked={}, count=10, seed=0, round=1)
    second = selection.queue_prompts(ALL, SPLIT, asked=Counter(p.id for p in first), count=10, seed=0, round=2)
    assert not {p.family for p in first} & {p.family for p in second}


@given(st.permutations(PROMPTS[:30]))
def test_the_queue_ignores_the_order_of_the_file(shuffled):
    asked: dict[PromptId, int] = {}
    expected = selection.queue_prompts(PROMPTS[:30], SPLIT, asked=asked, count=5, seed=3, round=1)
    assert selection.queue_prompts(shuffled, SPLIT, asked=asked, count=5, seed=3, round=1) == expected


def test_equal_answers_are_never_ranked_against_each_other():
    same, varied = prompt("Same?"), prompt("Varied?")
    rows = [*answers(same, "yes", "yes ", "yes", "no"), *answers(varied, "a", "b", "a", "c")]
    items = selection.queue_items([same, varied], rows, queues=QueueConfig(rank_size=3), round=0, seed=0)
    ranked = [item for item in items if item.queue is Queue.RANK]
    assert [item.prompt_id for item in ranked] == [varied.id]
    assert len(set(ranked[0].completion_ids)) == 3
    assert [item.prompt_id for item in items if item.queue is Queue.RATE] == [same.id]


def test_an_empty_answer_is_not_shown():
    silent = prompt("Silent?")
    assert selection.queue_items([silent], answers(silent, "", "  "), queues=QueueConfig(), round=0, seed=0) == []


def test_sets_the_reward_model_cannot_tell_apart_are_preferred_beside_a_random_half():
    prompts = [prompt(f"Prompt {number}?") for number in range(40)]
    rows = [row for p in prompts for row in answers(p, "short", "rather long")]
    close = {p.id for p in prompts[:10]}

    def score(asked):
        return [0.0 if p.id in close or text == "short" else 5.0 for p, text in asked]

    items = selection.queue_items(prompts, rows, queues=QueueConfig(rank_items=10, rate_items=0, rank_size=2), round=1, seed=0,
                                  score=score)
    assert len(items) == 10
    assert sum(item.prompt_id in close for item in items) >= 5


@pytest.mark.parametrize("count", [0, 3])
def test_no_more_items_than_asked_for(count):
    prompts = [prompt(f"Prompt {number}?") for number in range(20)]
    rows = [row for p in prompts for row in answers(p, "one", "two", "three", "four")]
    items = selection.queue_items(prompts, rows, queues=QueueConfig(rank_items=count, rate_items=count), round=1, seed=0)
    assert Counter(item.queue for item in items) == Counter({queue: count for queue in Queue if count})
