"""What a run logged: one curve per name, over its steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import model_validator

from feedback.config import Strict


class Curve(Strict):
    """One logged figure over the steps of a run."""

    steps: tuple[int, ...]
    """Rising; a value at step s covers the steps since the value before it."""
    values: tuple[float, ...]

    @model_validator(mode="after")
    def _is_one_value_per_step(self) -> Curve:
        if len(self.steps) != len(self.values):
            raise ValueError(f"{len(self.steps)} steps and {len(self.values)} values; give one value for each step")
        return self

    def part(self, start: float, end: float) -> tuple[float, ...]:
        """The values between two places of the run, 0 its beginning and 1 its end; the nearest one where none lies there."""
        if not self.steps:
            return ()
        last = self.steps[-1]
        found = tuple(value for step, value in zip(self.steps, self.values, strict=True) if start * last < step <= end * last)
        return found or (self.values[0] if start == 0 else self.values[-1],)

    def mean(self, start: float, end: float) -> float:
        """Mean of `part`; the curve must not be empty."""
        values = self.part(start, end)
        return sum(values) / len(values)


NO_CURVES = frozenset({"step", "epoch", "num_tokens"})
"""The last is counted from the newest start, so that a resumed run's differs."""
EMPTY = Curve(steps=(), values=())


@dataclass(frozen=True, slots=True)
class History:
    """Everything that a run logged."""

    curves: Mapping[str, Curve]
    epochs: Mapping[int, float] = field(default_factory=dict)
    """Step -> how often the data had been gone through by then."""

    def get(self, name: str) -> Curve:
        """The curve of that name; an empty one when nothing was logged under it."""
        return self.curves.get(name, EMPTY)

    @property
    def steps(self) -> int:
        """The last step with anything logged; 0 without any."""
        return max((curve.steps[-1] for curve in self.curves.values() if curve.steps), default=0)

    def in_epochs(self, name: str, start: float, end: float) -> tuple[float, ...]:
        """Values of a curve that were logged after `start` and not after `end` times through the data."""
        curve = self.get(name)
        return tuple(value for step, value in zip(curve.steps, curve.values, strict=True)
                     if start < self.epochs.get(step, 0.0) <= end)


def history_of(rows: Sequence[Mapping[str, Any]]) -> History:
    """The curves in a trainer's `log_history`, under TRL's names, in their order. The last row, which sums up times, is no
    part of them."""
    points: dict[str, dict[int, float]] = {}
    epochs: dict[int, float] = {}
    for row in rows:
        if "train_runtime" in row or "step" not in row:
            continue
        step = int(row["step"])
        epochs[step] = float(row.get("epoch", 0.0))
        for name, value in row.items():
            if name not in NO_CURVES and isinstance(value, int | float):
                points.setdefault(name, {})[step] = round(float(value), 6)
    return History({name: Curve(steps=tuple(sorted(own)), values=tuple(own[step] for step in sorted(own)))
                    for name, own in sorted(points.items())}, epochs)
