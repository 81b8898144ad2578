"""Verdicts from a ratings file: every reviewer alike, or each weighed by how they rate."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

import numpy as np

from feedback.aggregation.ratings_file import Name, RatingsFile, Value
from feedback.aggregation.reliability import Panel, weigh
from feedback.aggregation.votes import tally
from feedback.config import Share, Strict
from feedback.errors import InvalidInput
from feedback.intervals import clopper_pearson
from feedback.measures import Measured

Method = Literal["reliability", "majority"]
METHODS: tuple[Method, ...] = ("reliability", "majority")

DECIDING_ODDS = 1.5
"""An item is decided when its likeliest value is this many times as probable as the next."""


class FileVerdict(Strict):
    """What is concluded about one item."""

    item: Name
    outcome: Value | None
    """None when two values are about as probable."""
    most_likely: Value
    probability: Share
    """Of `most_likely`, given all ratings."""


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


class FileVerdicts(Strict):
    """Everything concluded from one ratings file."""

    method: Method
    verdicts: tuple[FileVerdict, ...]
    reviewers: tuple[FileReviewer, ...]
    ratings: int
    """Ratings that count: one for each item and reviewer."""
    repeated: int
    """Lines that a later line of the same item and reviewer replaced."""


def aggregate_file(file: RatingsFile, *, method: Method = "reliability",
                   known: Mapping[str | int, str | float] | None = None) -> FileVerdicts:
    """Verdicts on every item and figures on every reviewer, each sorted by name.

    `known`: items whose value is certain; reviewers are measured by them as well. The majority makes no use of it.
    Raises InvalidInput for a known value outside the scale.
    """
    items = sorted({item for item, _ in file.values}, key=_order)
    reviewers = sorted({reviewer for _, reviewer in file.values}, key=_order)
    verdicts, figures = (_by_majority(file, items, reviewers) if method == "majority"
                         else _by_reliability(file, items, reviewers, known or {}))
    return FileVerdicts(method=method, verdicts=tuple(verdicts), reviewers=tuple(figures), ratings=len(file.values),
                        repeated=file.repeated)


def _order(name: str | int) -> tuple[bool, str | int]:
    return isinstance(name, str), name


def _by_reliability(file: RatingsFile, items: Sequence[str | int], reviewers: Sequence[str | int],
                    known: Mapping[str | int, str | float]) -> tuple[list[FileVerdict], list[FileReviewer]]:
    row, column = {item: at for at, item in enumerate(items)}, {reviewer: at for at, reviewer in enumerate(reviewers)}
    label = {value: at for at, value in enumerate(file.scale)}
    if strange := [f"{item!r}: {value!r}" for item, value in known.items() if value not in label]:
        raise InvalidInput(f"known values outside the scale {list(file.scale)}: {', '.join(strange)}")
    # In a fixed order, so that sums of floats, and the last digit with them, do not depend on the file's.
    keys = sorted(file.values, key=lambda key: (row[key[0]], column[key[1]]))
    panel = Panel(item=np.array([row[item] for item, _ in keys]), reviewer=np.array([column[reviewer] for _, reviewer in keys]),
                  label=np.array([label[file.values[key]] for key in keys]), items=len(items), reviewers=len(reviewers),
                  labels=len(file.scale), ordered=file.ordered)
    weighed = weigh(panel, known={row[item]: label[value] for item, value in known.items() if item in row})
    likeliest = weighed.likeliest.tolist()
    verdicts = [_decide(item, file.scale, weighed.truth[at].tolist(), likeliest[at]) for at, item in enumerate(items)]
    n = np.bincount(panel.reviewer, minlength=len(reviewers))
    figures = [FileReviewer(reviewer=reviewer, n=int(n[at]), accuracy=float(weighed.accuracy[at]), low=float(weighed.low[at]),
                            high=float(weighed.high[at])) for at, reviewer in enumerate(reviewers)]
    return verdicts, figures


def _decide(item: str | int, scale: Sequence[str | float], probabilities: Sequence[float], likeliest: int) -> FileVerdict:
    first = probabilities[likeliest]
    second = max((value for at, value in enumerate(probabilities) if at != likeliest), default=0.0)
    likely = scale[likeliest]
    return FileVerdict(item=item, outcome=likely if first >= DECIDING_ODDS * second else None, most_likely=likely,
                       probability=min(1.0, first))


def _by_majority(file: RatingsFile, items: Sequence[str | int],
                 reviewers: Sequence[str | int]) -> tuple[list[FileVerdict], list[FileReviewer]]:
    votes: dict[str | int, dict[str | int, str | float]] = {item: {} for item in items}
    for (item, reviewer), value in file.values.items():
        votes[item][reviewer] = value
    verdicts = []
    for item in items:
        found = tally(list(votes[item].values()), labels=file.scale)
        verdicts.append(FileVerdict(item=item, outcome=found.outcome, most_likely=found.most_likely,
                                    probability=found.probability))
    return verdicts, [_agreement_of(reviewer, votes.values(), file.scale) for reviewer in reviewers]


def _agreement_of(reviewer: str | int, votes: Iterable[Mapping[str | int, str | float]],
                  scale: Sequence[str | float]) -> FileReviewer:
    """How often the others' majority says the same."""
    n, same = 0, []
    for by in votes:
        if reviewer not in by:
            continue
        n += 1
        others = [value for other, value in by.items() if other != reviewer]
        outcome = tally(others, labels=scale).outcome if others else None
        if outcome is not None:
            same.append(outcome == by[reviewer])
    figure = clopper_pearson(sum(same), len(same))
    if not isinstance(figure, Measured):
        return FileReviewer(reviewer=reviewer, n=n, accuracy=None, low=None, high=None)
    return FileReviewer(reviewer=reviewer, n=n, accuracy=figure.value, low=figure.low, high=figure.high)
