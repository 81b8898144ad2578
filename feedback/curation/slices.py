"""Where the ratings are thin, and where they lean: coverage, verdicts and reviewers by slice, each figure with its interval.

A slice is a topic, a language, a length of the question, or a reviewer. What is below `SMALL` ratings says little, and is marked.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Literal

from feedback.config import Strict
from feedback.curation.language import language_of
from feedback.ids import ItemId, PromptId
from feedback.intervals import mean_interval, wilson
from feedback.measures import Figure, Unscored
from feedback.schemas import Prompt, RateAnswer, Rating, VerdictValue
from feedback.store.snapshot import Contents

SMALL = 30
"""Ratings from which a slice's figures are more than a hint: at 30 a share's 95 % interval still spans up to 36 points."""
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
    """Questions in it that were shown."""
    ratings: int
    correct: Figure
    """Share of rate answers with the verdict `correct`; `cannot tell` does not count."""
    accuracy: Figure
    """Mean accuracy rating, on the rubric's scale."""
    verdicts: dict[str, int]
    small: bool
    """Fewer than 30 ratings: read its intervals, not its figures."""


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


def slices(contents: Contents) -> SlicesReport:
    """Every slice of what was rated, sorted by dimension and name; with what a person should know."""
    rows = _rated(contents)
    language = {prompt.id: _language(prompt) for prompt in contents.prompts}
    names: dict[str, str] = {reviewer.id: reviewer.name for reviewer in contents.reviewers}
    found = [*_by("topic", rows, lambda row: row.prompt.topic or NO_TOPIC, contents),
             *_by("language", rows, lambda row: language[row.prompt.id], contents),
             *_by("length", rows, lambda row: _length(row.prompt.text), contents),
             *_by("reviewer", rows, lambda row: names.get(row.rating.reviewer_id, row.rating.reviewer_id), contents)]
    balance = Counter(row.answer.verdict.value for row in rows if row.answer)
    majority = wilson(max(balance.values(), default=0), balance.total())
    rare = _rare(found)
    return SlicesReport(slices=tuple(found), balance=dict(sorted(balance.items())), majority=majority, rare=rare,
                        warnings=_warnings(found, balance, rare))


def _rated(contents: Contents) -> list[_Rated]:
    prompts: Mapping[PromptId, Prompt] = {prompt.id: prompt for prompt in contents.prompts}
    asked: Mapping[ItemId, PromptId] = {item.id: item.prompt_id for item in contents.items}
    return [_Rated(rating, rating.answer if isinstance(rating.answer, RateAnswer) else None, prompts[asked[rating.item_id]])
            for rating in contents.ratings]


def _by(dimension: Dimension, rows: Iterable[_Rated], key: Callable[[_Rated], str], contents: Contents) -> list[Slice]:
    groups: dict[str, list[_Rated]] = {}
    for row in rows:
        groups.setdefault(key(row), []).append(row)
    scale = next((each.scale for each in contents.rubric.criteria if each.name == "accuracy"), None)
    return [_slice(dimension, name, groups[name], scale) for name in sorted(groups)]


def _slice(dimension: Dimension, name: str, rows: Sequence[_Rated], scale: Sequence[int] | None) -> Slice:
    answers = [row.answer for row in rows if row.answer]
    verdicts = Counter(answer.verdict.value for answer in answers)
    told = verdicts.total() - verdicts[VerdictValue.CANNOT_TELL.value]
    values = [float(answer.criteria["accuracy"]) for answer in answers if "accuracy" in answer.criteria]
    accuracy = mean_interval(values, bounds=(min(scale), max(scale))) if scale else Unscored(reason="the rubric has no accuracy")
    return Slice(dimension=dimension, name=name, prompts=len({row.prompt.id for row in rows}), ratings=len(rows),
                 correct=wilson(verdicts[VerdictValue.CORRECT.value], told), accuracy=accuracy,
                 verdicts=dict(sorted(verdicts.items())), small=len(rows) < SMALL)


def _language(prompt: Prompt) -> str:
    if find_spec("py3langid") is None:
        return "(py3langid is not installed)"
    return language_of(prompt.text) or "(too short or mixed)"


def _length(text: str) -> str:
    return next((name for most, name in LENGTHS if len(text) <= most), "over 2000 characters")


def _rare(found: Sequence[Slice]) -> tuple[str, ...]:
    rare: list[str] = []
    for dimension in ("topic", "language", "length"):
        counts = sorted(each.prompts for each in found if each.dimension == dimension)
        middle = counts[len(counts) // 2] if counts else 0
        rare += [f"{dimension}: {each.name}" for each in found if each.dimension == dimension and each.prompts < RARE * middle]
    return tuple(rare)


def _warnings(found: Sequence[Slice], balance: Counter[str], rare: Sequence[str]) -> tuple[str, ...]:
    small = [f"{each.dimension} {each.name!r} has {each.ratings} ratings: too few to tell it from the others"
             for each in found if each.small]
    lone = [f"all {balance.total()} rate answers say {verdict!r}: there is nothing to tell apart"
            for verdict in balance if len(balance) == 1]
    return (*lone, *_leaning(found), *small, *(f"{name} is rare among the questions" for name in rare))


def _leaning(found: Sequence[Slice]) -> list[str]:
    """Slices whose share of correct answers lies outside what all others have: the intervals do not meet."""
    said: list[str] = []
    for each in found:
        others = [other for other in found if other.dimension == each.dimension and other.name != each.name]
        k = sum(other.verdicts.get("correct", 0) for other in others)
        n = sum(count for other in others for verdict, count in other.verdicts.items() if verdict != "cannot tell")
        rest = wilson(k, n)
        if each.correct.kind == "measured" and rest.kind == "measured" and not each.small \
                and (each.correct.low > rest.high or each.correct.high < rest.low):
            said.append(f"{each.dimension} {each.name!r} is called correct in {each.correct}, the others in {rest}")
    return said
