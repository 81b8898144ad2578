"""Verdicts from a ratings file: each reviewer weighed by how they rate, or all alike; the majority is told beside."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Literal, assert_never

import numpy as np

from feedback.aggregation.bearing import suspects
from feedback.aggregation.manners import Numbers
from feedback.aggregation.methods import crowd
from feedback.aggregation.panel import Panel
from feedback.aggregation.ratings_file import Name, RatingsFile, Value
from feedback.aggregation.reliability import Weighed, weigh
from feedback.aggregation.votes import Tally, tally
from feedback.config import Share, Strict
from feedback.errors import InvalidInput
from feedback.intervals import clopper_pearson, wilson
from feedback.measures import Figure, Measured, Unscored

Method = Literal["reliability", "majority", "dawid-skene", "one-coin", "mace"]
METHODS: tuple[Method, ...] = ("reliability", "majority", "dawid-skene", "one-coin", "mace")

NO_SCALE = Unscored(reason="labels, or a method that knows no scale")

DECIDING_ODDS = 1.1
"""An item is decided when its likeliest value is this many times as probable as the next: the probability stands beside it."""


class FileVerdict(Strict):
    """What is concluded about one item."""

    item: Name
    outcome: Value | None
    """None when two values are about as probable."""
    most_likely: Value
    probability: Share
    """Of `most_likely`, given all ratings."""
    majority: Value | None
    """What most said, everybody counted alike; None when two or more share the lead."""
    mean: float | None
    """On a scale: the plain mean of what was said."""
    reviewers: tuple[Name, ...]
    """Who said something about it."""


class FileReviewer(Strict):
    """What the ratings say about one reviewer."""

    reviewer: Name
    n: int
    """Items rated."""
    accuracy: Share | None
    """How often this reviewer is right. By majority: how often the others' majority says the same; None where there is none."""
    low: Share | None
    high: Share | None
    """Ends of the 95 % interval."""
    with_majority: Figure
    """How often the others' majority says the same."""
    severity: Figure
    """On a scale: mean of the ratings minus what they should be, in levels. Below 0 is strict."""
    spread: Figure
    """On a scale: standard deviation around that, in levels."""
    proposed: bool
    """What they say has next to no bearing on the truth, or is one label throughout: a person should look at it."""


class FileVerdicts(Strict):
    """Everything concluded from one ratings file."""

    method: Method
    verdicts: tuple[FileVerdict, ...]
    reviewers: tuple[FileReviewer, ...]
    ratings: int
    """Ratings that count: one for each item and reviewer."""
    against_majority: int
    """Items that are decided otherwise than by a majority."""
    repeated: int
    """Lines that a later line of the same item and reviewer replaced."""


def aggregate_file(file: RatingsFile, *, method: Method = "reliability",
                   known: Mapping[str | int, str | float] | None = None) -> FileVerdicts:
    """Verdicts on every item and figures on every reviewer, each sorted by name.

    `known`: items whose value is certain; reviewers are measured by them as well. Only `reliability` makes use of it.
    Raises InvalidInput for a known label that nobody gave.
    """
    table = _Table.of(file.with_known(known or {}))
    plain = [tally(list(votes.values()), labels=file.scale) for votes in table.votes]
    match method:
        case "majority":
            verdicts = [_verdict(table, at, found.outcome, found.most_likely, found.probability, found.outcome)
                        for at, found in enumerate(plain)]
            figures = [_reviewer(table, reviewer) for reviewer in table.reviewers]
        case "reliability":
            weighed = weigh(table.panel, known=table.known(known or {}))
            verdicts = _decided(table, weighed.truth, weighed.likeliest.tolist(), plain)
            figures = _figures(table, weighed)
        case "dawid-skene" | "one-coin" | "mace":
            found_by_crowd = crowd(table.panel, method)
            verdicts = _decided(table, found_by_crowd.truth, found_by_crowd.truth.argmax(axis=1).tolist(), plain)
            figures = [_reviewer(table, reviewer, wilson(float(found_by_crowd.right[at]), int(found_by_crowd.given[at])))
                       for at, reviewer in enumerate(table.reviewers)]
        case _:
            assert_never(method)
    against = sum(row.outcome != row.majority for row in verdicts if row.outcome is not None and row.majority is not None)
    return FileVerdicts(method=method, verdicts=tuple(verdicts), reviewers=tuple(figures), ratings=len(file.values),
                        against_majority=against, repeated=file.repeated)


@dataclass(frozen=True)
class _Table:
    """A ratings file as indices, items and reviewers sorted by name."""

    items: tuple[str | int, ...]
    reviewers: tuple[str | int, ...]
    scale: Sequence[str | float]
    votes: tuple[Mapping[str | int, str | float], ...]
    """By item: what each reviewer said."""
    panel: Panel

    @classmethod
    def of(cls, file: RatingsFile) -> _Table:
        items = sorted({item for item, _ in file.values}, key=_order)
        reviewers = sorted({reviewer for _, reviewer in file.values}, key=_order)
        row, column = ({name: at for at, name in enumerate(names)} for names in (items, reviewers))
        label = {value: at for at, value in enumerate(file.scale)}
        # In a fixed order, so that sums of floats, and the last digit with them, do not depend on the file's.
        keys = sorted(file.values, key=lambda key: (row[key[0]], column[key[1]]))
        votes: list[dict[str | int, str | float]] = [{} for _ in items]
        for item, reviewer in keys:
            votes[row[item]][reviewer] = file.values[item, reviewer]
        panel = Panel(item=np.array([row[item] for item, _ in keys]), reviewer=np.array([column[who] for _, who in keys]),
                      label=np.array([label[file.values[key]] for key in keys]), items=len(items), reviewers=len(reviewers),
                      labels=len(file.scale), ordered=file.ordered)
        return cls(items=tuple(items), reviewers=tuple(reviewers), scale=file.scale, votes=tuple(votes), panel=panel)

    def of_reviewer(self, reviewer: str | int) -> Iterator[Mapping[str | int, str | float]]:
        """What everybody said about each item that this one rated."""
        column = self.reviewers.index(reviewer)
        for item in self.panel.item[self.panel.reviewer == column].tolist():
            yield self.votes[item]

    def known(self, known: Mapping[str | int, str | float]) -> dict[int, int]:
        """Item -> label by index. Raises InvalidInput for a value outside the scale."""
        label = {value: at for at, value in enumerate(self.scale)}
        if strange := [f"{item!r}: {value!r}" for item, value in known.items() if value not in label]:
            raise InvalidInput(f"known values outside the scale {list(self.scale)}: {', '.join(strange)}")
        row = {item: at for at, item in enumerate(self.items)}
        return {row[item]: label[value] for item, value in known.items() if item in row}


def _order(name: str | int) -> tuple[bool, str | int]:
    return isinstance(name, str), name


def _decided(table: _Table, truth: Numbers, likeliest: Sequence[int], plain: Sequence[Tally[str | float]]) -> list[FileVerdict]:
    return [_decide(table, at, truth[at].tolist(), likeliest[at], plain[at].outcome) for at in range(len(table.items))]


def _decide(table: _Table, at: int, probabilities: Sequence[float], likeliest: int, majority: str | float | None) -> FileVerdict:
    first = probabilities[likeliest]
    second = max((value for label, value in enumerate(probabilities) if label != likeliest), default=0.0)
    likely = table.scale[likeliest]
    return _verdict(table, at, likely if first >= DECIDING_ODDS * second else None, likely, min(1.0, first), majority)


def _verdict(table: _Table, at: int, outcome: str | float | None, most_likely: str | float, probability: float,
             majority: str | float | None) -> FileVerdict:
    said = table.votes[at]
    mean = fmean(float(value) for value in said.values()) if table.panel.ordered else None
    return FileVerdict(item=table.items[at], outcome=outcome, most_likely=most_likely, probability=probability, majority=majority,
                       mean=mean, reviewers=tuple(said))


def _figures(table: _Table, weighed: Weighed) -> list[FileReviewer]:
    odd = suspects(table.panel, weighed)
    return [_reviewer(table, reviewer, _trait(table, weighed, weighed.manners.accuracy, at), proposed=bool(odd[at]),
                      severity=_on_scale(table, weighed, weighed.manners.severity, at),
                      spread=_on_scale(table, weighed, weighed.manners.spread, at))
            for at, reviewer in enumerate(table.reviewers)]


def _on_scale(table: _Table, weighed: Weighed, trait: Numbers, reviewer: int) -> Figure:
    return _trait(table, weighed, trait, reviewer) if weighed.manners.ordered else NO_SCALE


def _trait(table: _Table, weighed: Weighed, trait: Numbers, reviewer: int) -> Figure:
    value = float(weighed.posterior[reviewer] @ trait)
    low, high = (float(weighed.quantile(trait, part)[reviewer]) for part in (0.025, 0.975))
    # The posterior lies on a grid of manners, so its mean may fall just outside the quantiles.
    return Measured(value=value, n=int((table.panel.reviewer == reviewer).sum()), low=min(low, value), high=max(high, value),
                    method="posterior of the reviewer model")


def _reviewer(table: _Table, reviewer: str | int, accuracy: Figure | None = None, *, severity: Figure = NO_SCALE,
              spread: Figure = NO_SCALE, proposed: bool = False) -> FileReviewer:
    """Without a model's accuracy, it is how often the others' majority says the same."""
    n, alike = 0, []
    for by in table.of_reviewer(reviewer):
        n += 1
        others = [value for other, value in by.items() if other != reviewer]
        outcome = tally(others, labels=table.scale).outcome if others else None
        if outcome is not None:
            alike.append(outcome == by[reviewer])
    majority = clopper_pearson(sum(alike), len(alike))
    figure = accuracy or majority
    measured = figure if isinstance(figure, Measured) else None
    return FileReviewer(reviewer=reviewer, n=n, accuracy=measured and min(1.0, measured.value), low=measured and measured.low,
                        high=measured and min(1.0, measured.high), with_majority=majority, severity=severity, spread=spread,
                        proposed=proposed)
