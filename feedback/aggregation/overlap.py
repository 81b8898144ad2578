"""How many reviews an item gets: one where the posterior is sharp enough already, more where it is not.

    wanted = another_review(weigh(panel).truth.max(axis=1), given, OverlapRule(sure=0.9, most=9))

Called again whenever reviews have come in, it spends them where they change a verdict: a reviewer known to be reliable
may settle an item alone, and two who contradict each other never do. It asks for one more review at a time, since the
next one may settle the item. Legend: I items, K labels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Self, TypeAlias

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from feedback.config import Strict

Reason: TypeAlias = Literal["not reviewed often enough", "not sure enough", "sure enough", "as many reviews as an item may have"]


class OverlapRule(Strict):
    """When an item has been reviewed enough."""

    sure: float = Field(default=0.9, gt=0.5, lt=1)
    """Probability of the likeliest verdict from which no further review is asked for. 0.9 is about as right as five reviews of
    everything for three fifths of the work (0.86 where there are two labels); 0.95 is more right for as much work."""
    fewest: int = Field(default=1, ge=1)
    """Reviews that every item gets."""
    most: int = Field(default=5, ge=1)
    """Reviews after which nobody else is asked; what is undecided then goes to adjudication."""

    @model_validator(mode="after")
    def _fewest_is_not_more_than_most(self) -> Self:
        if self.fewest > self.most:
            raise ValueError(f"fewest is {self.fewest} and most is {self.most}; every item gets at least `fewest` reviews "
                             "and at most `most`")
        return self


@dataclass(frozen=True, slots=True)
class Need:
    """Whether one item wants another review."""

    item: int
    """Its index, as in the arrays handed in."""
    given: int
    """Reviews it has."""
    probability: float
    """Of its likeliest verdict; 0 without a review."""
    wanted: bool
    """One more review is wanted."""
    reason: Reason


def needs(probability: NDArray[np.float64], given: Sequence[int] | NDArray[np.intp], rule: OverlapRule) -> list[Need]:
    """Every item's need, those that want a review first, and of those the least certain first.

    `probability` (I): of each item's likeliest verdict, such as `weigh(...).truth.max(axis=1)`. `given` (I): reviews that each
    item has; one that somebody is working on at the moment counts as given. Items alike stay in the order given.
    """
    made = [_need(item, int(given[item]), float(probability[item]), rule) for item in range(len(given))]
    return sorted(made, key=lambda need: (not need.wanted, need.given >= rule.fewest, need.probability))


def another_review(probability: NDArray[np.float64], given: Sequence[int] | NDArray[np.intp], rule: OverlapRule) -> list[int]:
    """The items that want one more review, the most urgent first; empty when all are settled or at their limit."""
    return [need.item for need in needs(probability, given, rule) if need.wanted]


def _need(item: int, given: int, probability: float, rule: OverlapRule) -> Need:
    known = probability if given else 0.0
    reason: Reason
    if given >= rule.most:
        reason = "as many reviews as an item may have"
    elif given < rule.fewest:
        reason = "not reviewed often enough"
    else:
        reason = "sure enough" if known >= rule.sure else "not sure enough"
    return Need(item=item, given=given, probability=known, reason=reason,
                wanted=reason in ("not reviewed often enough", "not sure enough"))
