"""How far a figure may be from the truth. Pure functions of counts and values.

Which one to use:

    a decision, n fixed before anyone looked        clopper_pearson, _upper, _lower      exact
    a decision, people look and stop as they like   confidence_sequence                  valid at every look at once
    a trend, a win rate with half points            wilson                               close to nominal, not guaranteed
    a mean of ratings (bounded, little skew)        mean_interval                        t, monotone, never narrower than n allows
    a mean of a skewed bounded score (ROUGE)        bootstrap_mean                       trend only

Exactness assumes independent observations: one answer per question family, or answers sampled independently for a
fixed list of questions. Where each question of a list is asked equally often instead of being drawn at random, the count of
errors varies less than a binomial one (Hoeffding 1956) and the bounds err on the safe side.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from feedback.measures import Figure, Measured, Unscored

NOTHING = Unscored(reason="nothing was counted (n = 0)")


def clopper_pearson(k: int, n: int, *, level: float = 0.95) -> Figure:
    """Share k/n with the exact two-sided interval for a fixed n (Clopper and Pearson 1934)."""
    _check(k, n, level)
    if n == 0:
        return NOTHING
    tail = (1 - level) / 2
    return Measured(value=k / n, n=n, low=_lower(k, n, tail), high=_upper(k, n, tail), level=level, method="clopper-pearson")


def clopper_pearson_upper(k: int, n: int, *, level: float = 0.95) -> Figure:
    """Share k/n with its exact one-sided upper bound for a fixed n; `low` is 0."""
    _check(k, n, level)
    if n == 0:
        return NOTHING
    return Measured(value=k / n, n=n, low=0.0, high=_upper(k, n, 1 - level), level=level, method="clopper-pearson, one-sided")


def clopper_pearson_lower(k: int, n: int, *, level: float = 0.95) -> Figure:
    """Share k/n with its exact one-sided lower bound for a fixed n; `high` is 1."""
    _check(k, n, level)
    if n == 0:
        return NOTHING
    return Measured(value=k / n, n=n, low=_lower(k, n, 1 - level), high=1.0, level=level, method="clopper-pearson, one-sided")


def _upper(k: int, n: int, tail: float) -> float:
    from scipy.special import betaincinv

    return 1.0 if k == n else float(betaincinv(k + 1, n - k, 1 - tail))


def _lower(k: int, n: int, tail: float) -> float:
    from scipy.special import betaincinv

    return 0.0 if k == 0 else float(betaincinv(k, n - k + 1, tail))


def wilson(k: float, n: int, *, level: float = 0.95) -> Figure:
    """Share k/n with Wilson's score interval (1927). k may hold half points, which makes it slightly too wide."""
    from scipy.special import ndtri

    _check(k, n, level)
    if n == 0:
        return NOTHING
    z = float(ndtri((1 + level) / 2))
    share, shrink = k / n, 1 + z * z / n
    centre = (share + z * z / (2 * n)) / shrink
    half = z / shrink * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    low, high = min(share, max(0.0, centre - half)), max(share, min(1.0, centre + half))
    return Measured(value=share, n=n, low=low, high=high, level=level, method="wilson")


@dataclass(frozen=True, slots=True)
class Mixture:
    """Beta(a, b): the rates that a confidence sequence bets on."""

    a: float
    b: float
    name: str


JEFFREYS = Mixture(0.5, 0.5, "Jeffreys mixture")
"""No rate in mind. For display, and where the rate may be anything."""

AIM = 0.3
"""An aimed mixture's mean, as a part of the threshold: candidates worth testing are well below it. Between 0.2 and 0.5 the
reviews needed hardly change."""


def aimed_at(threshold: float) -> Mixture:
    """The mixture that needs few reviews to show that a rate is below `threshold`: Beta(1/2, b) with mean 0.3 threshold."""
    mean = AIM * threshold
    return Mixture(0.5, 0.5 * (1 - mean) / mean, f"mixture aimed at {threshold:g}")


def log_evidence(k: Any, n: Any, *, rate: float, mixture: Mixture) -> Any:
    """Log of the mixture's winnings when it bets against `rate`; numbers or arrays.

    log of B(a + k, b + n - k) / (B(a, b) rate^k (1 - rate)^(n - k)). If `rate` is true, the chance that this ever reaches
    log(1 / alpha) is at most alpha (Ville 1939), however often one looks.
    """
    from scipy.special import betaln

    marginal = betaln(mixture.a + k, mixture.b + n - k) - betaln(mixture.a, mixture.b)
    return marginal - k * math.log(rate) - (n - k) * math.log1p(-rate)


def confidence_sequence(k: int, n: int, *, level: float = 0.95, mixture: Mixture = JEFFREYS) -> Figure:
    """Share k/n with an interval that holds the true rate at every look at once, with probability `level`.

    Both ends together, so its upper end is also a valid one-sided bound. Count on with the same observations: starting
    again after a bad beginning makes it void.
    """
    _check(k, n, level)
    if n == 0:
        return NOTHING
    limit = -math.log(1 - level)

    def rejects(rate: float) -> bool:
        return float(log_evidence(k, n, rate=rate, mixture=mixture)) >= limit

    low = 0.0 if k == 0 else _edge(rejects, inside=k / n, outside=0.0)
    high = 1.0 if k == n else _edge(rejects, inside=k / n, outside=1.0)
    return Measured(value=k / n, n=n, low=low, high=high, level=level, method=f"anytime-valid, {mixture.name}")


def _edge(rejects: Any, *, inside: float, outside: float) -> float:
    """Where `rejects` turns true between a rate that is kept and one that is not, from the outer side."""
    for _ in range(80):
        middle = (inside + outside) / 2
        if middle in (inside, outside):
            break
        if 0 < middle < 1 and not rejects(middle):
            inside = middle
        else:
            outside = middle
    return outside


def mean_interval(values: Sequence[float], *, bounds: tuple[float, float], level: float = 0.95) -> Figure:
    """Mean of values within `bounds`, with a t interval made honest in two ways. For ratings and their paired differences.

    Monotone: a higher value never lowers the lower end. Plain t breaks that, since one outlier upwards widens it downwards.
    Never narrower than n allows: 20 equal ratings do not show a spread of 0. A share 1 - tail^(1/n) of values may have gone
    unseen altogether, and they may lie at the bound. One value alone gives the bounds.
    """
    _check_values(values, bounds, level)
    if not values:
        return NOTHING
    tail, (least, most) = (1 - level) / 2, bounds
    low = lower_mean(values, least=least, tail=tail)
    high = -lower_mean([-value for value in values], least=-most, tail=tail)
    mean = math.fsum(values) / len(values)
    return Measured(value=mean, n=len(values), low=min(low, mean), high=max(high, mean), level=level,
                    method="t, monotone, with unseen tail")


def lower_mean(values: Sequence[float], *, least: float, tail: float) -> float:
    """One-sided lower bound of a mean, wrong with probability about `tail`; `mean_interval` says how. Needs a value."""
    n = len(values)
    if n == 1:
        return least
    mean, unseen = math.fsum(values) / n, float(1 - tail ** (1 / n))
    return max(least, min(_monotone_t(sorted(values), tail), mean - unseen * (mean - least)))


def _monotone_t(ascending: Sequence[float], tail: float) -> float:
    """The best t lower bound among those of the values capped at any height: the least change of t that is monotone.

    With the upper m values at height c the bound is (S + m c)/n - w sqrt(SS), concave in c. Its top is where
    (c - a)^2 = SS_rest / ((n - m)(w^2 (n - m) - m/n)), a and SS_rest being mean and sum of squares of the n - m others.
    """
    from scipy.special import stdtrit

    n = len(ascending)
    weight = -float(stdtrit(n - 1, tail)) / math.sqrt(n * (n - 1))
    best = ascending[0]  # all capped at the lowest
    mean, squares = 0.0, 0.0
    for kept, value in enumerate(ascending, start=1):
        step = value - mean
        mean += step / kept
        squares += step * (value - mean)
        capped = n - kept
        top = ascending[kept] if capped else value
        slack = weight * weight * kept - capped / n
        ideal = mean + math.sqrt(squares / (kept * slack)) if slack > 0 else math.inf
        height = min(max(ideal, value), top)
        spread = squares + kept * capped / n * (height - mean) ** 2
        best = max(best, (kept * mean + capped * height) / n - weight * math.sqrt(spread))
    return best


def bootstrap_mean(values: Sequence[float], *, bounds: tuple[float, float], seed: int = 0, level: float = 0.95,
                   draws: int = 2000) -> Figure:
    """Mean of values within `bounds`, with the percentile bootstrap, never narrower than n allows (see `mean_interval`).

    For trends of skewed scores. It covers less than it says below some 50 values; no gate reads it.
    """
    _check_values(values, bounds, level)
    if not values:
        return NOTHING
    random, n, tail = Random(f"bootstrap:{seed}"), len(values), (1 - level) / 2
    means = sorted(math.fsum(random.choices(values, k=n)) / n for _ in range(draws))
    mean, unseen = math.fsum(values) / n, 1 - tail ** (1 / n)
    cut = int(tail * draws)
    low = min(means[cut], mean - unseen * (mean - bounds[0]))
    high = max(means[-1 - cut], mean + unseen * (bounds[1] - mean))
    return Measured(value=mean, n=n, low=low, high=high, level=level, method="bootstrap, with unseen tail")


def paired_difference(first: Sequence[float], second: Sequence[float], *, bounds: tuple[float, float],
                      level: float = 0.95) -> Figure:
    """Mean of first - second over the pairs, both measured within `bounds`. Above 0: the first is higher."""
    if len(first) != len(second):
        raise ValueError(f"{len(first)} values cannot be paired with {len(second)}")
    span = bounds[1] - bounds[0]
    return mean_interval([a - b for a, b in zip(first, second, strict=True)], bounds=(-span, span), level=level)


def _check(k: float, n: int, level: float) -> None:
    if not 0 <= k <= n:
        raise ValueError(f"counted {k} of {n}; the count must lie between 0 and n")
    if not 0 < level < 1:
        raise ValueError(f"level is {level}; it must lie between 0 and 1")


def _check_values(values: Sequence[float], bounds: tuple[float, float], level: float) -> None:
    _check(0, 0, level)
    least, most = bounds
    if outside := [value for value in values if not least <= value <= most]:
        raise ValueError(f"value {outside[0]} lies outside the scale {least:g} to {most:g}")
