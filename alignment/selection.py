"""What people should see next.

Held-out families never enter a review queue that trains. Of the prompts that may, those not asked before come first,
one of a family per round. Ranked sets teach most whose answers the champion can hardly tell apart and on which the reward
ensemble disagrees (`signals.py`): these come first, spread over the topics. A random slice is kept beside them, and only
that is a fair sample of what the model does. `why.jsonl` beside the queue says of each item which of the two it is.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from pydantic import Field

from feedback.config import QueueConfig, SelectionConfig, SplitConfig, Strict
from feedback.ids import FamilyId, ItemId, PromptId, unit_interval
from feedback.schemas import Completion, Prompt, Purpose, Queue, ReviewItem
from feedback.training_sets.split import held_out_families, judging_families


class Signal(Strict):
    """How much there is to learn from people's ranking of one prompt's answers."""

    margin: float | None = Field(default=None, ge=0)
    """Mean distance between two of its answers in the champion's log-ratio to its parent, nats. Small: it cannot tell them apart.
    None when nothing could say."""
    disagreement: float | None = Field(default=None, ge=0)
    """Mean standard deviation of the reward ensemble's members over its answers, in standard deviations of reward."""


class Why(Strict):
    """Why an item stands in the queue; one line of `why.jsonl`."""

    item_id: ItemId
    prompt_id: PromptId
    topic: str | None
    how: Literal["random", "chosen", "left over"]
    """`random`: of the slice that estimates may be made from; `chosen` by its signals; `left over`: to be rated, not ranked."""
    probability: float | None
    """Of getting into the random slice, the same for every prompt that could be ranked; None for items that are not of it."""
    signal: Signal
    place: int | None
    """Place among all that could be ranked, by what there is to learn, from 0; None without signals."""


@dataclass(frozen=True)
class Selected:
    """A queue and the reason for each of its items, in the same order."""

    items: list[ReviewItem]
    why: list[Why]


Judge = Callable[[Sequence[tuple[Prompt, Sequence[str]]]], Sequence[Signal]]
"""Prompts with the answers that would be shown side by side -> their signals."""


def trainable(prompts: Sequence[Prompt], split: SplitConfig) -> list[Prompt]:
    """Prompts whose family may be trained on."""
    held_out = held_out_families(prompts, split)
    return [prompt for prompt in prompts if prompt.family not in held_out]


def audit_prompts(prompts: Sequence[Prompt], split: SplitConfig, *, families: int) -> list[Prompt]:
    """One prompt of each held-out family, every critical question first. The same list each round, so that rounds compare.

    Synthetic questions are not among them, whatever their family, and neither are families that are held out through
    another alone: those may have been trained on before.
    """
    critical = [prompt for prompt in prompts if prompt.critical]
    taken = {prompt.family for prompt in critical}
    held_out = judging_families(prompts, split) - taken
    others = _one_of_each_family([prompt for prompt in prompts if prompt.family in held_out and not prompt.synthetic],
                                 salt="audit")
    return sorted(critical, key=lambda prompt: prompt.id) + others[:max(0, families - len(taken))]


def queue_prompts(prompts: Sequence[Prompt], split: SplitConfig, *, asked: Mapping[PromptId, int], count: int, seed: int,
                  round: int) -> list[Prompt]:
    """At most `count` prompts for the review queue, least often asked first, at most one of a family."""
    return _one_of_each_family(trainable(prompts, split), salt=f"{seed}:{round}", asked=asked)[:count]


def _one_of_each_family(prompts: Sequence[Prompt], *, salt: str, asked: Mapping[PromptId, int] | None = None) -> list[Prompt]:
    times = asked or {}
    of_family: dict[FamilyId, int] = {}
    for prompt in prompts:
        of_family[prompt.family] = of_family.get(prompt.family, 0) + times.get(prompt.id, 0)
    order = sorted(prompts, key=lambda p: (of_family[p.family], times.get(p.id, 0), unit_interval(f"{salt}:{p.id}")))
    chosen: dict[FamilyId, Prompt] = {}
    for prompt in order:
        chosen.setdefault(prompt.family, prompt)
    return list(chosen.values())


def queue_items(prompts: Sequence[Prompt], completions: Sequence[Completion], *, queues: QueueConfig, round: int, seed: int,
                judge: Judge | None = None) -> Selected:
    """Rank and rate items for freshly sampled answers, and why each is among them.

    A prompt with at least `rank_size` different answers may be ranked; the others, and those left over, are rated by
    their first answer. Fewer items come back when there are not enough different answers.
    """
    by_prompt: dict[PromptId, list[Completion]] = {}
    for completion in completions:
        by_prompt.setdefault(completion.prompt_id, []).append(completion)
    different = {prompt.id: _different(by_prompt.get(prompt.id, [])) for prompt in prompts}
    able = [prompt for prompt in prompts if len(different[prompt.id]) >= queues.rank_size]
    found = judge([(p, [c.text for c in different[p.id][:queues.rank_size]]) for p in able]) if judge and able else []
    signals = {prompt.id: signal for prompt, signal in zip(able, found, strict=bool(found))}
    ranked = choose(able, signals, count=queues.rank_items, config=queues.selection, salt=f"{seed}:{round}")
    taken = {chosen.prompt.id for chosen in ranked}
    rated = [prompt for prompt in prompts if prompt.id not in taken and different[prompt.id]][:queues.rate_items]
    shown = [(chosen, Queue.RANK, queues.rank_size) for chosen in ranked] + [
        (Chosen(prompt, "left over", None, None), Queue.RATE, 1) for prompt in rated]
    items = [ReviewItem.of(queue=queue, purpose=Purpose.TRAIN, round=round, prompt_id=chosen.prompt.id, reviews=queues.reviews,
                           completion_ids=[completion.id for completion in different[chosen.prompt.id][:size]])
             for chosen, queue, size in shown]
    return Selected(items, [_why(item, chosen, signals) for item, (chosen, _, _) in zip(items, shown, strict=True)])


@dataclass(frozen=True)
class Chosen:
    """A prompt to be shown, and how it got there; the rest as in `Why`."""

    prompt: Prompt
    how: Literal["random", "chosen", "left over"]
    probability: float | None
    place: int | None


def _why(item: ReviewItem, chosen: Chosen, signals: Mapping[PromptId, Signal]) -> Why:
    return Why(item_id=item.id, prompt_id=chosen.prompt.id, topic=chosen.prompt.topic, how=chosen.how,
               probability=chosen.probability, signal=signals.get(chosen.prompt.id, Signal()), place=chosen.place)


def choose(prompts: Sequence[Prompt], signals: Mapping[PromptId, Signal], *, count: int, config: SelectionConfig,
           salt: str) -> list[Chosen]:
    """At most `count` prompts: the random slice, then those with most to learn from. Without signals all are random."""
    shuffled = sorted(prompts, key=lambda prompt: unit_interval(f"rank:{salt}:{prompt.id}"))
    order = by_signal(shuffled, signals, config)
    place = {prompt.id: number for number, prompt in enumerate(order)}
    wanted = min(count, len(prompts))
    slice_ = shuffled[:round(wanted * config.random_share) if order else wanted]
    probability = len(slice_) / len(prompts) if prompts else None
    drawn = [Chosen(prompt, "random", probability, place.get(prompt.id)) for prompt in slice_]
    taken = {prompt.id for prompt in slice_}
    rest = [prompt for prompt in order if prompt.id not in taken]
    best = _over_topics(rest, slice_, count=wanted - len(slice_)) if config.topics else rest[:wanted - len(slice_)]
    return drawn + [Chosen(prompt, "chosen", None, place[prompt.id]) for prompt in best]


def by_signal(prompts: Sequence[Prompt], signals: Mapping[PromptId, Signal], config: SelectionConfig) -> list[Prompt]:
    """The prompts with most to learn from first; empty when no signal says anything.

    Margins and disagreements have no common unit, so each orders the prompts by itself and the places are averaged; a
    prompt that a signal says nothing of stands in the middle of its order.
    """
    known = {prompt.id: signals.get(prompt.id, Signal()) for prompt in prompts}
    orders = []
    if config.margin:
        orders.append({id: signal.margin for id, signal in known.items() if signal.margin is not None})
    if config.disagreement:
        orders.append({id: -signal.disagreement for id, signal in known.items() if signal.disagreement is not None})
    orders = [order for order in orders if order]
    if not orders:
        return []
    places = [_places(order) for order in orders]
    return sorted(prompts, key=lambda prompt: sum(own.get(prompt.id, 0.5) for own in places))


def _places(values: Mapping[PromptId, float]) -> dict[PromptId, float]:
    """Place of each in rising order, 0 to 1; equal values share their mean place."""
    ordered = sorted(values.values())
    last = max(1, len(ordered) - 1)
    first = {value: place for place, value in reversed(list(enumerate(ordered)))}
    times = Counter(ordered)
    return {id: (first[value] + (times[value] - 1) / 2) / last for id, value in values.items()}


def _over_topics(prompts: Sequence[Prompt], before: Sequence[Prompt], *, count: int) -> list[Prompt]:
    """The best prompts, each time of the topic that has fewest so far, `before` counted in."""
    left: dict[str | None, list[Prompt]] = {}
    for prompt in prompts:
        left.setdefault(prompt.topic, []).append(prompt)
    have = Counter(prompt.topic for prompt in before)
    best = {prompt.id: place for place, prompt in enumerate(prompts)}
    chosen: list[Prompt] = []
    while left and len(chosen) < count:
        topic = min(left, key=lambda name: (have[name], best[left[name][0].id]))
        chosen.append(left[topic].pop(0))
        have[topic] += 1
        if not left[topic]:
            del left[topic]
    return chosen


def _different(completions: Sequence[Completion]) -> list[Completion]:
    """The first completion of each text that is not empty."""
    firsts: dict[str, Completion] = {}
    for completion in sorted(completions, key=lambda c: c.index):
        firsts.setdefault(completion.text.strip(), completion)
    return [completion for text, completion in firsts.items() if text]
