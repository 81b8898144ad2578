"""The card of a training set: where every rating, verdict and comparison went, in counts and sentences."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from feedback.config import Strict
from feedback.ids import FamilyId, ReviewerId
from feedback.store.snapshot import Contents
from feedback.training_sets.kto import Labelled
from feedback.training_sets.material import Material
from feedback.training_sets.preferences import ORIGINS, Preferences
from feedback.training_sets.rewrites import Rewrites
from feedback.training_sets.rows import KtoExample, PreferencePair, RankedSet, SftExample
from feedback.training_sets.sft import FIRST, Demonstrations
from feedback.training_sets.split import Joined
from feedback.training_sets.weights import ReviewerShare


@dataclass(frozen=True)
class WeighedRows:
    """The rows with their weights, and by kind of row how much of it rests on each reviewer."""

    sft: tuple[SftExample, ...]
    pairs: tuple[PreferencePair, ...]
    kto: tuple[KtoExample, ...]
    shares: Mapping[str, tuple[ReviewerShare, ...]]


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
    labelled: dict[str, int] = {}
    """KTO rows: `wanted` and `unwanted` answers."""
    labels_left_out: dict[str, int] = {}
    """Reason -> answers without a label."""
    rankings: int
    """Questions with at least one pair."""
    topics: dict[str, float] = {}
    """Topic -> its share of the demonstrations, weights counted; `none` where a question has no topic."""
    synthetic: dict[str, int] = {}
    """Kind of row -> rows whose question a model or a template wrote."""
    simulated: tuple[ReviewerId, ...] = ()
    """Reviewers that are programs."""
    reviewers: dict[str, tuple[ReviewerShare, ...]] = {}
    """Kind of row -> how much of it rests on each reviewer, before and after the cap."""


def make_card(contents: Contents, material: Material, held_out: frozenset[FamilyId], *, joined: tuple[Joined, ...],
              rewrites: Rewrites, demonstrations: Demonstrations, preferences: Preferences, labelled: Labelled,
              rankings: tuple[RankedSet, ...], rows: WeighedRows) -> SetsCard:
    """The card of what was made from `contents`."""
    outcomes = Counter(verdict.outcome.value if verdict.outcome else "undecided" for verdict in material.verdicts.rate)
    held = sum(prompt.family in held_out for prompt in contents.prompts)
    families = {prompt.family for prompt in contents.prompts}
    return SetsCard(
        said=(_said_of_demonstrations(demonstrations.examples), _said_of_pairs(preferences), *_said_of_the_split(joined),
              *_said_of_reviewers(contents, rows), *_said_of_weights(rows), *_said_of_synthetic(rows)),
        ratings=len(contents.ratings), ratings_left_out=dict(material.left_out),
        prompts={"train": len(contents.prompts) - held, "held_out": held},
        families={"train": len(families - held_out), "held_out": len(families & held_out)},
        joined=joined, verdicts=dict(sorted(outcomes.items())), beside_majority=dict(material.verdicts.beside_majority),
        demonstrations={origin: sum(row.origin == origin for row in demonstrations.examples)
                        for origin in FIRST},
        demonstrations_merged=demonstrations.merged, verdicts_refused=dict(demonstrations.refused),
        rewrites_refused=dict(rewrites.refused), comparisons=dict(preferences.judged),
        pairs={origin: sum(row.origin == origin for row in preferences.pairs) for origin in ORIGINS},
        preferences_left_out=dict(preferences.left_out), rankings=len(rankings),
        labelled={name: sum(row.label is wanted for row in rows.kto) for name, wanted in (("wanted", True), ("unwanted", False))},
        labels_left_out=dict(labelled.left_out), topics=_topics(rows.sft), reviewers=dict(rows.shares),
        synthetic={name: sum(row.synthetic for row in own) for name, own in _kinds(rows).items()},
        simulated=tuple(sorted(reviewer.id for reviewer in contents.reviewers if reviewer.simulated)))


def _topics(examples: Sequence[SftExample]) -> dict[str, float]:
    total = sum(row.weight for row in examples)
    by_topic: dict[str, float] = {}
    for row in examples:
        by_topic[row.topic or "none"] = by_topic.get(row.topic or "none", 0.0) + row.weight
    return {topic: round(weight / total, 6) for topic, weight in sorted(by_topic.items())}


def _said_of_demonstrations(examples: tuple[SftExample, ...]) -> str:
    written = sum(row.origin == "rewrite" for row in examples)
    settled = sum(row.origin == "adjudicated" for row in examples)
    return (f"{len(examples)} demonstrations: {written} written by reviewers, {len(examples) - written} accepted answers"
            + (f", {settled} of them adjudicated" if settled else ""))


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


def _said_of_reviewers(contents: Contents, rows: WeighedRows) -> tuple[str, ...]:
    """Where few people decide: one reviewer alone, one rating for each item, or a share that was capped."""
    who = {rating.reviewer_id for rating in contents.ratings}
    said = []
    if len(who) == 1:
        said.append("all ratings are one reviewer's: nobody confirms them, and no cap can be kept")
    elif contents.ratings and len({rating.item_id for rating in contents.ratings}) == len(contents.ratings):
        said.append("every item has one rating: reviewers cannot be compared, and doubt is what is assumed of anybody")
    for name, shares in rows.shares.items():
        said += [f"{share.before:.0%} of the {name} rest on reviewer {share.reviewer}; capped, they count {share.after:.0%}"
                 for share in shares if share.after < share.before - 0.005]
    return tuple(said)


def _kinds(rows: WeighedRows) -> dict[str, Sequence[SftExample | PreferencePair | KtoExample]]:
    return {"demonstrations": rows.sft, "pairs": rows.pairs}


LARGE_WEIGHT = 10


def _said_of_weights(rows: WeighedRows) -> tuple[str, ...]:
    large = {name: sum(row.weight > LARGE_WEIGHT for row in own) for name, own in _kinds(rows).items()}
    return tuple(f"{count} {name} count more than {LARGE_WEIGHT} times each: too few rows for the share that is asked of them"
                 for name, count in large.items() if count)


def _said_of_synthetic(rows: WeighedRows) -> tuple[str, ...]:
    return tuple(f"{count} of the {len(own)} {name} answer questions that a model or a template wrote"
                 for name, own in _kinds(rows).items() if (count := sum(row.synthetic for row in own)))
