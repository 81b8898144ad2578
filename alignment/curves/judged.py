"""All checks of a preference run put together: the report and its pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from alignment.curves.apart import Parted
from alignment.curves.checks import chosen_collapsing, length_exploitation, pairs_too_easy, said, wrong_reference
from alignment.curves.pairs import JudgedPair, PairReadings, Reading, WatchedPair
from alignment.curves.pictures import groups, policy_charts, reward_charts, right
from sft.curves.chart import Chart
from sft.curves.checks import overfitting, repeats, thrown_about, too_few
from sft.curves.curve import History
from sft.curves.finding import Outcome
from sft.curves.report import CurvesReport, sorted_outcomes

FEWEST_PAIRS = 40
"""Pairs below which a run's curves say little."""
NOTES = (
    "Rewards are beta times the log-ratio to the reference; the table's unscaled margins are log-ratios in nats. Accuracy and "
    "margin of the pairs trained on are those of each batch before its step; those set apart are means over families that this "
    "run never trains on.",
    "KL to the reference is estimated as the mean fall of the reviewed answers' log-probability: right where those answers were "
    "sampled from the reference, and off where people wrote them.",
)


@dataclass(frozen=True, slots=True)
class Judged:
    """What `write_report` takes."""

    report: CurvesReport
    title: str
    charts: tuple[Chart | None, ...]


def judge_preferences(stage: str, parted: Parted[JudgedPair], history: History, readings: PairReadings, *,
                      moved: bool, start: float | None) -> Judged:
    """The report of a DPO run or of a reward model's. `moved`: the reference was chosen to be another than the start. `start`:
    the loss before the first step, where it is known."""
    policy = stage == "dpo"
    found = _policy_checks(history, readings, moved, start) if policy else _reward_checks(history)
    outcomes = found | _of_both(parted, history, readings)
    findings, unsaid = sorted_outcomes({name: outcomes[name] for name in ORDER if name in outcomes})
    counts = {"pairs": len(parted.trained)} | ({"pairs_set_apart": len(parted.apart)} if parted.apart else {})
    report = CurvesReport(stage=stage, steps=history.steps, counts=counts, findings=findings, unsaid=unsaid,
                          figures=_ended(history, readings, policy=policy), groups=groups(readings), curves=dict(history.curves),
                          notes=NOTES if policy else ())
    charts = policy_charts(history, readings, beta=readings.scale, start=start) if policy else reward_charts(history, readings)
    return Judged(report, "DPO: how the training went" if policy else "Reward model: how the training went", tuple(charts))


ORDER = ("wrong_reference", "learning_rate_too_high", "chosen_collapsing", "overfitting", "length_exploitation", "duplicates",
         "pairs_too_easy", "too_few")
"""The gravest first."""


def _policy_checks(history: History, readings: PairReadings, moved: bool, start: float | None) -> dict[str, Outcome]:
    return {"wrong_reference": wrong_reference(history, readings, moved=moved, start=start),
            "learning_rate_too_high": thrown_about(history, start=start),
            "chosen_collapsing": chosen_collapsing(history, beta=readings.scale)}


def _reward_checks(history: History) -> dict[str, Outcome]:
    return {"learning_rate_too_high": thrown_about(history)}


def _of_both(parted: Parted[JudgedPair], history: History, readings: PairReadings) -> dict[str, Outcome]:
    pairs = parted.trained
    why_not = parted.why_none or "nothing was read of the families set apart"
    return {"overfitting": overfitting(readings.watched_losses(), why_not=why_not),
            "length_exploitation": length_exploitation(readings),
            "duplicates": repeats([said(pair) for pair in pairs], what="pairs"),
            "pairs_too_easy": pairs_too_easy(history, pairs=len(pairs)),
            "too_few": too_few(len(pairs), fewest=FEWEST_PAIRS, what="pairs")}


def _ended(history: History, readings: PairReadings, *, policy: bool) -> dict[str, float]:
    """The figures of the last quarter of the run, and of the pairs set apart at its end."""
    shown = {"loss": ("loss",), "accuracy": ("rewards/accuracies", "accuracy"), "margin": ("rewards/margins", "margin")}
    found = {label: history.get(name).mean(0.75, 1)
             for label, names in shown.items() for name in names if history.get(name).values}
    if policy and history.get("rewards/chosen").values and history.get("rewards/rejected").values:
        both = [history.get(f"rewards/{side}").mean(0.75, 1) for side in ("chosen", "rejected")]
        found["KL_to_the_reference"] = -fmean(both) / readings.scale
    for label, own in (("set_apart", readings.of_apart), ("trained_on", readings.of_trained)):
        if own and own[-1].margins:
            found |= {f"accuracy_{label}": _accuracy(own[-1])}
    return found | _lengths([*readings.apart, *readings.trained])


def _accuracy(reading: Reading) -> float:
    return fmean(map(right, reading.margins))


def _lengths(pairs: Sequence[WatchedPair]) -> dict[str, float]:
    if not pairs:
        return {}
    return {"chosen_tokens": fmean(pair.chosen_tokens for pair in pairs),
            "rejected_tokens": fmean(pair.rejected_tokens for pair in pairs)}
