"""Which of two answers that were rated apart is better, and how sure that is.

Criteria are asked in turn, as the rubric's `priorities` say: safety before accuracy before tone, say, and the first that
tells the two apart decides. Without priorities an answer must be better in safety or accuracy and worse in neither.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from feedback.aggregation.conclusions import Verdict
from feedback.aggregation.votes import ASSUMED_ACCURACY
from feedback.config import SetsConfig
from feedback.ids import CompletionId, PromptId, content_hash
from feedback.rubric import Rubric
from feedback.schemas import RateAnswer, VerdictValue
from feedback.training_sets.material import Material
from feedback.training_sets.rows import PairOrigin
from feedback.training_sets.sft import refusal

SPREAD = 0.7
"""Standard deviation of one rating around what an answer deserves, in steps of a five-point scale: what
`aggregation/manners.py` takes for typical."""
MOST_PARTNERS = 24
"""Answers to one question with which each is compared; questions with more answers than that are rare."""


@dataclass(frozen=True)
class Apart:
    """One answer is better than another to the same question."""

    better: Verdict
    worse: Verdict
    origin: PairOrigin
    criterion: str
    """What told them apart."""
    doubt: float
    """Probability that it is the other way round, 0 to 0.5."""
    margin: float = 1.0


@dataclass(frozen=True)
class Standing:
    """A verdict, and what of it decides."""

    verdict: Verdict
    sound: bool
    """Correct, nothing false in it, whole, and no abstention where the answer is known."""
    wrong: bool
    """Incorrect, or states something false."""
    safe: bool | None
    """None where nobody rated its safety."""
    raters: int
    marked: bool
    """Part of it is marked as false."""

    @cached_property
    def true_or_false(self) -> float:
        """Probability that what reviewers concluded about its stating something false is right."""
        false = self.verdict.hallucination_probability
        if false is None:
            return ASSUMED_ACCURACY
        return false if self.verdict.hallucinated else 1 - false


def judged_apart(material: Material, sets: SetsConfig) -> list[Apart]:
    """Every answer that beats or is beaten by another to its question, in as few pairs as hold all of them.

    So a question with many answers does not drown the others.
    """
    by_question: dict[PromptId, list[Standing]] = {}
    for verdict in material.verdicts.rate:
        by_question.setdefault(material.asked[verdict.prompt_id], []).append(_standing(verdict, material, sets))
    ladder = _ladder(material, sets)
    return [apart for _, standings in sorted(by_question.items())
            for apart in _few(list(_comparisons(standings, ladder, material)))]


def _standing(verdict: Verdict, material: Material, sets: SetsConfig) -> Standing:
    answers = [answer for id in verdict.sources.ratings if isinstance(answer := material.ratings[id].answer, RateAnswer)]
    return Standing(verdict=verdict, sound=refusal(verdict, material, sets, whatever=("tone", "safety")) is None,
                    wrong=verdict.outcome is VerdictValue.INCORRECT or verdict.hallucinated is True,
                    safe=is_safe(verdict, sets, material.contents.rubric), raters=len(answers),
                    marked=verdict.hallucinated is True and any(answer.spans for answer in answers))


def is_safe(verdict: Verdict, sets: SetsConfig, rubric: Rubric) -> bool | None:
    """Its mean safety is at the threshold; None where nobody rated it."""
    asked = next((criterion for criterion in rubric.criteria if criterion.name == "safety"), None)
    if asked is None or "safety" not in verdict.criteria:
        return None
    return verdict.criteria["safety"] >= asked.at(sets.accept_safety)


Step = Callable[[Standing, Standing], Apart | None]


@dataclass(frozen=True)
class Ladder:
    """What is asked, in order."""

    steps: tuple[Step, ...]
    first_decides: bool
    """Else all steps that tell the two apart must agree."""

    def better(self, one: Standing, other: Standing) -> Apart | None:
        """Which of the two is better; None when that is not clear."""
        found = [apart for step in self.steps if (apart := step(one, other) or step(other, one))]
        if not found or (not self.first_decides and len({apart.better.completion_id for apart in found}) > 1):
            return None
        return found[0]


def _ladder(material: Material, sets: SetsConfig) -> Ladder:
    rubric = material.contents.rubric
    named = rubric.priorities
    order = [*named, *(name for name in ("safety", "accuracy") if name not in named)]
    steps = {criterion.name: len(criterion.scale) - 1 for criterion in rubric.criteria}
    to_five = {criterion.name: 1 / criterion.step for criterion in rubric.criteria}
    always: dict[str, list[Step]] = {"safety": [_safe_first(to_five.get("safety", 1.0))],
                                     "accuracy": [_no_marked_falsehood, _sound_first]}
    made: list[Step] = []
    for name in order:
        made += always.get(name, [])
        if name in named:
            made.append(_by_mean(name, to_five=to_five[name], decisive=min(sets.decisive_gap, 4 / steps[name])))
    return Ladder(steps=tuple(made), first_decides=bool(named))


def _safe_first(to_five: float) -> Step:
    def step(one: Standing, other: Standing) -> Apart | None:
        if not (one.safe is True and other.safe is False):
            return None
        gap = (one.verdict.criteria["safety"] - other.verdict.criteria["safety"]) * to_five
        return Apart(one.verdict, other.verdict, "verdict", "safety", _doubt_of_means(gap, one, other))
    return step


def _no_marked_falsehood(one: Standing, other: Standing) -> Apart | None:
    if not other.marked or one.verdict.hallucinated is not False or one.wrong:
        return None
    return Apart(one.verdict, other.verdict, "span", "accuracy", _both_wrong(one.true_or_false, other.true_or_false))


def _sound_first(one: Standing, other: Standing) -> Apart | None:
    if not (one.sound and other.wrong):
        return None
    falsehood = other.verdict.outcome is not VerdictValue.INCORRECT
    return Apart(one.verdict, other.verdict, "verdict", "accuracy",
                 _both_wrong(one.verdict.probability, other.true_or_false if falsehood else other.verdict.probability))


def _by_mean(name: str, *, to_five: float, decisive: float) -> Step:
    """Means of a criterion at least `decisive` steps of a five-point scale apart."""
    def step(one: Standing, other: Standing) -> Apart | None:
        if name not in one.verdict.criteria or name not in other.verdict.criteria:
            return None
        gap = (one.verdict.criteria[name] - other.verdict.criteria[name]) * to_five
        if gap < decisive:
            return None
        return Apart(one.verdict, other.verdict, "criteria", name, _doubt_of_means(gap, one, other), margin=gap)
    return step


def _both_wrong(one: float, other: float) -> float:
    """That both conclusions are wrong, given that both are right or both are wrong; 1/2 when neither says more than a coin."""
    wrong, right = (1 - one) * (1 - other), one * other
    return min(0.5, wrong / (wrong + right)) if wrong + right else 0.5


def _doubt_of_means(gap: float, one: Standing, other: Standing) -> float:
    """That means this far apart, in steps of a five-point scale, come from deserts in the other order: a normal tail.

    A gap of one step between single ratings: 1 - Phi(1 / (0.7 sqrt(2))) = 0.16; between means of three: 0.04.
    """
    error = SPREAD * math.sqrt(1 / max(1, one.raters) + 1 / max(1, other.raters))
    return min(0.5, 0.5 * math.erfc(gap / error / math.sqrt(2)))


def _comparisons(standings: Sequence[Standing], ladder: Ladder, material: Material) -> Iterable[Apart]:
    """Every two of them that can be told apart; each with MOST_PARTNERS others where there are more."""
    order = sorted(standings, key=lambda each: content_hash("order", each.verdict.completion_id))
    count = len(order)
    for first in range(count):
        for second in range(first + 1, min(count, first + 1 + MOST_PARTNERS)):
            one, other = order[first], order[second]
            if material.key_of(one.verdict.completion_id) != material.key_of(other.verdict.completion_id) and (
                    apart := ladder.better(one, other)):
                yield apart


RANK: Mapping[PairOrigin, int] = {"span": 0, "verdict": 1, "criteria": 2}


def _few(found: Sequence[Apart]) -> list[Apart]:
    """Pairs that hold every answer of `found`: first those of two new answers, then for each one left its least used partner."""
    order = sorted(found, key=lambda a: (RANK[a.origin], a.doubt, a.better.completion_id, a.worse.completion_id))
    used: dict[CompletionId, int] = {}
    chosen: list[Apart] = []

    def take(apart: Apart) -> None:
        chosen.append(apart)
        for side in (apart.better.completion_id, apart.worse.completion_id):
            used[side] = used.get(side, 0) + 1

    for apart in order:
        if apart.better.completion_id not in used and apart.worse.completion_id not in used:
            take(apart)
    left: dict[CompletionId, list[Apart]] = {}
    for apart in order:
        for side in (apart.better.completion_id, apart.worse.completion_id):
            if side not in used:
                left.setdefault(side, []).append(apart)
    for side, own in sorted(left.items()):
        if side not in used:
            take(min(own, key=lambda a: (RANK[a.origin], used.get(a.better.completion_id, 0) + used.get(a.worse.completion_id, 0),
                                         a.doubt)))
    return chosen
