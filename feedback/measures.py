"""A figure with its count, interval and method, or the reason why there is none.

No data is never zero: a function that may have nothing to count returns `Figure`, and the caller has to look which of
the two it got.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from feedback.config import Strict


class Measured(Strict):
    """An estimate, with the interval it should be read with."""

    kind: Literal["measured"] = "measured"
    value: float
    """The estimate itself."""
    n: int = Field(ge=1)
    """How many independent observations it rests on."""
    low: float
    """Lower end of the interval."""
    high: float
    """Upper end of the interval."""
    level: float = Field(default=0.95, gt=0, lt=1)
    """Share of such intervals that hold the true value."""
    method: str
    """How the interval was made, such as `clopper-pearson`."""

    def __str__(self) -> str:
        return f"{_read(self.value)} [{_read(self.low)}, {_read(self.high)}] (n={self.n})"


def _read(number: float) -> str:
    """Three digits, but thousands as people write them."""
    return f"{number:.0f}" if 1000 <= abs(number) < 1e12 else f"{number:.3g}"


class Unscored(Strict):
    """There is no figure, and this is why."""

    kind: Literal["unscored"] = "unscored"
    reason: str
    """What was missing, in words that a lead can act on."""

    def __str__(self) -> str:
        return f"- ({self.reason})"


Figure = Annotated[Measured | Unscored, Field(discriminator="kind")]
