"""Where the ratings are thin, and where they lean: coverage, verdicts and reviewers by slice, each figure with its interval.

A slice is a topic, a language, a length of the question, or a reviewer. What is below `SMALL` items says little, and is marked.
Several ratings of one answer are one observation of the slice: figures and intervals are of answers.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from importlib.util import find_spec
from math import fsum
from statistics import fmean
from typing import Literal

from feedback.config import Strict
from feedback.curation.language import language_of
from feedback.ids import ItemId, PromptId
from feedback.intervals import mean_interval, wilson
from feedback.measures import Figure, Unscored
from feedback.schemas import Prompt, RateAnswer, Rating, VerdictValue
from feedback.store.snapshot import Contents

SMALL = 30
"""Items from which a slice's figures are more than a hint: at 30 a share's 95 % interval still spans up to 36 points."""
RARE = 0.25
"""Of the median number of prompts of a dimension's slices, below which a slice is rare."""
LENGTHS = ((80, "up to 80 characters"), (400, "81 to 400 characters"), (2_000, "401 to 2000 characters"))
NO_TOPIC = "(no topic)"

Dimension = Literal["topic", "language", "length", "reviewer"]


class Slice(Strict):
    """One group of questions, or one reviewer."""

    dimension: Dimension
    name: str
    prompts: int
    """Questions in it that were rated."""
    unrated: int = 0
    """Questions of the project in it that nobody rated."""
    items: int
    """Answers and rankings in it that were rated."""
    ratings: int
    correct: Figure
    """Share of answers called `correct`, one that some call so counting in part; `cannot tell` does not count."""
    accuracy: Figure
    """Mean over answers of their mean accuracy rating, on the rubric's scale."""
    verdicts: dict[str, int]
    small: bool
    """Fewer than 30 items: read its intervals, not its figures."""


class SlicesReport(Strict):
    """Coverage and gaps of a snapshot."""

    slices: tuple[Slice, ...]
    balance: dict[str, int]
    """Verdict -> rate answers: the classes that a model learns from."""
    majority: Figure
    """Share of the most frequent verdict. At 1 there is nothing to tell apart."""
    rare: tuple[str, ...]
    """`dimension: name` of slices with few questions: candidates for synthetic ones."""
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class _Rated:
    rating: Rating
    answer: RateAnswer | None
    prompt: Prompt


@dataclass(frozen=True)
class _Group:
    dimension: Dimension
    name: str
    rows: Sequence[_Rated]
    unrated: int

    @cached_property
    def told(self) -> dict[ItemId, list[float]]:
        """For each answer what those said who could tell: 1 for correct."""
        return _by_item((row, float(row.answer.verdict is VerdictValue.CORRECT)) for row in self.rows
                        if row.answer and row.answer.verdict is not VerdictValue.CANNOT_TELL)


def slices(contents: Contents, known: Iterable[Prompt] = ()) -> SlicesReport:
    """Every slice of what was rated, sorted by dimension and name; with what a person should know.

    `known`: the project's questions; slices of which none was rated yet are told too.
    """
    rows = _rated(contents)
    asked = {row.prompt.id for row in rows}
    names: dict[str, str] = {reviewer.id: reviewer.called for reviewer in contents.reviewers}
    unrated = [prompt for prompt in known if prompt.id not in asked]
    groups = [*_by("topic", rows, unrated, lambda prompt: prompt.topic or NO_TOPIC),
              *_by("language", rows, unrated, _language), *_by("length", rows, unrated, lambda prompt: _length(prompt.text)),
              *_by_reviewer(rows, names)]
    scale = next((each.scale for each in contents.rubric.criteria if each.name == "accuracy"), None)
    found = [_slice(group, scale) for group in groups]
    balance = Counter(row.answer.verdict.value for row in rows if row.answer)
    majority = wilson(max(balance.values(), default=0), balance.total())
    rare = _rare(found)
    return SlicesReport(slices=tuple(found), balance=dict(sorted(balance.items())), majority=majority, rare=rare,
                        warnings=_warnings(found, balance, rare, _leaning(groups)))


def _rated(contents: Contents) -> list[_Rated]:
    prompts: Mapping[PromptId, Prompt] = {prompt.id: prompt for prompt in contents.prompts}
    asked: Mapping[ItemId, PromptId] = {item.id: item.prompt_id for item in contents.items}
    return [_Rated(rating, rating.answer if isinstance(rating.answer, RateAnswer) else None, prompts[asked[rating.item_id]])
            for rating in contents.ratings]


def _by(dimension: Dimension, rows: Iterable[_Rated], unrated: Iterable[Prompt], key: Callable[[Prompt], str]) -> list[_Group]:
    # A question has many ratings, and telling its language takes time.
    names = cache(key)
    groups: dict[str, list[_Rated]] = {}
    for row in rows:
        groups.setdefault(names(row.prompt), []).append(row)
    waiting = Counter(map(names, unrated))
    return [_Group(dimension, name, groups.get(name, []), waiting[name]) for name in sorted({*groups, *waiting})]


def _by_reviewer(rows: Iterable[_Rated], names: Mapping[str, str]) -> list[_Group]:
    groups: dict[str, list[_Rated]] = {}
    for row in rows:
        groups.setdefault(names.get(row.rating.reviewer_id, row.rating.reviewer_id), []).append(row)
    return [_Group("reviewer", name, groups[name], 0) for name in sorted(groups)]


def _slice(group: _Group, scale: Sequence[int] | None) -> Slice:
    verdicts = Counter(row.answer.verdict.value for row in group.rows if row.answer)
    values = _by_item((row, float(row.answer.criteria["accuracy"])) for row in group.rows
                      if row.answer and "accuracy" in row.answer.criteria)
    accuracy = mean_interval([fmean(each) for each in values.values()], bounds=(min(scale), max(scale))) if scale else Unscored(
        reason="the rubric has no accuracy")
    items = len({row.rating.item_id for row in group.rows})
    return Slice(dimension=group.dimension, name=group.name, prompts=len({row.prompt.id for row in group.rows}),
                 unrated=group.unrated, items=items, ratings=len(group.rows), correct=_share([*group.told.values()]),
                 accuracy=accuracy, verdicts=dict(sorted(verdicts.items())), small=items < SMALL)


def _by_item(values: Iterable[tuple[_Rated, float]]) -> dict[ItemId, list[float]]:
    found: dict[ItemId, list[float]] = {}
    for row, value in values:
        found.setdefault(row.rating.item_id, []).append(value)
    return found


def _share(told: Sequence[Sequence[float]]) -> Figure:
    """Of answers, each counting alike however many judged it."""
    return wilson(fsum(map(fmean, told)), len(told))


def _language(prompt: Prompt) -> str:
    if find_spec("py3langid") is None:
        return "(py3langid is not installed)"
    return language_of(prompt.text) or "(too short or mixed)"


def _length(text: str) -> str:
    return next((name for most, name in LENGTHS if len(text) <= most), "over 2000 characters")


def _rare(found: Sequence[Slice]) -> tuple[str, ...]:
    rare: list[str] = []
    for dimension in ("topic", "language", "length"):
        counts = sorted(each.prompts + each.unrated for each in found if each.dimension == dimension)
        middle = counts[len(counts) // 2] if counts else 0
        rare += [f"{dimension}: {each.name}" for each in found
                 if each.dimension == dimension and each.prompts + each.unrated < RARE * middle]
    return tuple(rare)


def _warnings(found: Sequence[Slice], balance: Counter[str], rare: Sequence[str], leaning: Sequence[str]) -> tuple[str, ...]:
    empty = [f"{each.dimension} {each.name!r} has no rating, and {each.unrated} of the project's questions"
             for each in found if not each.ratings]
    small = [f"{each.dimension} {each.name!r} has {each.ratings} ratings of {each.items} items: too few to tell it from the "
             "others" for each in found if each.small and each.ratings]
    lone = [f"all {balance.total()} rate answers say {verdict!r}: there is nothing to tell apart"
            for verdict in balance if len(balance) == 1]
    return (*lone, *leaning, *empty, *small, *(f"{name} is rare among the questions" for name in rare))


def _leaning(groups: Sequence[_Group]) -> list[str]:
    """Slices whose share of correct answers lies outside what all others have: the intervals do not meet."""
    said: list[str] = []
    for each in groups:
        own, rest = _share([*each.told.values()]), _share([*_others(each, groups).values()])
        if own.kind == "measured" and rest.kind == "measured" and own.n >= SMALL and (
                own.low > rest.high or own.high < rest.low):
            said.append(f"{each.dimension} {each.name!r} is called correct in {own}, the others in {rest}")
    return said


def _others(group: _Group, groups: Sequence[_Group]) -> dict[ItemId, list[float]]:
    found: dict[ItemId, list[float]] = {}
    for other in groups:
        if other.dimension == group.dimension and other is not group:
            for item, told in other.told.items():
                found.setdefault(item, []).extend(told)
    return found
