"""Simulated panels of reviewers with known truth: what weighing them gains over counting their votes.

    python -m tests.benchmarks.panels --seed 0 --json

Honest reviewers have reliabilities spread over 0.55 to 0.98; of the others each is adversarial (wrong on purpose in 85 of
100) or lazy (one label whatever is shown). Every figure is the mean of `--repeats` panels.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np

from feedback.aggregation.reliability import Panel, weigh


@dataclass(frozen=True)
class Setting:
    """One kind of panel."""

    reviewers: int
    ratings_per_item: int
    adversarial_share: float
    labels: int = 3
    ordered: bool = False
    spread: bool = True
    """Reliabilities (on scales: severities) differ between honest reviewers."""
    items: int = 200
    gold_share: float = 0.0
    """Items whose truth is known."""


@dataclass(frozen=True)
class Made:
    """A simulated panel and its truth."""

    panel: Panel
    truth: np.ndarray
    honest: np.ndarray
    """By reviewer."""
    gold: dict[int, int]


def make(setting: Setting, seed: str) -> Made:
    """One panel; the same seed gives the same one."""
    chance = np.random.default_rng([ord(letter) for letter in seed])
    truth = chance.integers(0, setting.labels, setting.items)
    honest = np.ones(setting.reviewers, dtype=bool)
    honest[:round(setting.adversarial_share * setting.reviewers)] = False
    shown = [chance.permutation(setting.reviewers)[:setting.ratings_per_item] for _ in range(setting.items)]
    item = np.repeat(np.arange(setting.items), [len(each) for each in shown])
    reviewer = np.concatenate(shown)
    say = _on_scale(setting, chance) if setting.ordered else _label(setting, chance)
    fixed, against = chance.integers(0, setting.labels, setting.reviewers), chance.random(setting.reviewers) < 0.5
    label = np.array([say(truth[i], r) if honest[r] else _dishonest(truth[i], r, setting, chance, fixed, against)
                      for i, r in zip(item, reviewer, strict=True)])
    gold = {int(at): int(truth[at]) for at in chance.permutation(setting.items)[:round(setting.gold_share * setting.items)]}
    return Made(panel=Panel(item=item, reviewer=reviewer, label=label, items=setting.items, reviewers=setting.reviewers,
                            labels=setting.labels, ordered=setting.ordered), truth=truth, honest=honest, gold=gold)


def _label(setting: Setting, chance: np.random.Generator):
    right = chance.uniform(0.55, 0.98, setting.reviewers) if setting.spread else np.full(setting.reviewers, 0.77)

    def say(truth: int, reviewer: int) -> int:
        if chance.random() < right[reviewer]:
            return int(truth)
        return int((truth + chance.integers(1, setting.labels)) % setting.labels)

    return say


def _on_scale(setting: Setting, chance: np.random.Generator):
    severity = chance.normal(0, 0.6 if setting.spread else 0.0, setting.reviewers)
    noise = chance.uniform(0.4, 1.2, setting.reviewers) if setting.spread else np.full(setting.reviewers, 0.8)

    def say(truth: int, reviewer: int) -> int:
        return int(np.clip(round(truth + severity[reviewer] + chance.normal(0, noise[reviewer])), 0, setting.labels - 1))

    return say


def _dishonest(truth: int, reviewer: int, setting: Setting, chance: np.random.Generator, fixed: np.ndarray,
               against: np.ndarray) -> int:
    if not against[reviewer]:
        return int(fixed[reviewer])
    if chance.random() < 0.15:
        return int(truth)
    if setting.ordered:
        return setting.labels - 1 - int(truth)
    return int((truth + chance.integers(1, setting.labels)) % setting.labels)


def majority_accuracy(made: Made) -> float:
    """Share of items that the plurality gets right; one of several leaders is right by its share of them."""
    counts = np.zeros((made.panel.items, made.panel.labels))
    np.add.at(counts, (made.panel.item, made.panel.label), 1)
    leads = counts == counts.max(axis=1, keepdims=True)
    return float((leads[np.arange(len(made.truth)), made.truth] / leads.sum(axis=1)).mean())


def mean_accuracy(made: Made) -> float:
    """Share of items whose rounded mean rating is the truth."""
    mean = np.bincount(made.panel.item, made.panel.label) / np.bincount(made.panel.item)
    return float((np.floor(mean + 0.5).astype(int) == made.truth).mean())


def weighed_accuracy(made: Made, *, only_honest: bool = False) -> float:
    """Share of items, known ones apart, whose likeliest value is the truth."""
    panel = made.panel
    if only_honest:
        keep = made.honest[panel.reviewer]
        panel = Panel(item=panel.item[keep], reviewer=panel.reviewer[keep], label=panel.label[keep], items=panel.items,
                      reviewers=panel.reviewers, labels=panel.labels, ordered=panel.ordered)
    asked = np.array([at not in made.gold for at in range(panel.items)])
    likeliest = weigh(panel, known=made.gold).likeliest
    return float((likeliest == made.truth)[asked].mean())


def measure(setting: Setting, *, seed: int, repeats: int) -> dict[str, object]:
    """One row of the table."""
    made = [make(setting, f"{seed}:{number}:{setting}") for number in range(repeats)]
    # A pair is an item with two labels: the same reviewers say which of two answers is better.
    two = Setting(reviewers=setting.reviewers, ratings_per_item=setting.ratings_per_item, spread=setting.spread,
                  adversarial_share=setting.adversarial_share, labels=2, items=setting.items, gold_share=setting.gold_share)
    pairs = [make(two, f"{seed}:{number}:pairs:{setting}") for number in range(repeats)]
    return {"reviewers": setting.reviewers, "ratings_per_item": setting.ratings_per_item,
            "adversarial_share": setting.adversarial_share, "labels": setting.labels, "ordered": setting.ordered,
            "reliabilities_differ": setting.spread, "gold_share": setting.gold_share,
            "accuracy": float(np.mean([weighed_accuracy(each) for each in made])),
            "majority_accuracy": float(np.mean([majority_accuracy(each) for each in made])),
            "mean_accuracy": float(np.mean([mean_accuracy(each) for each in made])) if setting.ordered else None,
            "pair_accuracy": float(np.mean([weighed_accuracy(each) for each in pairs])),
            "honest_pair_accuracy": float(np.mean([weighed_accuracy(each, only_honest=True) for each in pairs])),
            # Nobody is proposed for quarantine yet: integrity.py is not built.
            "caught": None, "falsely_caught": None}


def settings() -> Iterator[Setting]:
    """Every kind of panel that is measured."""
    for reviewers, each, share in product((5, 20, 50), (1, 2, 3, 5, 9), (0.0, 0.2, 0.3)):
        if each <= reviewers:
            yield Setting(reviewers, each, share)
            yield Setting(reviewers, each, share, labels=5, ordered=True)
    for reviewers, each in product((5, 20, 50), (1, 3, 5)):
        yield Setting(reviewers, each, 0.0, spread=False)
        yield Setting(reviewers, each, 0.0, labels=5, ordered=True, spread=False)
        yield Setting(reviewers, each, 0.3, gold_share=0.05)


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
    if chosen.json:
        sys.stdout.write(json.dumps({"panels": rows}) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
