"""Simulated panels of reviewers with known truth: what weighing them gains over counting their votes, and who is caught.

    python -m tests.benchmarks.panels --seed 0 --json

Honest reviewers have reliabilities spread over 0.55 to 0.98; of the others a third each is adversarial (wrong on purpose in 85
of 100), lazy with one label whatever is shown, and lazy at random. Reviewers and items are mixed evenly. Every figure is the
mean of `--repeats` panels, `+-` the Monte-Carlo standard error of `gain`: the accuracy, less the better of majority and mean.

The kinds of mistakes: `even`, all wrong labels alike; `uneven`, the same where 7 of 10 truths are one label; `rare`, where 9 of
10 are; `missed`, where 9 of 10 are and most mistakes take others for that one; `sided`, each reviewer with an accuracy of
their own for each label; `decoy`, one item in seven misleads most who err there; on scales `measured`, a severity and a
spread; `lapsing`, a severity, and now and then any number; `skewed`, measured where most truths are high.
"""

from __future__ import annotations

import argparse
import json
import sys
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Literal

import numpy as np

from feedback.aggregation.bearing import suspects
from feedback.aggregation.methods import CROWD_METHODS, crowd
from feedback.aggregation.panel import Panel
from feedback.aggregation.reliability import Weighed, weigh

Kind = Literal["even", "uneven", "rare", "missed", "sided", "decoy", "measured", "lapsing", "skewed"]
SCALES = ("measured", "lapsing", "skewed")
EACH = 40
"""Items that a reviewer rates, where there are at least 200 items."""


@dataclass(frozen=True)
class Setting:
    """One kind of panel."""

    reviewers: int
    ratings_per_item: int
    adversarial_share: float
    kind: Kind = "even"
    labels: int = 3
    spread: bool = True
    """Reliabilities (on scales: severities) differ between honest reviewers."""
    gold_share: float = 0.0
    """Items whose truth is known."""

    @property
    def ordered(self) -> bool:
        """Ratings on a scale."""
        return self.kind in SCALES

    @property
    def items(self) -> int:
        """So many that each reviewer rates 40, and at least 200."""
        return max(200, round(EACH * self.reviewers / self.ratings_per_item))


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
    chance = np.random.default_rng(zlib.crc32(f"{seed}:{setting}".encode()))
    truth = chance.choice(setting.labels, setting.items, p=_common(setting))
    shown = np.argsort(chance.random((setting.items, setting.reviewers)), axis=1)[:, :setting.ratings_per_item]
    item, reviewer = np.repeat(np.arange(setting.items), setting.ratings_per_item), shown.ravel()
    honest = np.arange(setting.reviewers) >= round(setting.adversarial_share * setting.reviewers)
    said = (_on_scale if setting.ordered else _labels)(setting, truth, item, reviewer, chance)
    label = np.where(honest[reviewer], said, _dishonest(setting, truth[item], reviewer, chance)).astype(int)
    known = chance.permutation(setting.items)[:round(setting.gold_share * setting.items)]
    return Made(panel=Panel(item=item, reviewer=reviewer, label=label, items=setting.items, reviewers=setting.reviewers,
                            labels=setting.labels, ordered=setting.ordered), truth=truth, honest=honest,
                gold={int(at): int(truth[at]) for at in known})


def _common(setting: Setting) -> np.ndarray:
    weights = np.ones(setting.labels)
    if setting.kind in ("uneven", "rare", "missed"):
        weights[0] = (7 / 3 if setting.kind == "uneven" else 9) * (setting.labels - 1)
    if setting.kind == "skewed":
        weights = np.array([1.0, 2.0, 4.0, 8.0, 5.0])
    return weights / weights.sum()


def _labels(setting: Setting, truth: np.ndarray, item: np.ndarray, reviewer: np.ndarray,
            chance: np.random.Generator) -> np.ndarray:
    shape = (setting.reviewers, setting.labels if setting.kind == "sided" else 1)
    right = np.broadcast_to(chance.uniform(0.55, 0.98, shape) if setting.spread else np.full(shape, 0.77),
                            (setting.reviewers, setting.labels))
    wrong = (truth[item] + chance.integers(1, setting.labels, len(item))) % setting.labels
    chances = right[reviewer, truth[item]]
    if setting.kind == "missed":
        careful = chance.uniform((0.93, 0.6), (0.99, 0.9), (setting.reviewers, 2))
        chances = careful[reviewer, np.minimum(truth[item], 1)]
        wrong = np.where((truth[item] > 0) & (chance.random(len(item)) < 0.8), 0, wrong)
    if setting.kind == "decoy":
        decoy = (truth + chance.integers(1, setting.labels, setting.items)) % setting.labels
        hard = chance.random(setting.items) < 1 / 7
        wrong = np.where(hard[item] & (chance.random(len(item)) < 0.8), decoy[item], wrong)
        chances = np.where(hard[item], np.maximum(0.4, chances - 0.25), chances)
    return np.where(chance.random(len(item)) < chances, truth[item], wrong)


def _on_scale(setting: Setting, truth: np.ndarray, item: np.ndarray, reviewer: np.ndarray,
              chance: np.random.Generator) -> np.ndarray:
    severity = chance.normal(0, 0.6 if setting.spread else 0.0, setting.reviewers)
    noise = chance.uniform(0.4, 1.2, setting.reviewers) if setting.spread else np.full(setting.reviewers, 0.8)
    if setting.kind == "lapsing":
        right = chance.uniform(0.55, 0.98, setting.reviewers) if setting.spread else np.full(setting.reviewers, 0.77)
        said = np.where(chance.random(len(item)) < right[reviewer], truth[item] + np.round(severity)[reviewer],
                        chance.integers(0, setting.labels, len(item)))
    else:
        said = np.round(truth[item] + severity[reviewer] + chance.normal(0, 1, len(item)) * noise[reviewer])
    return np.clip(said, 0, setting.labels - 1)


def _dishonest(setting: Setting, truth: np.ndarray, reviewer: np.ndarray, chance: np.random.Generator) -> np.ndarray:
    other = (setting.labels - 1 - truth if setting.ordered
             else (truth + chance.integers(1, setting.labels, len(truth))) % setting.labels)
    against = np.where(chance.random(len(truth)) < 0.15, truth, other)
    habit, how = chance.integers(0, setting.labels, setting.reviewers), chance.integers(0, 3, setting.reviewers)
    return np.select([how[reviewer] == 0, how[reviewer] == 1], [against, habit[reviewer]],
                     chance.integers(0, setting.labels, len(truth)))


def majority_accuracy(made: Made) -> float:
    """Share of items that the plurality gets right; one of several leaders is right by its share of them."""
    counts = np.zeros((made.panel.items, made.panel.labels))
    np.add.at(counts, (made.panel.item, made.panel.label), 1)
    leads = counts == counts.max(axis=1, keepdims=True)
    return float((leads[np.arange(len(made.truth)), made.truth] / leads.sum(axis=1))[_asked(made)].mean())


def mean_accuracy(made: Made) -> float:
    """Share of items whose rounded mean rating is the truth."""
    mean = np.bincount(made.panel.item, made.panel.label) / np.bincount(made.panel.item)
    return float((np.floor(mean + 0.5).astype(int) == made.truth)[_asked(made)].mean())


def weighed(made: Made, *, only_honest: bool = False) -> Weighed:
    """What the ratings say, those of the honest alone if asked."""
    return weigh(_honest(made) if only_honest else made.panel, known=made.gold)


def accuracy(made: Made, found: Weighed) -> float:
    """Share of items, known ones apart, whose likeliest value is the truth."""
    return float((found.likeliest == made.truth)[_asked(made)].mean())


def crowd_accuracy(made: Made, method: str) -> float:
    """The same by a model of crowd-kit."""
    found = crowd(made.panel, method)  # type: ignore[arg-type]
    return float((found.truth.argmax(axis=1) == made.truth)[_asked(made)].mean())


def _honest(made: Made) -> Panel:
    keep = made.honest[made.panel.reviewer]
    return replace(made.panel, item=made.panel.item[keep], reviewer=made.panel.reviewer[keep], label=made.panel.label[keep])


def _asked(made: Made) -> np.ndarray:
    return np.array([at not in made.gold for at in range(made.panel.items)])


def caught(made: Made, found: Weighed) -> tuple[float | None, float]:
    """(share of the dishonest, share of the honest) who are proposed for quarantine; None without dishonest ones."""
    odd = suspects(made.panel, found)
    return (float(odd[~made.honest].mean()) if (~made.honest).any() else None), float(odd[made.honest].mean())


def measure(setting: Setting, *, seed: int, repeats: int, methods: bool = False) -> dict[str, object]:
    """One row of the table."""
    made = [make(setting, f"{seed}:{number}") for number in range(repeats)]
    # A pair is an item with two labels: the same reviewers say which of two answers is better.
    pairs = [make(replace(setting, labels=2, kind="even"), f"{seed}:{number}:pairs") for number in range(repeats)]
    models = [weighed(each) for each in made]
    ours = np.array([accuracy(each, found) for each, found in zip(made, models, strict=True)])
    counted = np.array([majority_accuracy(each) for each in made])
    means = np.array([mean_accuracy(each) for each in made]) if setting.ordered else None
    best = means if means is not None and means.mean() > counted.mean() else counted
    found = [caught(each, model) for each, model in zip(made, models, strict=True)]
    row: dict[str, object] = {
        "reviewers": setting.reviewers, "ratings_per_item": setting.ratings_per_item,
        "adversarial_share": setting.adversarial_share, "kind": setting.kind, "labels": setting.labels,
        "reliabilities_differ": setting.spread, "gold_share": setting.gold_share, "items": setting.items,
        "accuracy": float(ours.mean()), "majority_accuracy": float(counted.mean()),
        "mean_accuracy": None if means is None else float(means.mean()), "gain": float((ours - best).mean()),
        "+-": float((ours - best).std(ddof=1) / np.sqrt(repeats)) if repeats > 1 else None,
        "pair_accuracy": float(np.mean([accuracy(each, weighed(each)) for each in pairs])),
        "honest_pair_accuracy": float(np.mean([accuracy(each, weighed(each, only_honest=True)) for each in pairs])),
        "caught": _mean([share for share, _ in found]), "falsely_caught": _mean([share for _, share in found])}
    if methods and not setting.ordered:
        row |= {method: float(np.mean([crowd_accuracy(each, method) for each in made])) for method in CROWD_METHODS}
    return row


def _mean(shares: Sequence[float | None]) -> float | None:
    known = [share for share in shares if share is not None]
    return float(np.mean(known)) if known else None


def settings() -> Iterator[Setting]:
    """Every kind of panel that is measured."""
    for reviewers, each, share in product((5, 20, 50), (1, 2, 3, 5, 9), (0.0, 0.2, 0.3)):
        # Of five reviewers, three tenths cannot be dishonest: two of five would be four tenths.
        if each <= reviewers and (reviewers > 5 or share < 0.3):
            yield Setting(reviewers, each, share)
            yield Setting(reviewers, each, share, "measured", labels=5)
    for reviewers, each in product((5, 20, 50), (1, 3, 5)):
        yield Setting(reviewers, each, 0.0, spread=False)
        yield Setting(reviewers, each, 0.0, "measured", labels=5, spread=False)
        yield Setting(reviewers, each, 0.3 if reviewers > 5 else 0.2, gold_share=0.05)
    for labels, (kind, share) in product((2, 5), product(("even", "uneven", "sided", "decoy"), (0.0, 0.2))):
        yield Setting(20, 3, share, kind, labels=labels)
    for reviewers, labels, share in product((5, 20), (2, 3), (0.0, 0.2)):
        yield Setting(reviewers, 3, share, "rare", labels=labels)
        yield Setting(reviewers, 3, share, "missed", labels=labels)
    for kind, share in product(("lapsing", "skewed"), (0.0, 0.2)):
        yield Setting(20, 3, share, kind, labels=5)


def main(arguments: Sequence[str]) -> None:
    """Print the table, as JSON or to read."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--repeats", type=int, default=20)
    parser.add_argument("--methods", action="store_true", help="also crowd-kit's models, on labels")
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args(arguments)
    rows = []
    for setting in settings():
        rows.append(measure(setting, seed=chosen.seed, repeats=chosen.repeats, methods=chosen.methods))
        if not chosen.json:
            sys.stdout.write(" ".join(f"{name}={value:.3f}" if isinstance(value, float) else f"{name}={value}"
                                      for name, value in rows[-1].items()) + "\n")
            sys.stdout.flush()
    if chosen.json:
        sys.stdout.write(json.dumps({"panels": rows}) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
