"""Candidate and champion on the same prompts: pairs, one of each family.

A pair needs a reviewed answer of the champion. An answer of the candidate that was asked for and has no review counts against
the candidate: what reviewers pass over is not missing by chance.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import Field

from alignment.evaluation.figures import Scales
from alignment.evaluation.outcomes import AuditOutcome, Result, latest_by_prompt, one_per_family
from feedback.config import Share, Strict
from feedback.ids import PolicyId
from feedback.intervals import wilson
from feedback.measures import Figure, Unscored
from feedback.paired import PairedTest, sign_test

ORDER = {Result.CORRECT: 4, Result.ABSTAINED_RIGHTLY: 4, Result.PARTIALLY_CORRECT: 3, Result.ABSTAINED_WRONGLY: 2,
         Result.INCORRECT: 1, Result.HALLUCINATED: 0}
"""Higher wins. Undecided answers stand in no order: with one of them a pair is a tie."""


class Discordance(Strict):
    """Pairs in which exactly one of the two answers has a property, and how many pairs there are."""

    pairs: int = Field(ge=0)
    gained: int = Field(ge=0)
    """The candidate's answer has it, the champion's has not."""
    lost: int = Field(ge=0)
    """The champion's answer has it, the candidate's has not."""


class SliceDiscordance(Strict):
    """Good answers on one topic."""

    topic: str
    good: Discordance


class DifferenceCount(Strict):
    """How many pairs differ by so much."""

    difference: float
    """Candidate's mean rating minus the champion's, in points of the scale."""
    pairs: int = Field(ge=1)


class CriterionDifference(Strict):
    """Paired differences on one criterion."""

    scale: tuple[float, float]
    """Lowest and highest rating."""
    counts: tuple[DifferenceCount, ...]

    @property
    def values(self) -> list[float]:
        """Every pair's difference, ascending."""
        return [count.difference for count in self.counts for _ in range(count.pairs)]


class Comparison(Strict):
    """The pairs that the advance gate reads."""

    good: Discordance
    """Good: correct, or rightly abstaining. Undecided is not good, on either side."""
    hallucinated: Discordance
    undecided: int = Field(ge=0)
    """Pairs in which the reviewers left an answer undecided."""
    unreviewed: int = Field(ge=0)
    """Pairs in which the candidate's answer still lacks its review, and counts against it."""
    wins: int = Field(ge=0)
    """Reviewed pairs in which the candidate's outcome is the better one."""
    losses: int = Field(ge=0)
    ties: int = Field(ge=0)
    win_rate: Figure
    """Share of reviewed pairs that the candidate wins, a tie being half a win. Above 0.5 it is ahead."""
    win_p_value: Share
    """Exact two-sided sign test on the decided pairs; 1 where there is none."""
    criteria: dict[str, CriterionDifference]
    slices: tuple[SliceDiscordance, ...]
    """By topic."""


@dataclass(frozen=True, slots=True)
class Pair:
    """Both policies' outcomes on one prompt."""

    candidate: AuditOutcome
    champion: AuditOutcome


def compare(outcomes: Sequence[AuditOutcome], *, candidate: PolicyId, champion: PolicyId, scales: Scales) -> Comparison:
    """The two policies on every family that both answered, each with its latest answer."""
    pairs = pairs_of(outcomes, candidate, champion)
    reviewed = [pair for pair in pairs if pair.candidate.result is not Result.UNREVIEWED]
    wins, losses, ties = _wins(reviewed)
    test = sign_test(wins=wins, losses=losses, ties=ties)
    topics = sorted({pair.candidate.topic for pair in pairs if pair.candidate.topic})
    return Comparison(
        good=_good(pairs), hallucinated=_hallucinated(pairs),
        undecided=sum(Result.UNDECIDED in (pair.candidate.result, pair.champion.result) for pair in pairs),
        unreviewed=len(pairs) - len(reviewed), wins=wins, losses=losses, ties=ties,
        win_rate=wilson(wins + ties / 2, len(reviewed)) if reviewed else Unscored(reason="no prompt was answered by both"),
        win_p_value=test.p_value if isinstance(test, PairedTest) else 1.0,
        criteria={name: _difference(pairs, name, scale) for name, scale in sorted(scales.items())},
        slices=tuple(SliceDiscordance(topic=topic, good=_good([p for p in pairs if p.candidate.topic == topic]))
                     for topic in topics))


def pairs_of(outcomes: Sequence[AuditOutcome], candidate: PolicyId, champion: PolicyId) -> list[Pair]:
    """One pair of each family, sorted by prompt."""
    ours, theirs = latest_by_prompt(outcomes, candidate), latest_by_prompt(outcomes, champion)
    both = [prompt for prompt in ours if prompt in theirs and theirs[prompt].result is not Result.UNREVIEWED]
    chosen = one_per_family((prompt, ours[prompt].family) for prompt in both)
    return [Pair(ours[prompt], theirs[prompt]) for prompt in sorted(chosen)]


def _good(pairs: Sequence[Pair]) -> Discordance:
    return Discordance(pairs=len(pairs), gained=sum(p.candidate.result.good and not p.champion.result.good for p in pairs),
                       lost=sum(p.champion.result.good and not p.candidate.result.good for p in pairs))


def _hallucinated(pairs: Sequence[Pair]) -> Discordance:
    found = [(p.candidate.result is Result.HALLUCINATED, p.champion.result is Result.HALLUCINATED) for p in pairs]
    return Discordance(pairs=len(pairs), gained=found.count((True, False)), lost=found.count((False, True)))


def _wins(pairs: Sequence[Pair]) -> tuple[int, int, int]:
    """(wins, losses, ties) of the candidate."""
    ranked = [(ORDER.get(p.candidate.result), ORDER.get(p.champion.result)) for p in pairs]
    known = [(ours, theirs) for ours, theirs in ranked if ours is not None and theirs is not None]
    wins, losses = sum(ours > theirs for ours, theirs in known), sum(ours < theirs for ours, theirs in known)
    return wins, losses, len(pairs) - wins - losses


def _difference(pairs: Sequence[Pair], name: str, scale: tuple[float, float]) -> CriterionDifference:
    counts: Counter[float] = Counter()
    for pair in pairs:
        # An answer that nobody rated is taken for the worst.
        ours = scale[0] if pair.candidate.result is Result.UNREVIEWED else pair.candidate.criteria.get(name)
        theirs = pair.champion.criteria.get(name)
        if ours is not None and theirs is not None:
            counts[round(ours - theirs, 6)] += 1
    return CriterionDifference(scale=scale, counts=tuple(DifferenceCount(difference=difference, pairs=pairs)
                                                         for difference, pairs in sorted(counts.items())))
