"""How many reviews a promise takes: counts of reviewed answers, and the chance that they show what is hoped for.

Two ways to show that a rate is below a threshold. `fixed`: n is written down beforehand and looked at once
(Clopper-Pearson). `anytime`: people may look after every review and stop when it passes (confidence sequence, mixture aimed at
the threshold); some more reviews when all goes well, fewer on average when they would have been planned with reserve.
"""

from __future__ import annotations

import math
from typing import Any, Literal

from pydantic import Field

from feedback.config import Share, Strict
from feedback.intervals import aimed_at, log_evidence
from feedback.measures import Unscored

Method = Literal["fixed", "anytime"]

MOST_REVIEWS = 50_000
"""Where the planner gives up: nobody reviews more answers than that by hand."""


class Plan(Strict):
    """What it takes to show, at a confidence level, that a rate lies below a threshold."""

    rate_hoped: Share
    """The true rate that the plan assumes."""
    threshold: Share
    level: float
    """One-sided confidence of the bound."""
    power: float
    """Chance wanted that the reviews pass, if the true rate is the one hoped for."""
    method: Method
    reviews: int = Field(ge=1)
    """Reviewed answers needed."""
    errors_allowed: int
    """Errors among them that still pass."""
    chance: Share
    """Chance that they pass, at least `power`."""


def reviews_needed(rate_hoped: float, threshold: float, *, level: float = 0.95, power: float = 0.8,
                   method: Method = "anytime") -> Plan | Unscored:
    """The fewest reviewed answers that pass with probability `power`, if the true rate is `rate_hoped`.

    Unscored when the hoped rate is not below the threshold or takes more than MOST_REVIEWS.
    """
    if not 0 <= rate_hoped < threshold:
        return Unscored(reason=f"a rate of {rate_hoped:g} is not below {threshold:g}; no number of reviews can show that it is")
    most = 1024
    while most <= 2 * MOST_REVIEWS:
        chances = _chances(rate_hoped, threshold, min(most, MOST_REVIEWS), level, method)
        reviews = next((n for n, chance in enumerate(chances, start=1) if chance >= power), None)
        if reviews is not None:
            return Plan(rate_hoped=rate_hoped, threshold=threshold, level=level, power=power, method=method, reviews=reviews,
                        errors_allowed=errors_allowed(reviews, threshold, level=level, method=method),
                        chance=float(chances[reviews - 1]))
        most *= 2
    return Unscored(reason=f"more than {MOST_REVIEWS} reviews: {rate_hoped:g} is too close to {threshold:g}")


def chance_of_passing(rate: float, threshold: float, *, reviews: int, level: float = 0.95, method: Method = "anytime") -> float:
    """Chance that so many reviewed answers show the rate to be below the threshold, if the true rate is `rate`.

    With `anytime`: that they have done so at some point on the way.
    """
    return float(_chances(rate, threshold, reviews, level, method)[-1]) if reviews else 0.0


def errors_allowed(reviews: int, threshold: float, *, level: float = 0.95, method: Method = "anytime") -> int:
    """The most errors among so many reviews that still pass; -1 when not even none would."""
    first = _first_passing(int(threshold * reviews), threshold, level, method)
    return int((first <= reviews).sum()) - 1


def fewest_reviews(threshold: float, *, errors: int = 0, level: float = 0.95, method: Method = "anytime") -> int:
    """Reviews that pass with so many errors: without any, 149 (fixed) and 177 (anytime) for 2 % at 95 %."""
    return int(_first_passing(errors, threshold, level, method)[-1])


def _first_passing(most_errors: int, threshold: float, level: float, method: Method) -> Any:
    """The smallest n that passes with k = 0 .. most_errors errors: shape (most_errors + 1,), rising. By bisection over n."""
    import numpy as np
    from scipy.special import bdtr

    k = np.arange(most_errors + 1)
    fails = np.floor(k / threshold).astype(int)  # at the threshold itself
    passes = 2 * fails + 64

    def passing(n: Any) -> Any:
        if method == "fixed":
            return bdtr(k, n, threshold) < 1 - level
        return log_evidence(k, n, rate=threshold, mixture=aimed_at(threshold)) > -math.log(1 - level)

    while not (enough := passing(passes)).all():
        passes = np.where(enough, passes, 2 * passes)
    while (passes - fails > 1).any():
        middle = (fails + passes) // 2
        enough = passing(middle)
        passes, fails = np.where(enough, middle, passes), np.where(enough, fails, middle)
    return passes


def _chances(rate: float, threshold: float, reviews: int, level: float, method: Method) -> Any:
    """Chance of having passed at n = 1 .. reviews: shape (reviews,)."""
    import numpy as np
    from scipy.special import bdtr

    first, n_all = _first_passing(int(threshold * reviews), threshold, level, method), np.arange(1, reviews + 1)
    allowed = np.searchsorted(first, n_all, side="right") - 1
    if method == "fixed":
        return np.where(allowed >= 0, bdtr(np.maximum(allowed, 0), n_all, rate), 0.0)
    # Probability of k errors so far without having passed; paths with more errors than can ever pass are let go.
    going = np.zeros(int(allowed[-1]) + 2)
    going[0] = 1.0
    passed = np.zeros(reviews)
    for n in range(reviews):
        going[1:] = going[1:] * (1 - rate) + going[:-1] * rate
        going[0] *= 1 - rate
        done = int(allowed[n]) + 1
        passed[n] = going[:done].sum()
        going[:done] = 0
    return passed.cumsum()
