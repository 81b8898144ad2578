"""What a handful of equal votes says: the label with the most, and how sure that makes one."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from feedback.schemas import VerdictValue

Label = TypeVar("Label", bound=Hashable)

DECIDING = (VerdictValue.CORRECT, VerdictValue.PARTIALLY_CORRECT, VerdictValue.INCORRECT)
"""The values that say something about the answer; `cannot tell` says something about the reviewer."""

ASSUMED_ACCURACY = 0.8
"""How often a reviewer of whom nothing is known is taken to be right."""


@dataclass(frozen=True, slots=True)
class Tally(Generic[Label]):
    """The votes on one thing, weighed."""

    outcome: Label | None
    """The label with more votes than any other; None when two or more share the lead."""
    most_likely: Label
    """The outcome, or the first in the scale's order of those that share the lead."""
    probability: float
    """That `most_likely` is the truth."""


def tally(votes: Sequence[Label], *, labels: Sequence[Label]) -> Tally[Label]:
    """The plurality of one or more `votes` on a scale of `labels`.

    The probability is the posterior of a model with nothing to fit: every label is as likely beforehand, each reviewer is
    right with r = 0.8 and otherwise names each other label as often. With K labels, label c with n_c votes has the weight
    (r (K-1) / (1-r)) ** n_c. One vote of three labels: 8 / (8 + 1 + 1) = 0.8; two of two: 64 / (64 + 2) = 0.97.
    """
    counts = Counter(votes)
    odds = ASSUMED_ACCURACY * max(1, len(labels) - 1) / (1 - ASSUMED_ACCURACY)
    most = max(counts.values())
    leaders = [label for label in labels if counts[label] == most]
    # Relative to the leaders' weight, so that many votes do not overflow.
    total = sum(math.exp((counts[label] - most) * math.log(odds)) for label in labels)
    return Tally(outcome=leaders[0] if len(leaders) == 1 else None, most_likely=leaders[0], probability=1 / total)


def majority(votes: Sequence[bool]) -> bool | None:
    """What more than half of the votes say; None when they are split evenly or there are none."""
    for_it = sum(votes)
    against = len(votes) - for_it
    return None if for_it == against else for_it > against
