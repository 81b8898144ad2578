"""From ratings to verdicts: one per rated completion, one per ranked item, each a posterior and not a vote.

Reviewers are weighed by how they rate, on gold items and by what the others say (`reliability.py`, `orders.py`); the plain
majority is told beside. Order never matters: rows in any order, reviewers under any name give the same verdicts. Nothing is
concluded about gold items, what they hold is known, and the ratings of a reviewer in quarantine count for nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from feedback.aggregation.conclusions import Outcome, PairVerdict, RankVerdict, Sources, Verdict
from feedback.aggregation.orders import MOST_ANSWERS, Ranking, WeighedRankings, weigh_rankings
from feedback.aggregation.questions import DECIDING_ODDS, Asked, ask, latest_answers, leads, questions
from feedback.aggregation.ranking import best_of, compare, vote_on, without_circles
from feedback.aggregation.votes import ASSUMED_ACCURACY, DECIDING, tally
from feedback.ids import CompletionId, ItemId, PromptId, ReviewerId
from feedback.schemas import Purpose, Queue, RankAnswer, RateAnswer, Rating, ReviewItem, VerdictValue
from feedback.store.snapshot import Contents


@dataclass(frozen=True)
class Weighing:
    """The ratings of one snapshot that count, weighed."""

    contents: Contents
    ratings: tuple[Rating, ...]
    """Those that count, each reviewer's latest of each answer and item."""
    left_out: Mapping[str, int]
    """Reason -> ratings that do not count."""
    asked: Mapping[str, Asked]
    """The questions of the rate form, by name."""
    rankings: WeighedRankings
    ranked: Mapping[ItemId, int]
    """Where each ranked item stands in `rankings`: items with the same answers, asked again, stand in one place."""
    rankers: Mapping[ReviewerId, int]
    """Where each reviewer who ranked stands in it."""


@dataclass(frozen=True)
class Verdicts:
    """Everything concluded from one snapshot, sorted by id."""

    rate: tuple[Verdict, ...]
    rank: tuple[RankVerdict, ...]
    left_out: Mapping[str, int]
    """Reason -> ratings that do not count."""
    beside_majority: Mapping[str, int]
    """How the verdicts on rated answers compare with those of a plain majority: outcome -> answers."""
    right: Mapping[ReviewerId, float]
    """How often each reviewer's verdict is right, or where they gave none, their order of two neighbours in a ranking."""


def aggregate(contents: Contents) -> Verdicts:
    """The verdicts on every completion and every ranked item that somebody rated."""
    return conclude(weighed_contents(contents))


def weighed_contents(contents: Contents) -> Weighing:
    """Every reviewer judged by all their ratings, those of gold items included."""
    items = {item.id: item for item in contents.items}
    counted, left_out = _counted(contents, items)
    answers = latest_answers(contents, counted)
    asked = {question.name: ask(question, answers, contents.gold) for question in questions(contents.rubric)}
    orders = [row for row in counted
              if isinstance(row.answer, RankAnswer) and len(items[row.item_id].completion_ids) <= MOST_ANSWERS]
    places = {shown: at for at, shown in enumerate(sorted({_shown(items[row.item_id]) for row in orders}))}
    ranked = {row.item_id: places[_shown(items[row.item_id])] for row in orders}
    rankers = {reviewer: at for at, reviewer in enumerate(sorted({row.reviewer_id for row in orders}))}
    rankings = weigh_rankings(
        [Ranking(item=place, reviewer=rankers[row.reviewer_id], votes=_votes(row.answer, items[row.item_id]))
         for place, row in _latest_rankings(orders, ranked) if isinstance(row.answer, RankAnswer)],
        answers={at: len(shown) for shown, at in places.items()}, reviewers=len(rankers))
    return Weighing(contents=contents, ratings=tuple(counted), left_out=left_out, asked=asked, rankings=rankings, ranked=ranked,
                    rankers=rankers)


def _shown(item: ReviewItem) -> tuple[CompletionId, ...]:
    """The answers of an item, sorted: what items that ask the same have in common."""
    return tuple(sorted(item.completion_ids))


def _latest_rankings(orders: Iterable[Rating], ranked: Mapping[ItemId, int]) -> list[tuple[int, Rating]]:
    """(place, rating): each reviewer's latest of each set of answers."""
    in_time = sorted(orders, key=lambda row: (row.submitted_at, row.id))
    latest = {(ranked[row.item_id], row.reviewer_id): row for row in in_time}
    return [(place, row) for (place, _), row in sorted(latest.items())]


def _counted(contents: Contents, items: Mapping[ItemId, ReviewItem]) -> tuple[list[Rating], dict[str, int]]:
    """The ratings that count, one for each reviewer and item, and why the others do not."""
    out = {row.reviewer_id: row.reason for row in contents.quarantined}
    rated = {row.item_id for row in contents.ratings if row.reviewer_id not in out}
    settled = {item.settles for item in items.values() if item.settles and item.id in rated}
    left_out: Counter[str] = Counter()
    latest: dict[tuple[ItemId, ReviewerId], Rating] = {}
    for rating in sorted(contents.ratings, key=lambda row: (row.submitted_at, row.id)):
        if rating.reviewer_id in out:
            left_out[f"its reviewer is in quarantine: {out[rating.reviewer_id]}"] += 1
        elif rating.item_id in settled:
            left_out["its item was settled by an adjudication"] += 1
        else:
            latest[rating.item_id, rating.reviewer_id] = rating
    return sorted(latest.values(), key=lambda row: row.id), dict(sorted(left_out.items()))


def _votes(answer: RankAnswer, item: ReviewItem) -> tuple[float, ...]:
    place = {completion: number for number, tier in enumerate(answer.tiers) for completion in tier}
    worth = {Outcome.FIRST: 1.0, Outcome.SECOND: -1.0, Outcome.TIE: 0.0}
    return tuple(worth[vote_on(place, first, second)] if first in place and second in place else float("nan")
                 for first, second in combinations(sorted(item.completion_ids), 2))


def conclude(weighing: Weighing) -> Verdicts:
    """The verdicts that a weighing leads to."""
    items = {item.id: item for item in weighing.contents.items}
    of_prompt = {completion.id: completion.prompt_id for completion in weighing.contents.completions}
    rated: dict[CompletionId, list[Rating]] = {}
    ranked: dict[tuple[CompletionId, ...], list[Rating]] = {}
    for rating in weighing.ratings:
        item = items[rating.item_id]
        if item.purpose is Purpose.GOLD:
            continue
        if item.queue is Queue.RATE:
            rated.setdefault(item.completion_ids[0], []).append(rating)
        else:
            ranked.setdefault(_shown(item), []).append(rating)
    of_first = {min((items[rating.item_id] for rating in ratings), key=lambda item: (item.again, item.id)).id: ratings
                for ratings in ranked.values()}
    rate = tuple(_verdict(one_each(ratings), completion, of_prompt[completion], weighing.asked)
                 for completion, ratings in sorted(rated.items()))
    rank = tuple(_rank_verdict(one_each(ratings), items[item], weighing) for item, ratings in sorted(of_first.items()))
    return Verdicts(rate=rate, rank=rank, left_out=weighing.left_out,
                    beside_majority=_beside_majority(rate, weighing.asked["verdict"]), right=_right(weighing))


def _right(weighing: Weighing) -> dict[ReviewerId, float]:
    verdict, ranking = weighing.asked["verdict"], weighing.rankings.accuracy
    found = {reviewer: float(ranking[at]) for reviewer, at in weighing.rankers.items()}
    return found | {reviewer: float(verdict.weighed.accuracy[at]) for reviewer, at in verdict.column.items()}


def certainty(weighing: Weighing) -> dict[ItemId, float]:
    """How probable the likeliest conclusion on each reviewed item is: of its verdict and flag, or of its pairs on average.

    For `overlap.another_review`. Items without a rating that counts, and gold items, are not there.
    """
    concluded = conclude(weighing)
    of_item = {item.id: item.completion_ids[0] for item in weighing.contents.items if item.queue is Queue.RATE}
    rated = {row.completion_id: _certainty_of(row, weighing.asked["hallucinated"]) for row in concluded.rate}
    shown = {item: rated[completion] for item, completion in of_item.items() if completion in rated}
    return shown | {row.item_id: _certainty_of_pairs(row) for row in concluded.rank if row.pairs}


def _certainty_of(verdict: Verdict, flag: Asked) -> float:
    if verdict.completion_id not in flag.by:
        return verdict.probability
    return min(verdict.probability, max(flag.chances(verdict.completion_id, prior=False).values()))


def _certainty_of_pairs(verdict: RankVerdict) -> float:
    sure = {Outcome.UNDECIDED: 0.5, Outcome.TIE: ASSUMED_ACCURACY}
    return sum(sure.get(pair.outcome, 1 - pair.reversed_probability) for pair in verdict.pairs) / len(verdict.pairs)


def _verdict(ratings: Sequence[Rating], completion: CompletionId, prompt: PromptId, asked: Mapping[str, Asked]) -> Verdict:
    """What the reviewers of one completion conclude together; at least one rating.

    When nobody could tell, the outcome is `cannot tell`, with the probability that one reviewer's word has.
    """
    answers = [rating.answer for rating in ratings if isinstance(rating.answer, RateAnswer)]
    outcome, most_likely, probability = _outcome(asked["verdict"], completion)
    criteria = {name: one.level(completion) for name, one in asked.items() if one.question.ordered and completion in one.by}
    return Verdict(completion_id=completion, prompt_id=prompt, outcome=outcome, most_likely=most_likely, probability=probability,
                   hallucinated=_flag(asked["hallucinated"], completion), abstains=_flag(asked["abstains"], completion),
                   hallucination_probability=_chance_of(asked["hallucinated"], completion),
                   criteria=dict(sorted(criteria.items())), rewrites=_rewrites(answers), sources=sources(ratings, [completion]))


def _outcome(asked: Asked, completion: CompletionId) -> tuple[VerdictValue | None, VerdictValue, float]:
    """(outcome, likeliest, its probability). What is common among answers may strengthen a verdict, and never makes one."""
    if completion not in asked.by:
        return VerdictValue.CANNOT_TELL, VerdictValue.CANNOT_TELL, ASSUMED_ACCURACY
    outcome, likeliest, probability = asked.concluded(completion)
    return None if outcome is None else VerdictValue(str(outcome)), VerdictValue(str(likeliest)), probability


def _flag(asked: Asked, completion: CompletionId) -> bool | None:
    """From what was said alone: a flag that somebody raised is not lowered because such flags are rare."""
    if completion not in asked.by:
        return None
    chances = asked.chances(completion, prior=False)
    return next((bool(value) for value in chances if leads(value, chances)), None)


def _chance_of(asked: Asked, completion: CompletionId) -> float | None:
    return round(asked.chances(completion, prior=False)[True], 6) if completion in asked.by else None


def _beside_majority(verdicts: Iterable[Verdict], asked: Asked) -> dict[str, int]:
    counts = Counter({"as the majority": 0, "against the majority": 0, "decided where the majority is split": 0,
                      "undecided where the majority is not": 0, "undecided as the majority": 0})
    for verdict in verdicts:
        if verdict.completion_id not in asked.by:
            continue
        votes = [VerdictValue(str(value)) for value in asked.by[verdict.completion_id].values()]
        plain = tally(votes, labels=DECIDING).outcome
        match verdict.outcome, plain:
            case None, None:
                counts["undecided as the majority"] += 1
            case None, _:
                counts["undecided where the majority is not"] += 1
            case _, None:
                counts["decided where the majority is split"] += 1
            case _:
                counts["as the majority" if verdict.outcome is plain else "against the majority"] += 1
    return dict(counts)


def _rank_verdict(ratings: Sequence[Rating], item: ReviewItem, weighing: Weighing) -> RankVerdict:
    """What the reviewers of one ranked item conclude together; at least one rating."""
    answers = [rating.answer for rating in ratings if isinstance(rating.answer, RankAnswer)]
    pairs = _weighed_pairs(ratings, item, weighing) if item.id in weighing.ranked else compare(answers, item.completion_ids)
    return RankVerdict(item_id=item.id, prompt_id=item.prompt_id, pairs=pairs, rewrites=_rewrites(answers),
                       best=best_of(pairs, item.completion_ids), sources=sources(ratings, item.completion_ids))


def _weighed_pairs(ratings: Sequence[Rating], item: ReviewItem, weighing: Weighing) -> tuple[PairVerdict, ...]:
    better = weighing.rankings.better[weighing.ranked[item.id]].tolist()
    attention = weighing.rankings.attention
    cast = [(_votes(row.answer, item), float(attention[weighing.rankers[row.reviewer_id]])) for row in ratings
            if isinstance(row.answer, RankAnswer)]
    pairs = []
    for at, (first, second) in enumerate(combinations(sorted(item.completion_ids), 2)):
        weight = {side: sum(weight for votes, weight in cast if votes[at] == side) for side in (1.0, -1.0, 0.0)}
        pairs.append(_pair(first, second, better[at], tied=weight[0.0], preferred=max(weight[1.0], weight[-1.0])))
    return without_circles(pairs)


def _pair(first: CompletionId, second: CompletionId, better: float, *, tied: float, preferred: float) -> PairVerdict:
    """A tie where those who see one outweigh either side; a side where it is clearly the likelier one; else undecided."""
    doubt = round(min(better, 1 - better), 6)
    outcome, clear = Outcome.UNDECIDED, 1 - doubt >= DECIDING_ODDS * doubt
    if tied > 0 and tied >= DECIDING_ODDS * preferred:
        outcome = Outcome.TIE
    elif clear and preferred >= DECIDING_ODDS * tied:
        outcome = Outcome.FIRST if better > 0.5 else Outcome.SECOND
    decided = outcome in (Outcome.FIRST, Outcome.SECOND)
    return PairVerdict(first=first, second=second, outcome=outcome, reversed_probability=doubt if decided else 0.0)


def one_each(ratings: Iterable[Rating]) -> list[Rating]:
    """Each reviewer's latest rating, sorted by id."""
    latest = {rating.reviewer_id: rating for rating in sorted(ratings, key=lambda row: (row.submitted_at, row.id))}
    return sorted(latest.values(), key=lambda row: row.id)


def sources(ratings: Sequence[Rating], completions: Sequence[CompletionId]) -> Sources:
    """Who and what a conclusion from these ratings of these completions rests on."""
    return Sources(items=tuple(sorted({rating.item_id for rating in ratings})), completions=tuple(sorted(set(completions))),
                   reviewers=tuple(sorted({rating.reviewer_id for rating in ratings})),
                   ratings=tuple(sorted(rating.id for rating in ratings)))


def _rewrites(answers: Sequence[RateAnswer | RankAnswer]) -> tuple[str, ...]:
    return tuple(sorted({answer.rewrite for answer in answers if answer.rewrite and answer.rewrite.strip()}))
