from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alignment import selection
from feedback.config import QueueConfig, SelectionConfig, SplitConfig
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
    items = selection.queue_items([same, varied], rows, queues=QueueConfig(rank_size=3), round=0, seed=0).items
    ranked = [item for item in items if item.queue is Queue.RANK]
    assert [item.prompt_id for item in ranked] == [varied.id]
    assert len(set(ranked[0].completion_ids)) == 3
    assert [item.prompt_id for item in items if item.queue is Queue.RATE] == [same.id]


def test_an_empty_answer_is_not_shown():
    silent = prompt("Silent?")
    assert selection.queue_items([silent], answers(silent, "", "  "), queues=QueueConfig(), round=0, seed=0).items == []


def judge_by(close: set[str], *, disagree: bool = False):
    """Signals that single out some prompts."""
    def judge(sets):
        return [selection.Signal(margin=0.1 if p.id in close else 5.0, disagreement=2.0 if disagree and p.id in close else 1.0)
                for p, _ in sets]

    return judge


def forty() -> tuple[list[Prompt], list[Completion]]:
    prompts = [prompt(f"Prompt {number}?").model_copy(update={"topic": f"topic {number % 4}"}) for number in range(40)]
    return prompts, [row for p in prompts for row in answers(p, "short", "rather long")]


TEN = QueueConfig(rank_items=10, rate_items=3, rank_size=2)


def test_sets_that_cannot_be_told_apart_come_beside_a_random_half_and_each_item_says_why():
    prompts, rows = forty()
    close = {p.id for p in prompts[:8]}
    made = selection.queue_items(prompts, rows, queues=TEN, round=1, seed=0, judge=judge_by(close))
    assert [why.item_id for why in made.why] == [item.id for item in made.items]
    assert Counter(why.how for why in made.why) == {"random": 5, "chosen": 5, "left over": 3}
    assert {why.prompt_id for why in made.why if why.how == "chosen"} <= close
    assert {why.probability for why in made.why if why.how == "random"} == {5 / 40}


def test_the_random_slice_is_the_same_whatever_the_signals_say():
    prompts, rows = forty()
    judges = judge_by({p.id for p in prompts[:8]}), judge_by({p.id for p in prompts[20:]})
    first, second = ({why.prompt_id for why in selection.queue_items(prompts, rows, queues=TEN, round=1, seed=0, judge=judge).why
                      if why.how == "random"} for judge in judges)
    assert first == second


def test_over_many_queues_every_prompt_is_as_often_in_the_random_slice():
    prompts, rows = forty()
    judge = judge_by({p.id for p in prompts[:8]})
    drawn = Counter(why.prompt_id for seed in range(400)
                    for why in selection.queue_items(prompts, rows, queues=TEN, round=1, seed=seed, judge=judge).why
                    if why.how == "random")
    # 400 draws of 5 in 40: 50 each, standard deviation 6.6.
    assert 25 <= min(drawn.values()) <= max(drawn.values()) <= 75


def test_chosen_sets_are_spread_over_the_topics():
    prompts, rows = forty()
    close = {p.id for p in prompts if p.topic == "topic 0"}
    made = selection.queue_items(prompts, rows, queues=TEN, round=1, seed=0, judge=judge_by(close))
    topics = Counter(why.topic for why in made.why if why.how != "left over")
    assert max(topics.values()) - min(topics.values()) <= 2
    alone = TEN.model_copy(update={"selection": SelectionConfig(topics=False, random_share=0)})
    greedy = selection.queue_items(prompts, rows, queues=alone, round=1, seed=0, judge=judge_by(close))
    assert {why.topic for why in greedy.why if why.how == "chosen"} == {"topic 0"}


def test_a_signal_that_is_switched_off_decides_nothing():
    prompts, _ = forty()
    signals = {p.id: selection.Signal(margin=float(n), disagreement=float(n)) for n, p in enumerate(prompts)}
    by_margin = selection.by_signal(prompts, signals, SelectionConfig(disagreement=False))
    by_disagreement = selection.by_signal(prompts, signals, SelectionConfig(margin=False))
    assert by_margin == by_disagreement[::-1] == prompts
    assert selection.by_signal(prompts, signals, SelectionConfig(margin=False, disagreement=False)) == []


def test_without_signals_all_sets_are_drawn_at_random():
    prompts, rows = forty()
    made = selection.queue_items(prompts, rows, queues=TEN, round=1, seed=0)
    assert [why.how for why in made.why] == ["random"] * 10 + ["left over"] * 3


@pytest.mark.parametrize("count", [0, 3])
def test_no_more_items_than_asked_for(count):
    prompts = [prompt(f"Prompt {number}?") for number in range(20)]
    rows = [row for p in prompts for row in answers(p, "one", "two", "three", "four")]
    items = selection.queue_items(prompts, rows, queues=QueueConfig(rank_items=count, rate_items=count), round=1, seed=0).items
    assert Counter(item.queue for item in items) == Counter({queue: count for queue in Queue if count})
