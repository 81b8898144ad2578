"""What a check concludes: a disease, nothing, or that it cannot tell."""

from __future__ import annotations

from feedback.config import Strict
from feedback.measures import Unscored


class Finding(Strict):
    """A disease of a training run."""

    name: str
    """One word for programs, such as `overfitting`."""
    title: str
    """The disease in a short sentence."""
    evidence: str
    """What was seen, with its figures and the threshold that it passed."""
    advice: tuple[str, ...]
    """What to try, the most promising first."""


class Unsaid(Strict):
    """A check that could not be made."""

    name: str
    reason: str
    """What was missing."""


Outcome = Finding | Unscored | None
"""None: looked for and not found. Unscored: could not be looked for, and why."""
