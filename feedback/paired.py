"""Exact tests on pairs: the same prompts answered by two policies. Pure functions of counts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, assert_never

from feedback.measures import Unscored

Sided = Literal["better", "worse", "two"]
"""The alternative: the first is better, it is worse, or they differ."""


@dataclass(frozen=True, slots=True)
class PairedTest:
    """How surprising the pairs are if the two policies do not differ."""

    better: int
    """Pairs in which the first is better."""
    worse: int
    ties: int
    """Pairs that say nothing about which is better. Counted, and not tested on."""
    p_value: float
    method: str


def mcnemar_exact(*, better: int, worse: int, ties: int = 0, sided: Sided = "better") -> PairedTest | Unscored:
    """McNemar's test (1947) in its exact form: each discordant pair is a fair coin if the policies do not differ.

    `better`: pairs where the first is good and the second is not; `worse` the reverse; `ties`: both or neither good.
    """
    return _coin(better, worse, ties, sided, "exact mcnemar", "no pair in which exactly one of the two is good")


def sign_test(*, wins: int, losses: int, ties: int = 0, sided: Sided = "two") -> PairedTest | Unscored:
    """The exact sign test: each decided pair is a fair coin if neither is better. Ties are left out and told.

    Given how many pairs are ties, the wins among the others are binomial under the null: nothing is lost but power.
    """
    return _coin(wins, losses, ties, sided, "exact sign test", "every pair is a tie" if ties else "no pair")


def _coin(better: int, worse: int, ties: int, sided: Sided, method: str, nothing: str) -> PairedTest | Unscored:
    if min(better, worse, ties) < 0:
        raise ValueError(f"counts are {better}, {worse} and {ties}; a count is at least 0")
    if better + worse == 0:
        return Unscored(reason=nothing)
    match sided:
        case "better":
            p_value = _at_least(better, better + worse)
        case "worse":
            p_value = _at_least(worse, better + worse)
        case "two":
            p_value = min(1.0, 2 * _at_least(max(better, worse), better + worse))
        case _:
            assert_never(sided)
    return PairedTest(better=better, worse=worse, ties=ties, p_value=p_value, method=method)


def _at_least(heads: int, coins: int) -> float:
    """Chance of at least so many heads."""
    from scipy.special import bdtrc

    return 1.0 if heads == 0 else float(bdtrc(heads - 1, coins, 0.5))
