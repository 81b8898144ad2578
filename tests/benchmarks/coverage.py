"""How often intervals hold the truth and gates pass what they should not, by simulation.

    python -m tests.benchmarks.coverage --json

Methods that a gate reads must cover at least what they promise, less three Monte-Carlo errors: exit 1 otherwise. Intervals for
one look need no chance: their coverage is summed over all counts. Methods for trends only are printed with what they
really do, and so is what should not be done. Peeking is daily: after every 20 answers, up to 2,000. Legend: R runs, D days.
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from random import Random
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri
from scipy.stats import binom

from alignment.config import ShipGate
from alignment.evaluation.outcomes import Tally
from alignment.gates import ship_on
from feedback.intervals import (
    JEFFREYS,
    Mixture,
    aimed_at,
    bootstrap_mean,
    clopper_pearson,
    clopper_pearson_lower,
    clopper_pearson_upper,
    log_evidence,
    mean_interval,
    wilson,
)
from feedback.measures import Figure, Measured
from feedback.paired import PairedTest, mcnemar_exact
from feedback.terminal import note, print_json, print_table

RATES = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3)
SIZES = (20, 50, 100, 200, 500, 1000, 2000)
A_DAY = 20
"""Answers reviewed between two looks."""
LAST = 2000
THRESHOLD = 0.02


Role = Literal["gate", "margin", "trend", "wrong", "power"]
"""gate: must hold. margin: t intervals of means, which the safety check reads: near nominal. trend: as it is. wrong: what not to
do. power: how often a good candidate passes, which nobody promised."""


@dataclass(frozen=True, slots=True)
class Row:
    """One simulated promise."""

    role: Role
    method: str
    setting: str
    promised: float
    """Coverage, or the largest share of false passes."""
    found: float
    runs: int
    """0 where the figure is exact."""
    at_least: bool = True
    """True where `found` must not be below `promised` (coverage), False where not above (false passes)."""

    @property
    def holds(self) -> bool:
        """Within three Monte-Carlo errors."""
        error = 3 * math.sqrt(self.promised * (1 - self.promised) / self.runs) if self.runs else 1e-9
        return self.found >= self.promised - error if self.at_least else self.found <= self.promised + error


def measured(figure: Figure) -> Measured:
    """A figure that is known to be there."""
    assert isinstance(figure, Measured)
    return figure


def coverage(interval: Callable[[int, int], Figure], *, rate: float, n: int) -> float:
    """Probability that the interval for a count of n holds the rate, over all counts that matter."""
    chances = binom.pmf(np.arange(n + 1), n, rate)
    held = ((chance, measured(interval(k, n))) for k, chance in enumerate(chances) if chance > 1e-12)
    return float(sum(chance for chance, found in held if found.low <= rate <= found.high))


def one_look() -> Iterator[Row]:
    """Intervals for a single look: worst over the rates, by n."""
    methods: list[tuple[Role, Callable[[int, int], Figure]]] = [
        ("gate", clopper_pearson), ("gate", clopper_pearson_upper), ("gate", clopper_pearson_lower), ("trend", wilson)]
    for role, interval in methods:
        for n in SIZES:
            found = {rate: coverage(interval, rate=rate, n=n) for rate in RATES}
            worst = min(found, key=lambda rate: found[rate])
            yield Row(role, interval.__name__, f"n={n}, worst at rate {worst:g}", 0.95, found[worst], 0)


def paths(rate: float, runs: int, random: np.random.Generator) -> NDArray[np.int64]:
    """Errors so far at the end of each day (R, D)."""
    return random.binomial(A_DAY, rate, (runs, LAST // A_DAY)).cumsum(axis=1)


DAYS = np.arange(A_DAY, LAST + 1, A_DAY)
"""Answers reviewed by the end of each day (D)."""


def ever_excludes(errors: NDArray[np.int64], rate: float, mixture: Mixture, *, alpha: float,
                  above_only: bool) -> NDArray[np.bool_]:
    """Whether the sequence excludes the rate on any day (R); `above_only`: by lying below it."""
    excluded = log_evidence(errors, DAYS, rate=rate, mixture=mixture) >= -math.log(alpha)
    if above_only:
        excluded &= errors < rate * DAYS
    return np.asarray(excluded.any(axis=1))


def peeking(runs: int, random: np.random.Generator) -> Iterator[Row]:
    """Anytime-valid intervals over all looks, beside intervals that are looked at as often without being made for it."""
    for rate in RATES:
        errors = paths(rate, runs, random)
        for mixture in (aimed_at(THRESHOLD), JEFFREYS):
            held = 1 - ever_excludes(errors, rate, mixture, alpha=0.05, above_only=False).mean()
            yield Row("gate", f"confidence_sequence, {mixture.name}", f"rate={rate:g}, daily to {LAST}", 0.95, float(held), runs)
        k, n = errors / DAYS, DAYS
        z_test = (np.abs(k - rate) > ndtri(0.975) * np.sqrt(np.maximum(k * (1 - k), 1e-12) / n)).any(axis=1)
        yield Row("wrong", "z interval, looked at daily", f"rate={rate:g}", 0.95, 1 - float(z_test.mean()), runs)


def passes_on(errors: NDArray[np.int64], alpha: float) -> NDArray[np.bool_]:
    """Whether the ship gate's bound is below the threshold on any day (R)."""
    return ever_excludes(errors, THRESHOLD, aimed_at(THRESHOLD), alpha=alpha, above_only=True)


def shipping(runs: int, random: np.random.Generator) -> Iterator[Row]:
    """The ship gate on candidates whose true rate is the threshold itself."""
    errors = paths(THRESHOLD, runs, random)
    found = float(passes_on(errors, 0.05).mean())
    yield Row("gate", "ship, watched daily", "true rate on the threshold", 0.05, found, runs, False)
    rate = errors / DAYS
    z_pass = (rate + 1.645 * np.sqrt(np.maximum(rate * (1 - rate), 0.5 / DAYS**2) / DAYS) < THRESHOLD) & (DAYS >= 100)
    yield Row("wrong", "one-sided z test, watched daily from n=100", "true rate on the threshold", 0.05,
              float(z_pass.any(axis=1).mean()), runs, False)
    series = [paths(THRESHOLD, runs, random) for _ in range(8)]
    spent = np.any([passes_on(one, 0.05 / 2**attempt) for attempt, one in enumerate(series, start=1)], axis=0)
    yield Row("gate", "ship, series of 8 candidates, alpha / 2^k", "all on the threshold", 0.05, float(spent.mean()), runs, False)
    unspent = np.any([passes_on(one, 0.05) for one in series], axis=0)
    yield Row("wrong", "ship, series of 8 candidates, 5 % each", "all on the threshold", 0.05, float(unspent.mean()), runs, False)
    once = random.binomial(400, THRESHOLD, runs)
    passed = {k: ship_on(Tally(correct=400 - k, hallucinated=k), ShipGate(), attempt=0, planned=400).outcome == "pass"
              for k in range(int(once.max()) + 1)}
    found = sum(passed[int(k)] for k in once) / runs
    yield Row("gate", "ship, 400 planned", "true rate on the threshold", 0.05, found, runs, False)


def advancing(runs: int, random: np.random.Generator) -> Iterator[Row]:
    """McNemar on candidates that are no better, by the share of pairs that differ."""
    for pairs, share in ((50, 0.1), (250, 0.2), (250, 0.5), (1000, 0.3)):
        discordant = random.binomial(pairs, share, runs)
        gained = random.binomial(discordant, 0.5)
        passed = {key: _improves(*key) for key in set(zip(gained.tolist(), discordant.tolist(), strict=True))}
        found = sum(passed[key] for key in zip(gained.tolist(), discordant.tolist(), strict=True)) / runs
        yield Row("gate", "advance, exact McNemar", f"{pairs} pairs, {share:.0%} differ, none better", 0.05, found, runs, False)


def _improves(gained: int, discordant: int) -> bool:
    test = mcnemar_exact(better=gained, worse=discordant - gained)
    return isinstance(test, PairedTest) and test.p_value <= 0.05


PANELS = {"spread evenly": (1, 1, 1, 1, 1), "mostly 5": (1, 1, 2, 6, 90), "5 or 1": (3, 0, 0, 0, 97),
          "one rude in 100": (1, 0, 0, 0, 99)}
"""Shares of the ratings 1 to 5."""


def means(runs: int, seed: int) -> Iterator[Row]:
    """Means of ratings and of paired differences."""
    random = Random(seed)
    for name, weights in PANELS.items():
        truth = sum(value * weight for value, weight in enumerate(weights, start=1)) / sum(weights)
        for n in (20, 100, 250):
            samples = [random.choices((1, 2, 3, 4, 5), weights, k=n) for _ in range(runs)]
            found = [measured(mean_interval(sample, bounds=(1, 5))) for sample in samples]
            yield Row("margin", "mean_interval (t)", f"{name}, n={n}", 0.95, _held(found, truth), runs)
            few = [measured(bootstrap_mean(sample, bounds=(1, 5), seed=number, draws=400))
                   for number, sample in enumerate(samples[:runs // 5])]
            yield Row("trend", "bootstrap_mean", f"{name}, n={n}", 0.95, _held(few, truth), len(few))
            bare = [_bare_bootstrap(sample, random) for sample in samples[:runs // 5]]
            yield Row("wrong", "bootstrap without unseen tail", f"{name}, n={n}", 0.95, _held(bare, truth), len(bare))


def _held(figures: Iterable[Measured], truth: float) -> float:
    held = [figure.low - 1e-9 <= truth <= figure.high + 1e-9 for figure in figures]
    return sum(held) / len(held)


def _bare_bootstrap(sample: list[int], random: Random) -> Measured:
    drawn = sorted(sum(random.choices(sample, k=len(sample))) / len(sample) for _ in range(400))
    return Measured(value=sum(sample) / len(sample), n=len(sample), low=drawn[10], high=drawn[-11], method="percentile bootstrap")


def safety(runs: int, seed: int) -> Iterator[Row]:
    """The advance gate's safety check on candidates that are worse by exactly the margin, equal, and a little safer."""
    random, margin = Random(seed), 0.15
    for shift in (-margin, 0.0, 0.05):
        for n in (100, 250):
            lows = [measured(mean_interval(_differences(shift, n, random), bounds=(-4, 4), level=0.9)).low for _ in range(runs)]
            passed, setting = sum(low >= -margin for low in lows) / runs, f"{n} pairs, spread 1, truly {shift:+.2f}"
            if shift == -margin:
                yield Row("margin", "advance, safety not 0.15 worse", setting, 0.05, passed, runs, False)
            else:
                yield Row("power", "advance, safety not 0.15 worse", setting, 0.0, passed, runs)


def _differences(shift: float, n: int, random: Random) -> list[float]:
    """Paired differences in half points, of standard deviation about 1 and mean `shift`."""
    steps = (round(2 * random.gauss(0, 0.95)) / 2 + (random.random() < abs(shift)) * math.copysign(1, shift) for _ in range(n))
    return [max(-4.0, min(4.0, step)) for step in steps]


def simulate(runs: int, seed: int) -> list[Row]:
    """Every row."""
    random = np.random.default_rng(seed)
    parts: list[tuple[str, Iterator[Row]]] = [
        ("one look", one_look()), ("peeking", peeking(runs // 4, random)), ("ship gate", shipping(runs // 2, random)),
        ("advance gate", advancing(runs, random)), ("means", means(max(50, runs // 20), seed)),
        ("safety", safety(max(50, runs // 8), seed))]
    rows: list[Row] = []
    for name, part in parts:
        started = time.monotonic()
        rows += part
        note(f"{name}: {time.monotonic() - started:.0f} s")
    return rows


def main() -> int:
    """Print the rows; 1 when a gate method breaks its promise."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--runs", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    rows = simulate(arguments.runs, arguments.seed)
    broken = [row for row in rows if row.role == "gate" and not row.holds]
    if arguments.json:
        print_json({"rows": [asdict(row) | {"holds": row.holds} for row in rows], "broken": len(broken)})
    else:
        print_table(("role", "method", "setting", "promised", "found", "runs", "holds"),
                    [(r.role, r.method, r.setting, f"{r.promised:.3f}", f"{r.found:.4f}", r.runs, r.holds) for r in rows])
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
