"""Adaptive overlap against a fixed one: what accuracy costs how many ratings, on simulated panels with known truth.

    python -m tests.benchmarks.overlap --json

Each item gets one review; then, as long as some are not sure enough, those get one more, from a reviewer drawn at random
among those who have not seen them. Gold items, on which everybody is tried first, are counted in neither accuracy nor ratings.
Every figure is the mean of `--repeats` panels; `+-` is the Monte-Carlo standard error of the difference.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass

import numpy as np

from feedback.aggregation.overlap import OverlapRule, another_review
from feedback.aggregation.panel import Panel
from feedback.aggregation.reliability import Weighed, weigh


@dataclass(frozen=True)
class Setting:
    """One kind of desk."""

    reviewers: int = 20
    labels: int = 3
    gold: int = 20
    """Known items that every reviewer rates first."""
    sure: float = 0.9
    most: int = 9
    low: float = 0.55
    high: float = 0.98
    items: int = 300
    fixed: int = 5
    """Overlap that it is compared with."""


class Desk:
    """Items, simulated reviewers and the ratings so far."""

    def __init__(self, setting: Setting, seed: Sequence[int]) -> None:
        self.setting, self.chance = setting, np.random.default_rng(seed)
        self.reliability = self.chance.uniform(setting.low, setting.high, setting.reviewers)
        self.truth = self.chance.integers(0, setting.labels, setting.gold + setting.items)
        self.order = np.argsort(self.chance.random((len(self.truth), setting.reviewers)), axis=1)
        self.given = np.zeros(len(self.truth), dtype=int)
        self.rows: list[tuple[int, int, int]] = []
        for item in range(setting.gold):
            for _ in range(setting.reviewers):
                self.ask(item)

    def ask(self, item: int) -> None:
        """One more review of an item, by the next reviewer in its order."""
        who, truth = int(self.order[item, self.given[item]]), int(self.truth[item])
        right = self.chance.random() < self.reliability[who]
        said = truth if right else (truth + int(self.chance.integers(1, self.setting.labels))) % self.setting.labels
        self.rows.append((item, who, said))
        self.given[item] += 1

    def weighed(self) -> Weighed:
        """What all ratings say together."""
        item, who, said = (np.array(column) for column in zip(*self.rows, strict=True))
        panel = Panel(item=item, reviewer=who, label=said, items=len(self.truth), reviewers=self.setting.reviewers,
                      labels=self.setting.labels, ordered=False)
        return weigh(panel, known={item: int(self.truth[item]) for item in range(self.setting.gold)})

    def result(self) -> tuple[float, float]:
        """(accuracy, ratings an item) on the items that are not gold."""
        asked = slice(self.setting.gold, None)
        return (float((self.weighed().likeliest == self.truth)[asked].mean()), float(self.given[asked].mean()))


def fixed(setting: Setting, seed: Sequence[int]) -> tuple[float, float]:
    """Every item the same number of times."""
    desk = Desk(setting, seed)
    for item in range(setting.gold, len(desk.truth)):
        for _ in range(setting.fixed):
            desk.ask(item)
    return desk.result()


def adaptive(setting: Setting, seed: Sequence[int]) -> tuple[float, float]:
    """Every item until it is sure enough."""
    desk, rule = Desk(setting, seed), OverlapRule(sure=setting.sure, most=min(setting.most, setting.reviewers))
    wanted = list(range(setting.gold, len(desk.truth)))
    while wanted:
        for item in wanted:
            desk.ask(item)
        found = another_review(desk.weighed().truth.max(axis=1), desk.given, rule)
        wanted = [item for item in found if item >= setting.gold]
    return desk.result()


def measure(setting: Setting, *, seed: int, repeats: int) -> dict[str, object]:
    """One row of the table."""
    pairs = [(adaptive(setting, (seed, number)), fixed(setting, (seed, number))) for number in range(repeats)]
    apart = np.array([ours[0] - theirs[0] for ours, theirs in pairs])
    ratings, fixed_ratings = (float(np.mean([pair[at][1] for pair in pairs])) for at in (0, 1))
    return asdict(setting) | {
        "accuracy": float(np.mean([ours[0] for ours, _ in pairs])),
        "fixed_accuracy": float(np.mean([theirs[0] for _, theirs in pairs])),
        "difference": float(apart.mean()), "+-": float(apart.std(ddof=1) / np.sqrt(repeats)) if repeats > 1 else None,
        "ratings_per_item": ratings, "share_of_ratings": ratings / fixed_ratings}


def settings() -> Iterator[Setting]:
    """Every kind of desk that is measured; the first ones are those that the promise is about."""
    for labels, sure in ((2, 0.86), (3, 0.9), (5, 0.9)):
        for reviewers in (10, 20, 50):
            yield Setting(reviewers=reviewers, labels=labels, sure=sure)
    for sure in (0.86, 0.95, 0.99):
        yield Setting(sure=sure)
    for most in (3, 5, 7, 12):
        yield Setting(most=most)
    yield Setting(gold=0)
    yield Setting(gold=5)
    yield Setting(low=0.77, high=0.77)
    yield Setting(low=0.9, high=0.98)


def main(arguments: Sequence[str]) -> None:
    """Print the table, as JSON or to read."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--repeats", type=int, default=20)
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args(arguments)
    rows = []
    for setting in settings():
        rows.append(measure(setting, seed=chosen.seed, repeats=chosen.repeats))
        if not chosen.json:
            sys.stdout.write(" ".join(f"{name}={value:.3f}" if isinstance(value, float) else f"{name}={value}"
                                      for name, value in rows[-1].items()) + "\n")
            sys.stdout.flush()
    if chosen.json:
        sys.stdout.write(json.dumps({"overlap": rows}) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
