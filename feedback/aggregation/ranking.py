"""Rankings of K answers by several reviewers, pair by pair, everybody alike: the majority beside which weighing is shown."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import lru_cache
from itertools import combinations

from feedback.aggregation.conclusions import Outcome, PairVerdict
from feedback.ids import CompletionId
from feedback.schemas import RankAnswer

PRIOR = 0.5
"""Both parameters of the Beta prior on the share of reviewers who prefer the first: Jeffreys'."""

Beaten = Mapping[CompletionId, set[CompletionId]]


def compare(answers: Sequence[RankAnswer], completions: Sequence[CompletionId]) -> tuple[PairVerdict, ...]:
    """A verdict by majority on each of the K(K-1)/2 pairs of `completions`, the lower id first.

    Per pair the outcome (first, second, tie) with the most votes holds, and a shared lead is undecided. Preferences that
    run in a circle (a over b over c over a) contradict each other and are undecided as well: no ranking agrees with them.
    """
    tiers = [_tier_of(answer) for answer in answers]
    pairs = [_compare_two(tiers, first, second) for first, second in combinations(sorted(completions), 2)]
    return without_circles(pairs)


def without_circles(pairs: Sequence[PairVerdict]) -> tuple[PairVerdict, ...]:
    """The same pairs, those undecided whose preferences run in a circle."""
    beaten = _beaten(pairs)
    return tuple(_undecided(pair) if _runs_in_a_circle(pair, beaten) else pair for pair in pairs)


@lru_cache(maxsize=1024)
def reversed_probability(votes_for: float, votes_against: float) -> float:
    """Probability that a preference is really the other way round, at most 0.5.

    The posterior mass below one half of the share of reviewers who prefer as recorded, from a Beta(1/2, 1/2) prior.
    One vote to none: 0.18; two to none: 0.076; two to one: 0.29. A vote for a tie counts half for either side.
    """
    from scipy.stats import beta  # 0.5 s to import, and only doubt needs it

    return float(min(0.5, beta.cdf(0.5, votes_for + PRIOR, votes_against + PRIOR)))


def margin(answers: Sequence[RankAnswer], *, better: CompletionId, worse: CompletionId) -> float:
    """How many tiers apart the reviewers who prefer `better` put the two, on average. 1.0 when nobody does."""
    tiers = [_tier_of(answer) for answer in answers]
    apart = [t[worse] - t[better] for t in tiers if better in t and worse in t and t[worse] > t[better]]
    return sum(apart) / len(apart) if apart else 1.0


def best_of(pairs: Sequence[PairVerdict], completions: Sequence[CompletionId]) -> CompletionId | None:
    """The one completion that beats or ties every other; None when there is none such, or more than one."""
    losers: set[CompletionId] = set()
    for pair in pairs:
        match pair.outcome:
            case Outcome.FIRST:
                losers.add(pair.second)
            case Outcome.SECOND:
                losers.add(pair.first)
            case Outcome.UNDECIDED:
                losers |= {pair.first, pair.second}
            case Outcome.TIE:
                pass
    left = [completion for completion in completions if completion not in losers]
    return left[0] if len(left) == 1 else None


def _tier_of(answer: RankAnswer) -> dict[CompletionId, int]:
    return {completion: number for number, tier in enumerate(answer.tiers) for completion in tier}


def _compare_two(tiers: Sequence[Mapping[CompletionId, int]], first: CompletionId, second: CompletionId) -> PairVerdict:
    votes = Counter(vote_on(t, first, second) for t in tiers if first in t and second in t)
    most = max(votes.values(), default=0)
    leaders = [outcome for outcome, count in votes.items() if count == most]
    outcome = leaders[0] if len(leaders) == 1 else Outcome.UNDECIDED
    half_ties = votes[Outcome.TIE] / 2
    match outcome:
        case Outcome.FIRST:
            doubt = reversed_probability(votes[Outcome.FIRST] + half_ties, votes[Outcome.SECOND] + half_ties)
        case Outcome.SECOND:
            doubt = reversed_probability(votes[Outcome.SECOND] + half_ties, votes[Outcome.FIRST] + half_ties)
        case Outcome.TIE | Outcome.UNDECIDED:
            doubt = 0.0
    return PairVerdict(first=first, second=second, outcome=outcome, reversed_probability=doubt)


def vote_on(place: Mapping[CompletionId, int], first: CompletionId, second: CompletionId) -> Outcome:
    """What a ranking says about two of its answers; `place`: the tier of each, 0 for the best."""
    if place[first] == place[second]:
        return Outcome.TIE
    return Outcome.FIRST if place[first] < place[second] else Outcome.SECOND


def _beaten(pairs: Sequence[PairVerdict]) -> Beaten:
    beaten: dict[CompletionId, set[CompletionId]] = {}
    for pair in pairs:
        if pair.outcome is Outcome.FIRST:
            beaten.setdefault(pair.first, set()).add(pair.second)
        if pair.outcome is Outcome.SECOND:
            beaten.setdefault(pair.second, set()).add(pair.first)
    return beaten


def _runs_in_a_circle(pair: PairVerdict, beaten: Beaten) -> bool:
    """The preferred one is itself beaten, directly or through others, by the other."""
    if pair.outcome not in {Outcome.FIRST, Outcome.SECOND}:
        return False
    winner, loser = (pair.first, pair.second) if pair.outcome is Outcome.FIRST else (pair.second, pair.first)
    seen: set[CompletionId] = set()
    open_ends = [loser]
    while open_ends:
        at = open_ends.pop()
        if at == winner:
            return True
        if at not in seen:
            seen.add(at)
            open_ends += beaten.get(at, ())
    return False


def _undecided(pair: PairVerdict) -> PairVerdict:
    return pair.model_copy(update={"outcome": Outcome.UNDECIDED, "reversed_probability": 0.0})
