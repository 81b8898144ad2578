"""Families set apart: trained on by nobody in this run, so that learning by heart can be told from learning.

They are training families: the audit's held-out families never come near a training set. A hash of the name picks them, the
same in each round, so that a family watched now was not trained on by the round before.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from feedback.ids import FamilyId, unit_interval

FEWEST_FAMILIES = 100
"""Training families below which none is set apart: every pair is needed, and a tenth of them would tell nothing."""
MOST_FAMILIES = 64
"""Set apart at most: more make the same statement and cost time."""


class OfFamily(Protocol):
    """A training row."""

    @property
    def family(self) -> FamilyId:
        """The question that it belongs to."""


Row = TypeVar("Row", bound=OfFamily)


@dataclass(frozen=True)
class Parted(Generic[Row]):
    """Rows to train on and rows to watch."""

    trained: tuple[Row, ...]
    apart: tuple[Row, ...]
    why_none: str
    """Why nothing is set apart; empty when something is."""


def set_apart(rows: Sequence[Row], *, share: float) -> Parted[Row]:
    """Part the rows by family: about `share` of the families is watched, none when there are too few or the share is 0."""
    families = sorted({row.family for row in rows})
    if share == 0:
        return Parted(tuple(rows), (), "watched_share is 0: no family is set apart")
    if len(families) < FEWEST_FAMILIES:
        return Parted(tuple(rows), (), f"{len(families)} families are too few to set any apart; {FEWEST_FAMILIES} are needed")
    ranked = sorted((unit_interval(f"watched:{family}"), family) for family in families)
    return without_families(rows, frozenset(family for chance, family in ranked[:MOST_FAMILIES] if chance < share))


def without_families(rows: Sequence[Row], watched: frozenset[FamilyId]) -> Parted[Row]:
    """The rows parted by families that were chosen already."""
    return Parted(tuple(row for row in rows if row.family not in watched), tuple(row for row in rows if row.family in watched),
                  "" if watched else "no family was set apart")
