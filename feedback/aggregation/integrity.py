"""Ratings that should not count: each reviewer's profile, and proposals to put somebody into quarantine.

A proposal is a figure with a reason. A person decides, with a reason of their own (`feedback/store/quarantine.py`), and may take
it back. Nothing here changes a verdict: the aggregation reads reviewers as they are, and leaves out only who is in quarantine.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from statistics import median
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from feedback.aggregation.bearing import LITTLE, SURE, habits, without_bearing
from feedback.aggregation.cliques import cliques
from feedback.aggregation.label_errors import by_reviewer, cross_validated, label_errors
from feedback.aggregation.lifts import Approved, Lift, Preferred, lifts, strongest
from feedback.aggregation.orders import NEIGHBOURS
from feedback.aggregation.panel import FEWEST, leaning
from feedback.aggregation.questions import Asked
from feedback.aggregation.ranking_habits import same_places, turned_round
from feedback.aggregation.reviewers import ReviewerFigures, figures
from feedback.aggregation.verdicts import Weighing
from feedback.config import Share, Strict
from feedback.errors import InvalidInput
from feedback.ids import CompletionId, RatingId, ReviewerId
from feedback.measures import Measured
from feedback.schemas import Queue, RankAnswer, RateAnswer, Rating, VerdictValue

Sign: TypeAlias = Literal["no bearing on the truth", "one answer throughout", "too fast", "contradicts themselves", "fails gold",
                          "lifts length", "lifts a phrase", "lifts a topic", "part of a clique", "doubted by the model"]

FAST = 0.25
"""Part of the usual seconds below which a review is too fast to have been read."""
GOLD_WANTED = 0.6
"""Share of gold items that anybody attentive gets right."""


class ModelLine(Strict):
    """What a model thinks of one answer: a line of a file that is handed in."""

    completion: CompletionId
    probabilities: dict[str, Share]
    """Verdict -> probability."""


class Finding(Strict):
    """One thing that was noticed about one reviewer."""

    sign: Sign
    said: str
    """What was counted, in words."""
    proposes: bool
    """It alone is enough to propose quarantine; else it is a reason to look."""


class Profile(Strict):
    """What was noticed about one reviewer."""

    reviewer_id: ReviewerId
    name: str
    simulated: bool
    """True for a program."""
    ratings: int
    findings: tuple[Finding, ...]
    proposed: str | None
    """Why quarantine is proposed; None when it is not."""
    quarantined: str | None
    """Why they are in quarantine already."""


def profiles(weighing: Weighing, *, seconds: Mapping[RatingId, float] | None = None,
             doubted: Mapping[ReviewerId, int] | None = None) -> tuple[Profile, ...]:
    """Everybody in the snapshot, sorted by id.

    `seconds`: how long a review took, where it is known. `doubted`: ratings that a model finds hard to believe, by reviewer
    (`label_errors.by_reviewer`).
    """
    noticed: dict[ReviewerId, list[Finding]] = {}
    for found in (_bearing(weighing), _straight(weighing), _fast(weighing, seconds or {}), _contradictions(weighing),
                  _gold(weighing), _lifted(weighing), _cliques(weighing), _doubted(weighing, doubted or {})):
        for reviewer, finding in found:
            noticed.setdefault(reviewer, []).append(finding)
    return tuple(_profile(row, noticed.get(row.reviewer_id, [])) for row in figures(weighing))


def _profile(one: ReviewerFigures, findings: Sequence[Finding]) -> Profile:
    reasons = [f"{finding.sign}: {finding.said}" for finding in findings if finding.proposes]
    proposed = "; ".join(reasons) if reasons and one.quarantined is None and one.ratings >= FEWEST else None
    return Profile(reviewer_id=one.reviewer_id, name=one.name, simulated=one.simulated, ratings=one.ratings,
                   findings=tuple(findings), proposed=proposed, quarantined=one.quarantined)


def doubted(weighing: Weighing, probabilities: Mapping[CompletionId, Mapping[str, float]]) -> dict[ReviewerId, int]:
    """Verdicts that a model finds hard to believe, by reviewer; cleanlab finds them. Raises InvalidInput for a missing answer.

    `probabilities`: of each verdict, for every answer that has one; the reward model's, or a cross-validated classifier's.
    """
    asked = weighing.asked["verdict"]
    if missing := [completion for completion in asked.by if completion not in probabilities]:
        raise InvalidInput(f"no model probabilities for {len(missing)} of {len(asked.by)} rated answers, such as {missing[0]}")
    rows = np.array([[probabilities[completion].get(str(value), 0.0) for value in asked.question.scale]
                     for completion in asked.by])
    for completion, total in zip(asked.by, rows.sum(axis=1), strict=True):
        if abs(total - 1) > 1e-3:
            raise InvalidInput(f"model probabilities of {completion} add up to {total:g} over "
                               f"{', '.join(map(str, asked.question.scale))}; hand in one for each of these, 1 in all")
    labels = asked.weighed.likeliest
    wrong = {item: int(labels[item]) for item in label_errors(labels, rows)}
    found = by_reviewer(asked.panel, wrong)
    return {reviewer: found[at] for reviewer, at in asked.column.items() if at in found}


def classified(weighing: Weighing, *, seed: int = 0) -> dict[CompletionId, dict[str, float]] | None:
    """Probabilities of each verdict from a classifier that reads question and answer; None with too few of any verdict."""
    asked = weighing.asked["verdict"]
    prompts = {prompt.id: prompt.text for prompt in weighing.contents.prompts}
    texts = {row.id: f"{prompts[row.prompt_id]}\n{row.text}" for row in weighing.contents.completions}
    found = cross_validated([texts[completion] for completion in asked.by], asked.weighed.likeliest,
                            labels_count=len(asked.question.scale), seed=seed)
    if found is None:
        return None
    return {completion: {str(value): float(chance) for value, chance in zip(asked.question.scale, row, strict=True)}
            for completion, row in zip(asked.by, found, strict=True)}


def _bearing(weighing: Weighing) -> Iterator[tuple[ReviewerId, Finding]]:
    for name, asked in weighing.asked.items():
        if name == "verdict" or asked.question.ordered:
            chances = without_bearing(asked.weighed)
            for reviewer, at in asked.column.items():
                if chances[at] >= SURE:
                    yield reviewer, Finding(sign="no bearing on the truth", proposes=name == "verdict", said=(
                        f"what they say on {name} has next to none, or goes against it, with probability {chances[at]:.2f}"))
    chances = weighing.rankings.posterior @ (2 * NEIGHBOURS - 1 <= LITTLE).astype(float)
    for reviewer, at in weighing.rankers.items():
        if chances[at] >= SURE:
            yield reviewer, Finding(sign="no bearing on the truth", proposes=True, said=(
                f"how they rank has next to none, or goes against it, with probability {min(1.0, float(chances[at])):.2f}"))


def _straight(weighing: Weighing) -> Iterator[tuple[ReviewerId, Finding]]:
    """One verdict far more often than the answers that they were shown explain, one value on a scale, one order of answers."""
    verdict = weighing.asked["verdict"]
    for reviewer, said in _fixed(verdict, habits(verdict.panel, verdict.weighed)):
        yield reviewer, Finding(sign="one answer throughout", proposes=True, said=(
            f"{said}, far more often than those answers explain"))
    scales = [asked for name, asked in weighing.asked.items() if asked.question.ordered]
    fixed: dict[ReviewerId, list[str]] = {}
    for asked in scales:
        # Beside what others say of the same answers: from ratings of one person each no scale can be told from a habit.
        for reviewer, said in _fixed(asked, leaning(asked.panel, np.zeros((asked.panel.items, asked.panel.labels)))):
            fixed.setdefault(reviewer, []).append(f"{asked.question.name} {said}")
    for reviewer, of_each in sorted(fixed.items()):
        # On one scale it may be how they see it; on all of them nothing was looked at.
        yield reviewer, Finding(sign="one answer throughout", proposes=len(of_each) == len(scales) > 1, said=(
            f"{', '.join(of_each)}, far more often than those answers explain"))
    for habit in same_places(weighing.ratings, {item.id: item for item in weighing.contents.items}):
        yield habit.reviewer, Finding(sign="one answer throughout", proposes=True, said=(
            f"{habit.named} in {habit.times} of {habit.rankings} rankings, others in {habit.others:.0%}"))


def _fixed(asked: Asked, fixed: NDArray[np.bool_]) -> Iterator[tuple[ReviewerId, str]]:
    """Who says the same to a question whatever is shown (R), and what."""
    for reviewer, at in asked.column.items():
        if fixed[at]:
            given = Counter(said[reviewer] for said in asked.by.values() if reviewer in said)
            value, times = given.most_common(1)[0]
            yield reviewer, f"`{value}` on {times} of {given.total()} answers"


def _fast(weighing: Weighing, seconds: Mapping[RatingId, float]) -> Iterator[tuple[ReviewerId, Finding]]:
    """Most reviews in less than a quarter of what is usual for the same form."""
    queue = {item.id: item.queue for item in weighing.contents.items}
    timed = [(rating, seconds[rating.id]) for rating in weighing.ratings if rating.id in seconds]
    for form in Queue:
        by: dict[ReviewerId, list[float]] = {}
        for rating, took in timed:
            if queue[rating.item_id] is form:
                by.setdefault(rating.reviewer_id, []).append(took)
        if len(by) < 2:
            continue
        usual = median(median(times) for times in by.values())
        for reviewer, times in sorted(by.items()):
            hurried = sum(took < FAST * usual for took in times)
            if len(times) >= FEWEST and hurried > len(times) / 2:
                yield reviewer, Finding(sign="too fast", proposes=True, said=(
                    f"{hurried} of {len(times)} {form.value} reviews in under {FAST * usual:.0f} s; {usual:.0f} s are usual"))


def _contradictions(weighing: Weighing) -> Iterator[tuple[ReviewerId, Finding]]:
    """Different verdicts on one answer that was shown twice, or answers ranked the other way round."""
    shown = {item.id: item.completion_ids[0] for item in weighing.contents.items if item.queue is Queue.RATE}
    said: dict[tuple[ReviewerId, CompletionId], list[VerdictValue]] = {}
    for rating in weighing.ratings:
        if isinstance(rating.answer, RateAnswer):
            said.setdefault((rating.reviewer_id, shown[rating.item_id]), []).append(rating.answer.verdict)
    repeated = Counter(reviewer for (reviewer, _), values in said.items() if len(values) > 1)
    changed = Counter(reviewer for (reviewer, _), values in said.items() if len(set(values)) > 1)
    looks = {reviewer: (changed[reviewer], times) for reviewer, times in repeated.items()}
    yield from _often(looks, "another verdict at the second look on {} of {} repeated answers")
    turned = turned_round(weighing.ratings, {item.id: item for item in weighing.contents.items})
    yield from _often(turned, "mostly the other order at the second look in {} of {} repeated rankings")


def _often(looks: Mapping[ReviewerId, tuple[int, int]], said: str) -> Iterator[tuple[ReviewerId, Finding]]:
    """Of so many second looks so many with another answer, by reviewer."""
    for reviewer, (changed, times) in sorted(looks.items()):
        if times >= 5 and changed / times > 0.4:
            yield reviewer, Finding(sign="contradicts themselves", proposes=times >= FEWEST and changed / times > 0.6,
                                    said=said.format(changed, times))


def _gold(weighing: Weighing) -> Iterator[tuple[ReviewerId, Finding]]:
    for row in figures(weighing):
        if isinstance(row.gold, Measured) and row.gold.n >= 5 and row.gold.high < GOLD_WANTED:
            yield row.reviewer_id, Finding(sign="fails gold", proposes=True, said=(
                f"right on {row.gold.value:.0%} of {row.gold.n} known answers, at best {row.gold.high:.0%}"))


def _lifted(weighing: Weighing) -> Iterator[tuple[ReviewerId, Finding]]:
    found = lifts(list(_preferences(weighing)), list(_approvals(weighing)))
    for reviewer, own in strongest(found).items():
        for lift in own:
            yield reviewer, _of_lift(lift)


def _of_lift(lift: Lift) -> Finding:
    said = f"{lift.share:.0%} of {lift.n}, others {lift.others:.0%} (p {lift.p_value:.1g})"
    match lift.kind:
        case "length":
            return Finding(sign="lifts length", said=f"prefers the longer answer in {said}", proposes=False)
        case "phrase":
            return Finding(sign="lifts a phrase", said=f"prefers answers with `{lift.what}` in {said}", proposes=False)
        case "topic":
            return Finding(sign="lifts a topic", said=f"approves answers on `{lift.what}` in {said}", proposes=False)


def _preferences(weighing: Weighing) -> Iterator[Preferred]:
    texts = {completion.id: completion.text for completion in weighing.contents.completions}
    for rating in weighing.ratings:
        if isinstance(rating.answer, RankAnswer):
            for better, worse in _ordered(rating, rating.answer, texts.keys()):
                yield Preferred(reviewer=rating.reviewer_id, better=texts[better], worse=texts[worse])


def _ordered(rating: Rating, answer: RankAnswer, known: Iterable[CompletionId]) -> Iterator[tuple[CompletionId, CompletionId]]:
    there = set(known)
    for place, tier in enumerate(answer.tiers):
        for below in answer.tiers[place + 1:]:
            yield from ((better, worse) for better in tier for worse in below if {better, worse} <= there)


def _approvals(weighing: Weighing) -> Iterator[Approved]:
    topic = {prompt.id: prompt.topic for prompt in weighing.contents.prompts}
    asked_for = {completion.id: topic.get(completion.prompt_id) for completion in weighing.contents.completions}
    for completion, said in weighing.asked["verdict"].by.items():
        subject = asked_for[completion]
        if subject is not None:
            yield from (Approved(reviewer=reviewer, topic=subject, approved=value == VerdictValue.CORRECT.value)
                        for reviewer, value in said.items())


def _cliques(weighing: Weighing) -> Iterator[tuple[ReviewerId, Finding]]:
    names = {row.id: row.called for row in weighing.contents.reviewers}
    for clique in cliques(weighing.asked["verdict"]):
        for reviewer in clique.reviewers:
            others = ", ".join(names.get(other, other) for other in clique.reviewers if other != reviewer)
            yield reviewer, Finding(sign="part of a clique", proposes=False, said=(
                f"agrees with {others} on {clique.agreed} of {clique.shared}, where {clique.expected:.0f} would be expected"))


def _doubted(weighing: Weighing, doubted: Mapping[ReviewerId, int]) -> Iterator[tuple[ReviewerId, Finding]]:
    """More ratings that a model doubts than is usual."""
    from scipy.stats import binom

    asked = weighing.asked["verdict"]
    given = Counter(reviewer for said in asked.by.values() for reviewer in said)
    usual = sum(doubted.values()) / max(1, sum(given.values()))
    for reviewer, count in sorted(doubted.items()):
        if given[reviewer] >= FEWEST and count > 1 and binom.sf(count - 1, given[reviewer], usual) < 0.001:
            yield reviewer, Finding(sign="doubted by the model", proposes=False, said=(
                f"a model doubts {count} of {given[reviewer]} verdicts, where {usual:.0%} are usual"))
