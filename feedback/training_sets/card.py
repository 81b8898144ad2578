"""The card of a training set: where every rating, verdict and comparison went, in counts and sentences."""

from __future__ import annotations

from collections import Counter

from feedback.config import Strict
from feedback.ids import FamilyId
from feedback.schemas import PreferencePair, RankedSet, SftExample
from feedback.store.snapshot import Contents
from feedback.training_sets.material import Material
from feedback.training_sets.preferences import ORIGINS, Preferences
from feedback.training_sets.rewrites import Rewrites
from feedback.training_sets.sft import Demonstrations
from feedback.training_sets.split import Joined


class SetsCard(Strict):
    """Everything that was read, and what became of it."""

    kind: str = "training sets card"
    said: tuple[str, ...]
    """What a person should know first."""
    ratings: int
    """Ratings read."""
    ratings_left_out: dict[str, int]
    """Reason -> ratings that must not train."""
    prompts: dict[str, int]
    """Prompts read that may train, and that are held out."""
    families: dict[str, int]
    """Their families."""
    joined: tuple[Joined, ...] = ()
    """Families that ask the same or nearly the same, and so lie on one side."""
    verdicts: dict[str, int]
    """Outcome -> rated answers; `undecided` where reviewers are split."""
    beside_majority: dict[str, int] = {}
    """How these verdicts, which weigh the reviewers, compare with a plain majority's: outcome -> rated answers."""
    demonstrations: dict[str, int]
    """Origin -> SFT examples."""
    demonstrations_merged: int
    """Demonstrations that had another's text for the same question."""
    verdicts_refused: dict[str, int]
    """Reason -> rated answers that are no demonstration."""
    rewrites_refused: dict[str, int]
    """Reason -> rewrites that are neither a demonstration nor a pair."""
    comparisons: dict[str, int]
    """Pairs that rankings compared: decided, ties and undecided add up to judged; pairs of one text are apart."""
    pairs: dict[str, int]
    """Origin -> preference pairs."""
    preferences_left_out: dict[str, int]
    """Reason -> preferences that gave no pair of their own."""
    rankings: int
    """Ranked sets with at least one decided pair."""


def make_card(contents: Contents, material: Material, held_out: frozenset[FamilyId], *, joined: tuple[Joined, ...],
              rewrites: Rewrites, demonstrations: Demonstrations, preferences: Preferences,
              rankings: tuple[RankedSet, ...]) -> SetsCard:
    """The card of what was made from `contents`."""
    outcomes = Counter(verdict.outcome.value if verdict.outcome else "undecided" for verdict in material.verdicts.rate)
    held = sum(prompt.family in held_out for prompt in contents.prompts)
    families = {prompt.family for prompt in contents.prompts}
    return SetsCard(
        said=(_said_of_demonstrations(demonstrations.examples), _said_of_pairs(preferences), *_said_of_the_split(joined)),
        ratings=len(contents.ratings), ratings_left_out=dict(material.left_out),
        prompts={"train": len(contents.prompts) - held, "held_out": held},
        families={"train": len(families - held_out), "held_out": len(families & held_out)},
        joined=joined, verdicts=dict(sorted(outcomes.items())), beside_majority=dict(material.verdicts.beside_majority),
        demonstrations={origin: sum(row.origin == origin for row in demonstrations.examples)
                        for origin in ("rewrite", "accepted")},
        demonstrations_merged=demonstrations.merged, verdicts_refused=dict(demonstrations.refused),
        rewrites_refused=dict(rewrites.refused), comparisons=dict(preferences.judged),
        pairs={origin: sum(row.origin == origin for row in preferences.pairs) for origin in ORIGINS},
        preferences_left_out=dict(preferences.left_out), rankings=len(rankings))


def _said_of_demonstrations(examples: tuple[SftExample, ...]) -> str:
    written = sum(row.origin == "rewrite" for row in examples)
    return f"{len(examples)} demonstrations: {written} written by reviewers, {len(examples) - written} accepted answers"


def _said_of_pairs(preferences: Preferences) -> str:
    judged = preferences.judged
    compared = f"of {judged['judged']} compared in rankings {judged['ties']} are ties and {judged['undecided']} undecided"
    pairs: tuple[PreferencePair, ...] = preferences.pairs
    if not pairs and judged["judged"] and judged["ties"] == judged["judged"]:
        return f"no pairs: all {judged['ties']} compared are ties, and a tie is never trained on as a preference"
    return f"{len(pairs) or 'no'} pairs; {compared}"


def _said_of_the_split(joined: tuple[Joined, ...]) -> tuple[str, ...]:
    left = [family for group in joined for family in group.left_training]
    if not left:
        return ()
    named = ", ".join(left[:5]) + (", ..." if len(left) > 5 else "")
    return (f"{len(left)} families do not train because they ask nearly what a held-out one asks: {named}. Where an earlier "
            "round trained on them, figures on those held-out questions are too good",)
