"""Diseases that any training run may have. Each check is a pure function of what was logged or of what was trained on.

Thresholds are chosen so that a healthy run is left alone: a disease must be large and not luck. Their values were tried on
synthetic histories and on real small trainings, healthy and ill (tests/alignment/curves).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from statistics import fmean, variance

from feedback.measures import Unscored
from sft.curves.curve import History
from sft.curves.finding import Finding, Outcome

FEWEST_POINTS = 4
"""Logged points below which the course of a curve cannot be told."""
RISE = 1.15
"""A loss that ends this many times above where it began has not been trained but broken ..."""
SPIKE = 3.0
"""... one that on its way was this many times above its beginning has been thrown about ..."""
JUMP = 10.0
"""... and so has one whose gradient's norm reached this many times its first one ..."""
WITH_JUMP = 1.3
"""... while the loss rose this many times above its beginning."""
FEWEST_WATCHED = 8
"""Families set apart below which overfitting cannot be told from luck."""
SURE = 3.0
"""Standard errors by which a mean must differ before it is called a difference."""
LEAST_RISE = 0.03
"""Nats by which the loss on rows set apart must rise above its lowest to matter."""
REPEATED = 0.1
"""Share of rows that repeat another one, from which on it is worth a word ..."""
FEWEST_REPEATED = 4
"""... and the fewest of them."""


@dataclass(frozen=True, slots=True)
class WatchedLosses:
    """Losses of rows that were set apart from training."""

    steps: tuple[int, ...]
    losses: tuple[tuple[float, ...], ...]
    """Per step, one for each family: the mean over its rows."""
    trained: tuple[float, ...] = ()
    """The same at the end of the run for families that were trained on."""


def thrown_about(history: History, *, start: float | None = None) -> Outcome:
    """The learning rate was too high: the loss ends RISE times above its beginning, or reached SPIKE times that on its way,
    or WITH_JUMP times together with a gradient JUMP times its first one.

    `start`: the loss before the first step where it is known, such as ln 2 for DPO; without it, the first one logged, unless
    whole passes over the data say that it is merely what that batch held.
    """
    loss, norm = history.get("loss"), history.get("grad_norm")
    if len(loss.values) < FEWEST_POINTS:
        return Unscored(reason=f"only {len(loss.values)} points were logged; lower trainer.logging_steps or train longer")
    begun, highest, ended = loss.values[0] if start is None else start, max(loss.values), loss.mean(0.75, 1)
    jumped = bool(norm.values) and max(norm.values) > JUMP * norm.values[0] and highest > WITH_JUMP * begun
    if ended <= RISE * begun and highest <= SPIKE * begun and not jumped:
        return None
    if start is None and _calm_by_passes(history):
        return None
    norms = f" The gradient's norm began at {norm.values[0]:.3g} and reached {max(norm.values):.3g}." if norm.values else ""
    return Finding(
        name="learning_rate_too_high", title="The learning rate was too high",
        evidence=f"The loss began at {begun:.3f}, reached {highest:.3f} and ended at {ended:.3f} (mean of the last quarter); "
                 f"more than {RISE:g} times its beginning at the end, {SPIKE:g} times on the way, or {WITH_JUMP:g} times "
                 f"together with a gradient of {JUMP:g} times its first one is not noise.{norms}",
        advice=("Lower trainer.learning_rate, by ten to begin with.", "Warm up longer (trainer.warmup_steps).",
                "Larger batches make each step surer (trainer.per_device_train_batch_size, gradient_accumulation_steps)."))


def _calm_by_passes(history: History) -> bool:
    """The last pass over the data has no higher loss than the first, and nothing spiked after that; False with fewer than two.

    Which rows a batch holds may move its loss tenfold when they are short and few; every pass holds the same rows.
    """
    last = max(history.epochs.values(), default=0.0)
    first, after, ended = (history.in_epochs("loss", *part) for part in ((0, 1), (1, last), (last - 1, last)))
    if last < 2 or not first or not ended:
        return False
    return fmean(ended) <= fmean(first) and max(after) <= SPIKE * max(first)


def overfitting(watched: WatchedLosses | None, *, why_not: str) -> Outcome:
    """Learned by heart: the loss on rows set apart ended SURE standard errors above that on rows trained on, and LEAST_RISE
    above its own lowest, which may be that before the first step.

    Standard errors are over families. `why_not` says why no rows were set apart.
    """
    if watched is None or len(watched.steps) < 2:
        return Unscored(reason=why_not)
    count = len(watched.losses[-1])
    if count < FEWEST_WATCHED:
        return Unscored(reason=f"only {count} families are set apart; {FEWEST_WATCHED} are the fewest to tell it from luck")
    means = [fmean(losses) for losses in watched.losses]
    best = min(range(len(means)), key=means.__getitem__)
    gap = _apart(watched.losses[-1], watched.trained)
    if gap is None or means[-1] - means[best] <= LEAST_RISE:
        return None
    return Finding(
        name="overfitting", title="It learned its rows by heart",
        evidence=f"The loss on {count} families that were not trained on was lowest at step {watched.steps[best]} "
                 f"({means[best]:.3f}) and ended at {means[-1]:.3f}, while it fell to {means[-1] - gap:.3f} on those that "
                 f"were. {SURE:g} standard errors between the two, and a rise of {LEAST_RISE:g} nats, are no luck.",
        advice=(f"Stop earlier: about step {watched.steps[best]} was best (trainer.max_steps or num_train_epochs)."
                if watched.steps[best] > 0 else "Train less or not at all on these rows: no step of this run helped.",
                "Review more: overfitting fades with the number of rows.",
                "Hold the adapter back: a lower lora.r, lora.dropout of 0.05, a higher beta for preferences."))


def _apart(unseen: Sequence[float], trained: Sequence[float]) -> float | None:
    """By how much the first mean lies above the second; None when that could be luck."""
    if len(trained) < FEWEST_WATCHED:
        return None
    gap = fmean(unseen) - fmean(trained)
    error = math.sqrt(variance(unseen) / len(unseen) + variance(trained) / len(trained))
    return gap if gap > LEAST_RISE and gap > SURE * error else None


def repeats(keys: Sequence[Hashable], *, what: str) -> Outcome:
    """Duplicates: rows whose key stands for more than one of them, the first of each not counted."""
    if not keys:
        return Unscored(reason=f"no {what} to compare")
    counts = Counter(keys)
    repeated = sum(count - 1 for count in counts.values())
    if repeated < FEWEST_REPEATED or repeated < REPEATED * len(keys):
        return None
    return Finding(
        name="duplicates", title="Many rows say the same",
        evidence=f"{repeated} of {len(keys)} {what} repeat another one but for case, spacing and punctuation (the worst "
                 f"{max(counts.values())} times); from {REPEATED:.0%} on a few opinions count several times over.",
        advice=("Curate again with near duplicates left out, and look at card.json.",
                "Ask other questions: `queues` takes families that were not asked before first.",
                f"Until then read every count as {len(counts)} {what}, not {len(keys)}."))


def too_few(count: int, *, fewest: int, what: str) -> Outcome:
    """Too little was trained on for the curves to say much."""
    if count >= fewest:
        return None
    return Finding(
        name="too_few", title=f"Too few {what} to say much",
        evidence=f"{count} {what} were trained on; below {fewest} a curve shows the luck of a few rows.",
        advice=(f"Review more before reading much into this run: {fewest} {what} or more.",
                "Judge the policy by its audit answers, not by these curves."))
