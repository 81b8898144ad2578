"""What a policy trained against a reward model may not do: leave its reference, speak longer, repeat itself, or go where the
reward model itself does not know.

Pure: figures in, a reason to stop out. Reward hacking shows in these before anybody has read an answer.
"""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import Field

from feedback.config import Strict

WINDOW = 3
"""Steps whose mean is judged: one batch of a few dozen answers is noisy."""
NEARING = 0.5
"""Part of the way to a limit from which a warning is given."""
GRAM = 4
"""Words in a row that count as a repetition when they come twice in one answer."""


class Limits(Strict):
    """Where training stops; the adapter is then the last one that kept them."""

    max_kl: float = Field(default=10.0, gt=0)
    """Divergence from the reference, in nats per answer (the log-ratio summed over its tokens, averaged over samples)."""
    max_disagreement: float = Field(default=2.0, gt=1)
    """Spread of the reward ensemble on the policy's own answers, as a multiple of its spread on the answers it learned from."""
    max_length_growth: float = Field(default=2.0, gt=1)
    """Mean tokens of an answer, as a multiple of what the policy wrote before."""
    max_repetition: float = Field(default=0.2, gt=0, le=1)
    """How much higher than before the share of repeated four-word sequences may be, 0 to 1."""


class Figures(Strict):
    """What a batch of the policy's own answers shows."""

    reward: float
    """Mean of the ensemble's lower bound. Only its change means anything."""
    spread: float
    """Mean disagreement of the ensemble's members."""
    kl: float
    """From the reference, in nats per answer."""
    length: float
    """Mean tokens of an answer, its end included."""
    repetition: float
    """Share of the four-word sequences that stood in the same answer before, 0 to 1."""


def repetition(text: str) -> float:
    """Share of a text's four-word sequences that it had before, 0 to 1; 0 for a text of fewer than five words."""
    words = text.split()
    grams = [tuple(words[i:i + GRAM]) for i in range(len(words) - GRAM + 1)]
    return 1 - len(set(grams)) / len(grams) if len(grams) > 1 else 0.0


def mean(figures: Sequence[Figures]) -> Figures:
    """The mean of each figure; raises ValueError on none."""
    if not figures:
        raise ValueError("no figures to average")
    return Figures(**{name: sum(getattr(each, name) for each in figures) / len(figures) for name in Figures.model_fields})


def ways_gone(now: Figures, *, before: Figures, trained_spread: float, limits: Limits) -> dict[str, tuple[float, str]]:
    """For each limit (part of the way that is gone, the evidence in words): 1 and more is over it.

    `trained_spread` is the ensemble's mean spread on the answers that it learned from; 0 of a single model, which has no
    disagreement to judge by.
    """
    growth = now.length / max(before.length, 1.0)
    risen = now.repetition - before.repetition
    ways = {
        "rl.max_kl": (now.kl / limits.max_kl, f"the divergence from the reference is {now.kl:.2f} nats per answer"),
        "rl.max_length_growth": ((growth - 1) / (limits.max_length_growth - 1), (
            f"answers have {now.length:.0f} tokens on average, {growth:.2f} times the {before.length:.0f} before")),
        "rl.max_repetition": (risen / limits.max_repetition, (
            f"{now.repetition:.0%} of four-word sequences are repeated, {before.repetition:.0%} before")),
    }
    if trained_spread > 0:
        factor = now.spread / trained_spread
        ways["rl.max_disagreement"] = ((factor - 1) / (limits.max_disagreement - 1), (
            f"the reward models disagree by {now.spread:.3g} on the policy's own answers, {factor:.2f} times the "
            f"{trained_spread:.3g} on the answers they learned from"))
    return ways


def broken(now: Figures, *, before: Figures, trained_spread: float, limits: Limits) -> str | None:
    """Why training must stop, naming the limit and the evidence; None while all limits are kept."""
    for name, (gone, evidence) in ways_gone(now, before=before, trained_spread=trained_spread, limits=limits).items():
        if not gone <= 1:  # not a number is over every limit
            return f"{evidence}; {name} allows {getattr(limits, name.removeprefix('rl.')):g}"
    return None


def warnings(now: Figures, *, before: Figures, trained_spread: float, limits: Limits) -> list[str]:
    """What has gone half of the way to a limit or more, each with the evidence."""
    found = ways_gone(now, before=before, trained_spread=trained_spread, limits=limits)
    return [f"{evidence}, {gone:.0%} of the way to {name}" for name, (gone, evidence) in found.items() if gone >= NEARING]
