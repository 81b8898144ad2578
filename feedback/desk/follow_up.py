"""After reviews came in: one more where the verdict is not sharp yet or a review does not count any more, and a person to settle
what people disagree on. A review that nobody is left to give is not asked for.

Where the server routes records, a record that wants another review opens again. Elsewhere the same is asked in an item of its
own. Only items of the newest round are looked at: earlier ones have been trained on or judged already.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np

from feedback.aggregation.conclusions import Outcome
from feedback.aggregation.overlap import OverlapRule, needs
from feedback.aggregation.verdicts import certainty, conclude, weighed_contents
from feedback.config import QueueConfig, Strict
from feedback.desk.crew import Crew
from feedback.desk.routing import Router
from feedback.ids import CompletionId, ItemId, unit_interval
from feedback.rubric import Rubric
from feedback.schemas import Purpose, ReviewItem
from feedback.store.quarantine import quarantined
from feedback.store.snapshot import Contents, gather
from feedback.store.store import Store

Shown: TypeAlias = tuple[CompletionId, ...]
"""The answers of an item, sorted: what items that ask the same have in common."""

ASKED_AGAIN = (Purpose.TRAIN, Purpose.AUDIT)
"""What gold holds is known, and texts have no verdict."""


class FollowUp(Strict):
    """What is asked for beyond what the round asked."""

    again: int
    """Items that want one more review."""
    to_settle: int
    """Items on which people disagree, now waiting for one person's word."""


@dataclass(frozen=True)
class Standing:
    """What is known of one item by now."""

    item: ReviewItem
    given: int
    """Reviews it has that count: those of reviewers in quarantine do not."""
    answered: int
    """Reviews it has, whoever gave them."""
    wanted: int
    """Reviews that were asked for."""
    sure: float
    """Probability of what is concluded; of a ranking, of its least certain pair. 0.5 and less where people are split."""
    split: bool
    """Two or more reviewed it and nothing can be concluded."""


def follow_up(store: Store, rubric: Rubric, queues: QueueConfig, *, crew: Crew, router: Router | None = None) -> FollowUp:
    """Ask for what is missing, each thing once: repeating it without new reviews or new people asks for nothing."""
    stood = standing(store, rubric)
    left = crew.left(store, (one.item for one in stood))
    if router is not None:
        stood = _without_vain_wishes(store, router, stood, left)
    stood = [one for one in stood if one.answered >= one.wanted]
    again = [one for one in stood if left[one.item.id] and _wants_more(one, queues)]
    if router is not None:
        wanted = {one.item.id: one.answered + 1 for one in again}
        store.want_reviews(wanted)
        router.want(store, wanted)
    else:
        store.add_items(_asked_again(one.item, one.answered) for one in again)
    waiting = {one.item.id for one in again}
    open_ones = [one.item for one in stood if one.split and one.item.id not in waiting] if queues.adjudicate else []
    return FollowUp(again=len(again), to_settle=store.add_items(_settling(item) for item in open_ones))


def standing(store: Store, rubric: Rubric) -> list[Standing]:
    """Where each item of the newest round stands; settled ones are left out."""
    items = [item for item in store.items() if item.purpose in ASKED_AGAIN]
    newest = max((item.round for item in items), default=0)
    live, out = store.live_ratings(), {row.reviewer_id for row in quarantined(store)}
    answered = Counter(rating.item_id for rating in live)
    given = Counter(rating.item_id for rating in live if rating.reviewer_id not in out)
    settled = {item.settles for item in items if item.settles}
    asked = [item for item in items if item.round == newest and not item.settles and not item.again and item.id not in settled]
    more, more_answered, more_wanted = Counter[Shown](), Counter[Shown](), Counter[Shown]()
    for item in items:
        if item.again and item.round == newest:
            more[_shown(item)] += given[item.id]
            more_answered[_shown(item)] += answered[item.id]
            more_wanted[_shown(item)] += item.reviews
    wanted = store.reviews_wanted(asked)
    concluded = _concluded(gather(store, live, rubric), items)
    return [Standing(item=item, given=given[item.id] + more[_shown(item)],
                     answered=answered[item.id] + more_answered[_shown(item)],
                     wanted=wanted[item.id] + more_wanted[_shown(item)],
                     sure=concluded.sure.get(_shown(item), 0.0), split=_shown(item) in concluded.split) for item in asked]


def _without_vain_wishes(store: Store, router: Router, stood: Sequence[Standing], left: Mapping[ItemId, Collection[str]],
                         ) -> list[Standing]:
    """Take back further reviews that nobody is left to give, since somebody went: a round would wait for them for ever."""
    vain = {one.item.id: max(one.answered, one.item.reviews) for one in stood
            if one.answered < one.wanted > one.item.reviews and not left[one.item.id]}
    if vain:
        store.want_reviews(vain, reason="nobody is left to give another")
        router.want(store, vain)
    return [replace(one, wanted=vain.get(one.item.id, one.wanted)) for one in stood]


def _shown(item: ReviewItem) -> Shown:
    return tuple(sorted(item.completion_ids))


@dataclass(frozen=True)
class _Concluded:
    sure: dict[Shown, float]
    """Probability of what is concluded, by the answers shown."""
    split: set[Shown]
    """Answers on which two or more people are split."""


def _concluded(contents: Contents, items: Iterable[ReviewItem]) -> _Concluded:
    weighing, shown = weighed_contents(contents), {item.id: _shown(item) for item in items}
    sure: dict[Shown, float] = {}
    for item, chance in certainty(weighing).items():
        if item in shown:
            sure[shown[item]] = max(sure.get(shown[item], 0.0), chance)
    verdicts = conclude(weighing)
    split: set[Shown] = {(one.completion_id,) for one in verdicts.rate if one.outcome is None and len(one.sources.reviewers) > 1}
    split |= {shown[one.item_id] for one in verdicts.rank if len(one.sources.reviewers) > 1
              and any(pair.outcome is Outcome.UNDECIDED for pair in one.pairs)}
    return _Concluded(sure=sure, split=split)


def _wants_more(one: Standing, queues: QueueConfig) -> bool:
    by_chance = unit_interval(f"second review:{one.item.id}") < queues.second_review_share
    fewest = max(one.item.reviews, 2 if by_chance else 1)
    rule = OverlapRule(sure=queues.sure, fewest=fewest, most=max(queues.most_reviews, fewest))
    (need,) = needs(np.array([one.sure]), [one.given], rule)
    return need.wanted


def _asked_again(item: ReviewItem, given: int) -> ReviewItem:
    return ReviewItem.of(queue=item.queue, purpose=item.purpose, round=item.round, prompt_id=item.prompt_id,
                         completion_ids=item.completion_ids, again=given)


def _settling(item: ReviewItem) -> ReviewItem:
    return ReviewItem.of(queue=item.queue, purpose=item.purpose, round=item.round, prompt_id=item.prompt_id,
                         completion_ids=item.completion_ids, settles=item.id)
