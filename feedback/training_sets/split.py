"""Which prompt families train and which are held out: one split, for ever, for every stage.

A family's side follows from a hash of its name. Families that ask the same question, word for word or nearly so, are one:
when any of them is held out, all are. So a held-out family stays held out whatever is added later, and a family that trained
until now leaves training when a question of it turns out to be nearly a held-out one. It does not judge either: a policy may
have seen it.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

from feedback.config import SplitConfig, Strict
from feedback.curation.duplicates import conversation
from feedback.curation.families import merged_families
from feedback.ids import FamilyId, unit_interval
from feedback.schemas import Prompt


class Joined(Strict):
    """Families that count as one, because they ask the same in the same or nearly the same words."""

    families: tuple[FamilyId, ...]
    """Two or more, sorted."""
    held_out: bool
    left_training: tuple[FamilyId, ...]
    """Those that are held out through the others alone. They may have been trained on before, so they do not judge either."""


def is_held_out(prompt: Prompt, split: SplitConfig) -> bool:
    """True for critical questions, and for the share of families that a hash of their name picks.

    A synthetic question holds out nothing, so a family of such questions alone trains. Judged alone: that a family is held
    out because *another* prompt of it is critical, only `held_out_families` knows.
    """
    picked = unit_interval(f"{split.salt}:{prompt.family}") < split.held_out_share
    return prompt.critical or (picked and not prompt.synthetic)


def judging_families(prompts: Iterable[Prompt], split: SplitConfig) -> frozenset[FamilyId]:
    """The families that are held out by themselves, and so were never trained on."""
    return frozenset(prompt.family for prompt in prompts if is_held_out(prompt, split))


def held_out_families(prompts: Iterable[Prompt], split: SplitConfig) -> frozenset[FamilyId]:
    """Every family of `prompts` that must not train: those that are held out by themselves, and all joined with one of them."""
    every = list(prompts)
    held_out = judging_families(every, split)
    return held_out.union(*(group for group in _groups(every) if not held_out.isdisjoint(group)))


def joined_families(prompts: Iterable[Prompt], split: SplitConfig) -> tuple[Joined, ...]:
    """Each group of two or more families that count as one, sorted, with the side on which it lies."""
    every = list(prompts)
    held_out = judging_families(every, split)
    return tuple(sorted((_joined(group, held_out) for group in _groups(every) if len(group) > 1), key=lambda each: each.families))


def _joined(group: frozenset[FamilyId], held_out: frozenset[FamilyId]) -> Joined:
    is_out = not group.isdisjoint(held_out)
    return Joined(families=tuple(sorted(group)), held_out=is_out, left_training=tuple(sorted(group - held_out)) if is_out else ())


def _groups(prompts: Iterable[Prompt]) -> tuple[frozenset[FamilyId], ...]:
    """All families, those together that are joined, directly or through others."""
    # Equal prompts come from the snapshot and from the project's files: each is read once.
    return _grouped(tuple({(prompt.id, prompt.family): prompt for prompt in prompts}.values()))


@lru_cache(maxsize=1)
def _grouped(prompts: tuple[Prompt, ...]) -> tuple[frozenset[FamilyId], ...]:
    leader = dict(merged_families(prompts))
    asked_by: dict[object, FamilyId] = {}
    for prompt in prompts:
        twin = asked_by.setdefault(conversation(prompt.messages), prompt.family)
        leader[_lead(twin, leader)] = _lead(prompt.family, leader)
    groups: dict[FamilyId, set[FamilyId]] = {}
    for family in leader:
        groups.setdefault(_lead(family, leader), set()).add(family)
    return tuple(frozenset(group) for group in groups.values())


def _lead(family: FamilyId, leader: dict[FamilyId, FamilyId]) -> FamilyId:
    """The family that speaks for all joined with this one."""
    while leader[family] != family:
        leader[family] = leader[leader[family]]
        family = leader[family]
    return family
