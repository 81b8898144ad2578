"""Charts and the table of a preference run."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from statistics import fmean

from alignment.curves.pairs import PairReadings, Reading, WatchedPair, by_family
from sft.curves.chart import Chart, Series, chart
from sft.curves.curve import History
from sft.curves.report import GroupFigures, line, run_charts

LEAST_ROWS = 3
"""Watched pairs from which on a group gets a line in the table."""


def policy_charts(history: History, readings: PairReadings, *, beta: float, start: float | None) -> list[Chart | None]:
    """The pictures of a DPO run. `start`: the loss before the first step, where it is known."""
    nats = 1 / beta
    hint = "of all losses together; where set apart, of sigmoid alone" if start is None else "below its start, the dashed line"
    return [
        chart("Loss", [line(history, "loss", "trained on"), _apart(readings, "set apart", readings.loss)],
              hint=hint, compare=start),
        chart("Accuracy", [line(history, "rewards/accuracies", "trained on"), _apart(readings, "set apart", right)],
              hint="share of pairs ordered as people did", compare=0.5),
        chart("Margin", [line(history, "rewards/margins", "trained on"),
                         _apart(readings, "set apart", lambda m: m * readings.scale)], hint="rewards, chosen minus rejected"),
        chart("Against the reference", [line(history, "rewards/chosen", "chosen", scale=nats),
                                        line(history, "rewards/rejected", "rejected", ink="soft", scale=nats)],
              hint="nats per answer; chosen should not fall far", compare=0.0),
        chart("Log-probability", [line(history, "logps/chosen", "chosen"),
                                  line(history, "logps/rejected", "rejected", ink="soft")],
              hint="nats per answer, of each batch"),
        chart("KL to the reference", [_drift(history, nats)], hint="nats per answer, from the reviewed answers", compare=0.0),
        _by_length(readings), *run_charts(history)]


def reward_charts(history: History, readings: PairReadings) -> list[Chart | None]:
    """The pictures of a reward model's run."""
    names = {"accuracy": ("accuracy", "rewards/accuracies"), "margin": ("margin", "rewards/margins")}
    found = {key: next((name for name in own if history.get(name).values), own[0]) for key, own in names.items()}
    return [
        chart("Loss", [line(history, "loss", "trained on"), _apart(readings, "set apart", readings.loss)],
              hint="without the pairs' margins where set apart", compare=math.log(2)),
        chart("Accuracy", [line(history, found["accuracy"], "trained on"), _apart(readings, "set apart", right)],
              hint="share of pairs ordered as people did", compare=0.5),
        chart("Margin", [line(history, found["margin"], "trained on"), _apart(readings, "set apart", lambda m: m)],
              hint="rewards, chosen minus rejected"),
        chart("Rewards", [line(history, "max_reward", "highest"), line(history, "mean_reward", "mean", ink="third"),
                          line(history, "min_reward", "lowest", ink="soft")], hint="of each batch", compare=0.0),
        _by_length(readings), *run_charts(history)]


def _apart(readings: PairReadings, label: str, value: Callable[[float], float]) -> Series:
    """The mean over families set apart, of a function of each pair's margin."""
    def mean(reading: Reading) -> float:
        return fmean(by_family(readings.apart, [value(margin) for margin in reading.margins]).values())

    points = tuple((float(reading.step), mean(reading)) for reading in readings.of_apart) if readings.apart else ()
    return Series(label, points, "third")


def right(margin: float) -> float:
    """1 for a pair in the right order, half for one that is not ordered at all."""
    return 1.0 if margin > 0 else 0.5 if margin == 0 else 0.0


def _drift(history: History, nats: float) -> Series:
    """Minus the mean log-ratio of both answers: KL(reference | policy) as far as the answers are the reference's own."""
    chosen, rejected = history.get("rewards/chosen"), history.get("rewards/rejected")
    points = tuple((float(step), -nats * (better + worse) / 2)
                   for step, better, worse in zip(chosen.steps, chosen.values, rejected.values, strict=False))
    return Series("KL", points)


def _by_length(readings: PairReadings) -> Chart | None:
    points = tuple((float(pair.longer_by), chosen - rejected) for pair, chosen, rejected in readings.at_end())
    return chart("Margin by length", [Series("pairs", points, dots=True)], hint="a slope means that length was learned",
                 x_title="tokens by which the chosen answer is longer", compare=0.0)


def groups(readings: PairReadings) -> tuple[GroupFigures, ...]:
    """How watched pairs ended: by origin, criterion, topic, and by which answer is longer."""
    rows = readings.at_end()
    keys: list[Callable[[WatchedPair], str | None]] = [
        lambda pair: f"origin: {pair.origin}", lambda pair: f"criterion: {pair.criterion}" if pair.criterion else None,
        lambda pair: f"topic: {pair.topic}" if pair.topic else None, _length_key]
    found: list[GroupFigures] = []
    for key in keys:
        members: dict[str, list[tuple[WatchedPair, float]]] = {}
        for pair, chosen, rejected in rows:
            if (name := key(pair)) is not None:
                members.setdefault(name, []).append((pair, chosen - rejected))
        found += [_figures(name, own) for name, own in sorted(members.items()) if len(own) >= LEAST_ROWS]
    return tuple(found)


def _length_key(pair: WatchedPair) -> str:
    return "chosen is longer" if pair.longer_by > 0 else "chosen is shorter" if pair.longer_by < 0 else "equally long"


def _figures(name: str, rows: Sequence[tuple[WatchedPair, float]]) -> GroupFigures:
    return GroupFigures(group=name, rows=len(rows), figures={
        "accuracy": fmean(right(margin) for _, margin in rows), "unscaled_margin": fmean(margin for _, margin in rows),
        "chosen_tokens": fmean(pair.chosen_tokens for pair, _ in rows),
        "rejected_tokens": fmean(pair.rejected_tokens for pair, _ in rows)})
