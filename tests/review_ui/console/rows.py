"""Rounds to show: known figures, and rounds that have none yet."""

from __future__ import annotations

from feedback.measures import Measured, Unscored
from review_ui.console.pages import GateLine, RoundRow

NONE = Unscored(reason="163 reviews are still missing")


def share(value: float, *, low: float, high: float) -> Measured:
    return Measured(value=value, n=300, low=low, high=high, method="clopper-pearson")


def judged(number: int, *, promoted: bool = True, shipped: bool = False, hallucination: float = 0.2,
           simulated: bool = False) -> RoundRow:
    return RoundRow(number=number, state="done", policy=f"policy-{number:024d}", reviewed=300,
                    hallucination=share(hallucination, low=hallucination / 2, high=hallucination * 1.5),
                    correct=share(0.6, low=0.5, high=0.7), abstention=share(0.1, low=0.05, high=0.15),
                    gates=(GateLine("advance", "pass" if promoted else "hold", ("7 better, 2 worse",)),),
                    promoted=promoted, shipped=shipped, simulated=simulated)


def waiting(number: int) -> RoundRow:
    return RoundRow(number=number, state="waiting: 163 reviews", policy=None, reviewed=None, hallucination=NONE, correct=NONE,
                    abstention=NONE, gates=(), promoted=False, shipped=False, simulated=False)
