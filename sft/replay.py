"""Rows of earlier rounds mixed into a round's own, against forgetting: a share that is set, and the share that it came to."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from feedback.ids import content_hash
from feedback.terminal import note

Row = TypeVar("Row", bound=Any)
"""A training row with an `id`."""


@dataclass(frozen=True)
class Mixed(Generic[Row]):
    """New rows and replayed ones."""

    rows: tuple[Row, ...]
    counts: dict[str, int]
    """`read`: new; `replay_available`; `replayed`."""

    @property
    def share(self) -> float:
        """Part of all rows that is replayed, 0 to 1."""
        return self.counts["replayed"] / len(self.rows) if self.rows else 0.0


def mixed(new: Sequence[Row], old: Iterable[Row], *, share: float, seed: int, what: str) -> Mixed[Row]:
    """The new rows, and as many old ones as make up `share` of the whole, chosen by a hash of seed and row.

    A row that is among the new ones is not old. With too few old rows the share is lower: it is told, as `what`.
    """
    fresh = {row.id for row in new}
    others = {row.id: row for row in old if row.id not in fresh}
    wanted = len(others) if share >= 1 else round(len(new) * share / (1 - share))
    chosen = sorted(others.values(), key=lambda row: content_hash("replay", [seed, row.id]))[:wanted]
    made = Mixed(rows=(*new, *chosen), counts={"read": len(new), "replay_available": len(others), "replayed": len(chosen)})
    if others and share > 0:
        note(f"{what}: {len(chosen)} of {len(made.rows)} rows come from earlier rounds, {made.share:.0%}; "
             f"asked for were {share:.0%}")
    return made
