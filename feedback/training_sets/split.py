"""Which prompt families train and which are held out: one split, for ever, for every stage."""

from __future__ import annotations

from collections.abc import Iterable

from feedback.config import SplitConfig
from feedback.curation.duplicates import conversation
from feedback.ids import FamilyId, unit_interval
from feedback.schemas import Prompt


def is_held_out(prompt: Prompt, split: SplitConfig) -> bool:
    """True for critical questions, and for the share of families that a hash of their name picks.

    A synthetic question holds out nothing, so a family of such questions alone trains. Judged alone: that a family is held out
    because *another* prompt of it is critical, only `held_out_families` knows.
    """
    picked = unit_interval(f"{split.salt}:{prompt.family}") < split.held_out_share
    return prompt.critical or (picked and not prompt.synthetic)


def held_out_families(prompts: Iterable[Prompt], split: SplitConfig) -> frozenset[FamilyId]:
    """Every family of `prompts` that must not train.

    Families that ask the same question word for word count as one, and one held-out prompt holds out all of them:
    otherwise a policy would be judged on a question it was trained on under another name.
    """
    leader: dict[FamilyId, FamilyId] = {}
    asked_by: dict[object, FamilyId] = {}
    held_out: set[FamilyId] = set()
    for prompt in prompts:
        leader.setdefault(prompt.family, prompt.family)
        twin = asked_by.setdefault(conversation(prompt.messages), prompt.family)
        leader[_lead(twin, leader)] = _lead(prompt.family, leader)
        if is_held_out(prompt, split):
            held_out.add(prompt.family)
    held_out_leaders = {_lead(family, leader) for family in held_out}
    return frozenset(family for family in leader if _lead(family, leader) in held_out_leaders)


def _lead(family: FamilyId, leader: dict[FamilyId, FamilyId]) -> FamilyId:
    """The family that speaks for all joined with this one."""
    while leader[family] != family:
        leader[family] = leader[leader[family]]
        family = leader[family]
    return family
