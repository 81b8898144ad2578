"""The questions of the rate form, each as a panel of ratings: who said what about which answer.

Where the same reviewer rated an answer twice (an answer repeated in two items), the later rating counts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from typing import TypeAlias

import numpy as np

from feedback.aggregation.bearing import LITTLE
from feedback.aggregation.manners import Numbers
from feedback.aggregation.panel import FEWEST, Panel
from feedback.aggregation.reliability import Weighed, weigh
from feedback.aggregation.votes import DECIDING
from feedback.ids import CompletionId, ReviewerId
from feedback.rubric import Choice, Criterion, Rubric
from feedback.schemas import GoldAnswer, Queue, RateAnswer, Rating
from feedback.store.snapshot import Contents

Value: TypeAlias = str | int | bool
Answers: TypeAlias = Mapping[tuple[CompletionId, ReviewerId], RateAnswer]
"""Each reviewer's latest answer on each completion, sorted."""

DECIDING_ODDS = 1.5
"""A conclusion is decided when it is this many times as probable as the next one."""


@dataclass(frozen=True)
class Question:
    """One question of the form."""

    name: str
    scale: tuple[Value, ...]
    """What may be answered, rising where it is ordered."""
    ordered: bool
    read: Callable[[RateAnswer], Value | None]
    """What an answer says to it; None where it says nothing."""
    known: Callable[[GoldAnswer], Value | None]
    """What is known of a gold item."""


def questions(rubric: Rubric) -> tuple[Question, ...]:
    """The verdict and both flags, then each criterion.

    Who cannot tell gave no verdict, and did not say that nothing is false either.
    """
    return (
        Question("verdict", tuple(value.value for value in DECIDING), False,
                 read=lambda answer: answer.verdict.value if answer.verdict in DECIDING else None,
                 known=lambda gold: gold.verdict.value if gold.verdict in DECIDING else None),
        Question("hallucinated", (False, True), False,
                 read=lambda answer: answer.hallucinated if answer.verdict in DECIDING else None,
                 known=lambda gold: gold.hallucinated),
        Question("abstains", (False, True), False, read=lambda answer: answer.abstains, known=lambda gold: None),
        *(_of_criterion(criterion) for criterion in rubric.criteria))


def choice_questions(rubric: Rubric) -> tuple[Question, ...]:
    """Each choice of the form; where several may be ticked each option is a question of its own, `NAME: OPTION`."""
    return tuple(question for choice in rubric.choices for question in (_ticked(choice) if choice.many else [_chosen(choice)]))


def _chosen(choice: Choice) -> Question:
    options = tuple(option.value for option in choice.options)
    return Question(choice.name, options, False, known=lambda gold: None,
                    read=lambda answer: found if (found := answer.choices.get(choice.name)) in options else None)


def _ticked(choice: Choice) -> list[Question]:
    def ticked(answer: RateAnswer, option: str) -> bool:
        # Who ticked nothing said of each that it does not apply.
        return option in answer.choices.get(choice.name, ())

    return [Question(f"{choice.name}: {option.value}", (False, True), False, known=lambda gold: None,
                     read=partial(ticked, option=option.value)) for option in choice.options]


def _of_criterion(criterion: Criterion) -> Question:
    def on_scale(values: Mapping[str, int]) -> int | None:
        # A number outside the scale was given under another rubric, and means something else.
        return found if (found := values.get(criterion.name)) in criterion.scale else None

    return Question(criterion.name, criterion.scale, True, read=lambda answer: on_scale(answer.criteria),
                    known=lambda gold: on_scale(gold.criteria))


def latest_answers(contents: Contents, ratings: Iterable[Rating] | None = None) -> Answers:
    """What each reviewer last said of each completion that was shown alone; `ratings`: those that count, all by default."""
    shown = {item.id: item.completion_ids[0] for item in contents.items if item.queue is Queue.RATE}
    found: dict[tuple[CompletionId, ReviewerId], RateAnswer] = {}
    for rating in sorted(contents.ratings if ratings is None else ratings, key=lambda row: (row.submitted_at, row.id)):
        if isinstance(rating.answer, RateAnswer) and rating.item_id in shown:
            found[shown[rating.item_id], rating.reviewer_id] = rating.answer
    return dict(sorted(found.items()))


@dataclass(frozen=True)
class Asked:
    """One question with all that was said to it, weighed."""

    question: Question
    by: Mapping[CompletionId, Mapping[ReviewerId, Value]]
    """What each reviewer said about each completion; those that nobody said anything about are not there."""
    row: Mapping[CompletionId, int]
    """Where each of these completions stands in `weighed`."""
    column: Mapping[ReviewerId, int]
    """Where each reviewer stands in it."""
    panel: Panel
    weighed: Weighed
    known: bool
    """Of some of these completions what is right is known."""

    def chances(self, completion: CompletionId, *, prior: bool = True) -> Mapping[Value, float]:
        """Probability of each value; without `prior` from what was said alone, as if every value were as common."""
        found = self.weighed.truth if prior else self.weighed.evidence
        return dict(zip(self.question.scale, found[self.row[completion]].tolist(), strict=True))

    def concluded(self, completion: CompletionId) -> tuple[Value | None, Value, float]:
        """(outcome, likeliest, its probability); no outcome when another value is about as probable.

        What is common among completions may strengthen a conclusion, and never makes one.
        """
        likeliest = self.question.scale[self.weighed.likeliest[self.row[completion]]]
        decided = all(leads(likeliest, self.chances(completion, prior=prior)) for prior in (True, False))
        return likeliest if decided else None, likeliest, round(self.chances(completion)[likeliest], 6)

    def level(self, completion: CompletionId) -> float:
        """The rating on a scale: the mean of what was said, who rates closely counting more, and less each one's severity.

        A severity counts once it is certain: with nothing known about the reviewers this is the plain mean. To a tenth, so that
        a trace of weight does not decide at a threshold.
        """
        said = self.by[completion]
        at = [self.column[reviewer] for reviewer in said]
        weights = self._attention[at] if self._attention[at].max() > 0.01 else np.ones(len(at))
        values = np.array([float(value) for value in said.values()]) - self._severity[at]
        lowest, highest = float(self.question.scale[0]), float(self.question.scale[-1])
        return round(min(highest, max(lowest, float(weights @ values / weights.sum()))), 1)

    @cached_property
    def _attention(self) -> Numbers:
        """What a rating of each reviewer weighs against another's (R): nothing where it has no bearing on the truth."""
        manners = self.weighed.manners
        alone = self.weighed.posterior @ (np.maximum(0.0, manners.bearing) ** 2 / (manners.spread**2 + 0.1))
        given = np.bincount(self.panel.reviewer, minlength=len(alone))
        # Drawn to the others', so that nobody outweighs another by what a few ratings seem to tell.
        return np.asarray((given * alone + FEWEST * alone.mean()) / (given + FEWEST))

    @cached_property
    def _severity(self) -> Numbers:
        """What each reviewer adds to a rating, where it is certain that it is not 0 (R), in units of the scale.

        Without gold items less what they add on the whole: that all are lenient cannot be told from good answers.
        """
        # Who gives one number throughout is neither strict nor lenient.
        trait = np.where(self.weighed.manners.bearing > LITTLE, self.weighed.manners.severity, 0.0)
        low, high, mean = self.weighed.quantile(trait, 0.025), self.weighed.quantile(trait, 0.975), self.weighed.posterior @ trait
        found = np.where(low * high > 0, mean, 0.0)
        step = (float(self.question.scale[-1]) - float(self.question.scale[0])) / (len(self.question.scale) - 1)
        return np.asarray(step * np.where(found != 0, found - (0.0 if self.known else mean.mean()), 0.0))


def leads(value: Value, chances: Mapping[Value, float]) -> bool:
    """Whether it is DECIDING_ODDS times as probable as any other."""
    others = max((chance for other, chance in chances.items() if other != value), default=0.0)
    return next(chance for other, chance in chances.items() if other == value) >= DECIDING_ODDS * others


def ask(question: Question, answers: Answers, gold: Iterable[GoldAnswer]) -> Asked:
    """Everything that was said to a question, weighed, with what is known of gold items."""
    by: dict[CompletionId, dict[ReviewerId, Value]] = {}
    for (completion, reviewer), answer in answers.items():
        if (value := question.read(answer)) is not None:
            by.setdefault(completion, {})[reviewer] = value
    row = {completion: at for at, completion in enumerate(by)}
    column = {reviewer: at for at, reviewer in enumerate(sorted({reviewer for said in by.values() for reviewer in said}))}
    label = {value: at for at, value in enumerate(question.scale)}
    rows = [(row[completion], column[reviewer], label[value])
            for completion, said in by.items() for reviewer, value in said.items()]
    item, reviewer_at, said_at = np.array(rows, dtype=np.intp).reshape(-1, 3).T
    panel = Panel(item=item, reviewer=reviewer_at, label=said_at, items=len(row), reviewers=len(column),
                  labels=len(question.scale), ordered=question.ordered)
    known = {row[each.completion_id]: label[value] for each in gold
             if each.completion_id in row and (value := question.known(each)) is not None}
    return Asked(question=question, by=by, row=row, column=column, panel=panel, weighed=weigh(panel, known=known),
                 known=bool(known))
