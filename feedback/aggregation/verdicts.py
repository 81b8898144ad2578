"""From ratings to verdicts: one per rated completion, one per ranked item.

All reviewers count alike here, and order never matters: rows in any order, reviewers under any name give the same
verdicts. Where the same reviewer rated an answer twice (an answer repeated in two items), the later rating counts.
Nothing is concluded about gold items: what they hold is known.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from feedback.aggregation.ranking import best_of, compare
from feedback.aggregation.votes import ASSUMED_ACCURACY, DECIDING, Tally, majority, tally
from feedback.ids import CompletionId, ItemId, PromptId
from feedback.schemas import (
    Purpose,
    Queue,
    RankAnswer,
    RankVerdict,
    RateAnswer,
    Rating,
    ReviewItem,
    Sources,
    Verdict,
    VerdictValue,
)
from feedback.store.snapshot import Contents


@dataclass(frozen=True)
class Verdicts:
    """Everything concluded from one snapshot, sorted by id."""

    rate: tuple[Verdict, ...]
    rank: tuple[RankVerdict, ...]


def aggregate(contents: Contents) -> Verdicts:
    """The verdicts on every completion and every ranked item that somebody rated."""
    items = {item.id: item for item in contents.items}
    rated: dict[CompletionId, list[Rating]] = {}
    ranked: dict[ItemId, list[Rating]] = {}
    for rating in contents.ratings:
        item = items[rating.item_id]
        if item.purpose is Purpose.GOLD:
            continue
        if item.queue is Queue.RATE:
            rated.setdefault(item.completion_ids[0], []).append(rating)
        else:
            ranked.setdefault(item.id, []).append(rating)
    of_prompt = {completion.id: completion.prompt_id for completion in contents.completions}
    return Verdicts(
        rate=tuple(verdict(ratings, completion_id=completion, prompt_id=of_prompt[completion])
                   for completion, ratings in sorted(rated.items())),
        rank=tuple(rank_verdict(ratings, item=items[item]) for item, ratings in sorted(ranked.items())))


def verdict(ratings: Sequence[Rating], *, completion_id: CompletionId, prompt_id: PromptId) -> Verdict:
    """What the reviewers of one completion conclude together; at least one rating.

    Verdict and hallucination are the plurality of those who could tell; criteria are means over everyone who rated them.
    When nobody could tell, the outcome is `cannot tell`, with the probability that one reviewer's word has.
    """
    counted = one_each(ratings)
    answers = [rating.answer for rating in counted if isinstance(rating.answer, RateAnswer)]
    telling = [answer for answer in answers if answer.verdict in DECIDING]
    told = _told(telling)
    return Verdict(
        completion_id=completion_id, prompt_id=prompt_id, outcome=told.outcome, most_likely=told.most_likely,
        probability=told.probability, hallucinated=majority([answer.hallucinated for answer in telling]),
        abstains=majority([answer.abstains for answer in answers]), criteria=_means(answers),
        rewrites=_rewrites(answers), sources=sources(counted, [completion_id]))


def _told(telling: Sequence[RateAnswer]) -> Tally[VerdictValue]:
    if not telling:
        unknown = VerdictValue.CANNOT_TELL
        return Tally(outcome=unknown, most_likely=unknown, probability=ASSUMED_ACCURACY)
    return tally([answer.verdict for answer in telling], labels=DECIDING)


def rank_verdict(ratings: Sequence[Rating], *, item: ReviewItem) -> RankVerdict:
    """What the reviewers of one ranked item conclude together; at least one rating."""
    counted = one_each(ratings)
    answers = [rating.answer for rating in counted if isinstance(rating.answer, RankAnswer)]
    pairs = compare(answers, item.completion_ids)
    return RankVerdict(item_id=item.id, prompt_id=item.prompt_id, pairs=pairs, rewrites=_rewrites(answers),
                       best=best_of(pairs, item.completion_ids), sources=sources(counted, item.completion_ids))


def one_each(ratings: Iterable[Rating]) -> list[Rating]:
    """Each reviewer's latest rating, sorted by id."""
    latest = {rating.reviewer_id: rating for rating in sorted(ratings, key=lambda row: (row.submitted_at, row.id))}
    return sorted(latest.values(), key=lambda row: row.id)


def sources(ratings: Sequence[Rating], completions: Sequence[CompletionId]) -> Sources:
    """Who and what a conclusion from these ratings of these completions rests on."""
    return Sources(items=tuple(sorted({rating.item_id for rating in ratings})), completions=tuple(sorted(set(completions))),
                   reviewers=tuple(sorted({rating.reviewer_id for rating in ratings})),
                   ratings=tuple(sorted(rating.id for rating in ratings)))


def _means(answers: Sequence[RateAnswer]) -> dict[str, float]:
    names = sorted({name for answer in answers for name in answer.criteria})
    given = {name: [answer.criteria[name] for answer in answers if name in answer.criteria] for name in names}
    return {name: sum(values) / len(values) for name, values in given.items()}


def _rewrites(answers: Sequence[RateAnswer | RankAnswer]) -> tuple[str, ...]:
    return tuple(sorted({answer.rewrite for answer in answers if answer.rewrite and answer.rewrite.strip()}))
