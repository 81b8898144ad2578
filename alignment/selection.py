"""What people should see next.

Held-out families never enter a review queue that trains. Of the prompts that may, those not asked before come first,
one of a family per round. Ranked sets whose best and worst answers the reward model can hardly tell apart teach most
and come first; a random half is kept so that the queue stays a fair sample of what the model does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from feedback.config import QueueConfig, SplitConfig
from feedback.ids import FamilyId, PromptId, unit_interval
from feedback.schemas import Completion, Prompt, Purpose, Queue, ReviewItem
from feedback.training_sets.split import held_out_families, judging_families

RANDOM_SHARE = 0.5
"""Part of the ranked sets that is taken at random."""

Score = Callable[[Sequence[tuple[Prompt, str]]], Sequence[float]]
"""(prompt, answer) rows -> rewards, higher is better."""


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
                score: Score | None = None) -> list[ReviewItem]:
    """Rank and rate items for freshly sampled answers.

    A prompt with at least `rank_size` different answers may be ranked; the others, and those left over, are rated by
    their first answer. Fewer items come back when there are not enough different answers.
    """
    by_prompt: dict[PromptId, list[Completion]] = {}
    for completion in completions:
        by_prompt.setdefault(completion.prompt_id, []).append(completion)
    different = {prompt.id: _different(by_prompt.get(prompt.id, [])) for prompt in prompts}
    able = [prompt for prompt in prompts if len(different[prompt.id]) >= queues.rank_size]
    spread = _spreads(able, different, score, size=queues.rank_size)
    ranked = _half_by_spread(able, spread, count=queues.rank_items, salt=f"{seed}:{round}")
    taken = {prompt.id for prompt in ranked}
    rated = [prompt for prompt in prompts if prompt.id not in taken and different[prompt.id]][:queues.rate_items]
    shown = {Queue.RANK: (ranked, queues.rank_size), Queue.RATE: (rated, 1)}
    return [ReviewItem.of(queue=queue, purpose=Purpose.TRAIN, round=round, prompt_id=prompt.id, reviews=queues.reviews,
                          completion_ids=[completion.id for completion in different[prompt.id][:size]])
            for queue, (chosen, size) in shown.items() for prompt in chosen]


def _different(completions: Sequence[Completion]) -> list[Completion]:
    """The first completion of each text that is not empty."""
    firsts: dict[str, Completion] = {}
    for completion in sorted(completions, key=lambda c: c.index):
        firsts.setdefault(completion.text.strip(), completion)
    return [completion for text, completion in firsts.items() if text]


def _spreads(prompts: Sequence[Prompt], different: Mapping[PromptId, Sequence[Completion]], score: Score | None, *,
             size: int) -> dict[PromptId, float]:
    """Best minus worst reward of each prompt's shown answers; empty without a reward model."""
    if score is None or not prompts:
        return {}
    rows = [(prompt, completion.text) for prompt in prompts for completion in different[prompt.id][:size]]
    rewards = list(score(rows))
    parts = [rewards[start:start + size] for start in range(0, len(rewards), size)]
    return {prompt.id: max(part) - min(part) for prompt, part in zip(prompts, parts, strict=True)}


def _half_by_spread(prompts: Sequence[Prompt], spread: Mapping[PromptId, float], *, count: int, salt: str) -> list[Prompt]:
    shuffled = sorted(prompts, key=lambda prompt: unit_interval(f"rank:{salt}:{prompt.id}"))
    at_random = shuffled[:round(count * RANDOM_SHARE)] if spread else shuffled[:count]
    rest = [prompt for prompt in shuffled if prompt not in at_random]
    return at_random + sorted(rest, key=lambda prompt: spread.get(prompt.id, 0.0))[:count - len(at_random)]
