"""Diseases of preference training, each a pure function of what was logged and read.

`Outcome` is a finding, None when it was looked for and is not there, or Unscored when it could not be looked for.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from statistics import fmean

from alignment.curves.pairs import JudgedPair, Mean, PairReadings, Reading, WatchedPair
from feedback.measures import Unscored
from sft.curves.checks import SURE
from sft.curves.curve import History
from sft.curves.finding import Finding, Outcome

EASY = 0.95
"""Share of pairs not trained on yet that are ordered rightly, from which on there is nothing left to learn from their like."""
SURELY_EASY = 0.9
"""... and the lower end of its 95 % interval."""
FEWEST_FRESH = 40
"""Pairs seen for the first time that this takes."""
LEAST_FALL = 1.0
"""Nats that the chosen answers' log-probability must fall by ..."""
FALL = 0.1
"""... and the part of it: a fall below either is common and harmless."""
FEWEST_COMPARED = 30
"""Watched pairs from which on length is looked at."""
BY_LENGTH = 0.5
"""Share of the mean margin that may follow from length alone."""
STARTS_AT = 0.01
"""Nats per token by which a policy may differ from its own reference before training: rounding."""
FAR = 0.5
"""Nats per token by which a policy may have left, before training, a reference that was chosen on purpose."""
FIRST_LOSS = 0.02
"""How far the loss of the first step may lie from that of a policy that equals its reference."""


def pairs_too_easy(history: History, *, pairs: int) -> Outcome:
    """In the second half of the first pass over the data the policy orders EASY of the pairs rightly, none of which it has
    been trained on by then. `pairs`: how many the run trained on."""
    accuracies = history.in_epochs("rewards/accuracies", 0.5, 1.0) or history.in_epochs("accuracy", 0.5, 1.0)
    fresh = pairs // 2
    if not accuracies or fresh < FEWEST_FRESH:
        return Unscored(reason=f"{fresh} pairs were seen for the first time in the second half of the first pass, in "
                               f"{len(accuracies)} logged points; it takes {FEWEST_FRESH} pairs and one point")
    share = fmean(accuracies)
    if share < EASY or _wilson_low(share, fresh) < SURELY_EASY:
        return None
    return Finding(
        name="pairs_too_easy", title="The pairs were too easy",
        evidence=f"Of about {fresh} pairs that it had not been trained on yet, {share:.0%} were ordered rightly in the second "
                 f"half of the first pass; from {EASY:.0%} on, more of the same teaches little.",
        advice=("Let people compare answers that the policy can hardly tell apart: small margins first.",
                "Sample the answers of one question closer together: a lower sampling.temperature, the newest policy.",
                "Train fewer epochs; what is left of the gradient only moves the policy away from its reference."))


def _wilson_low(share: float, n: int) -> float:
    z = 1.96
    centre = share + z * z / (2 * n)
    return (centre - z * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))) / (1 + z * z / n)


def chosen_collapsing(history: History, *, beta: float) -> Outcome:
    """The chosen answers became less probable while the margin grew: likelihood displacement (Razin et al. 2024).

    From the mean reward of the chosen answers, divided by `beta`: their log-ratio to the reference in nats per answer.
    """
    chosen, margins, logps = (history.get(name) for name in ("rewards/chosen", "rewards/margins", "logps/chosen"))
    if not chosen.values or not logps.values:
        return Unscored(reason="neither rewards nor log-probabilities of the chosen answers were logged")
    fall = (chosen.values[0] - chosen.mean(0.75, 1)) / beta
    scale = abs(logps.mean(0, 0.25))
    grown = margins.mean(0.75, 1) - margins.values[0] if margins.values else 0.0
    if fall < LEAST_FALL or fall < FALL * scale or grown <= 0:
        return None
    return Finding(
        name="chosen_collapsing", title="The preferred answers became less likely",
        evidence=f"Their log-probability fell by {fall:.1f} nats per answer, {fall / scale:.0%} of the {scale:.1f} it began at, "
                 f"while the margin grew by {grown / beta:.1f}: the policy learned what not to say, and says something else "
                 f"instead. Below {LEAST_FALL:g} nat or {FALL:.0%} it would be common.",
        advice=("Train less boldly: half the trainer.learning_rate, fewer epochs, a higher dpo.beta.",
                "Add a light SFT term on the best answers (losses: [sigmoid, sft], loss_weights: [1, 0.1] of the ranked engine); "
                "at weight 1 it outweighs the preferences.",
                "Demonstrate first: run SFT on accepted answers and rewrites before DPO.",
                "Pairs of nearly equal texts push each other down: compare answers that differ in more than a few words."))


def length_exploitation(readings: PairReadings) -> Outcome:
    """The policy prefers what is longer (or shorter), more than what is better.

    The margin at the end is regressed on the difference in tokens; length explains the slope times the mean difference. Found
    when that is BY_LENGTH of the mean margin or more, and both slope and mean difference are surely not zero.
    """
    rows = readings.at_end()
    if len(rows) < FEWEST_COMPARED:
        return Unscored(reason=f"{len(rows)} pairs were watched; it takes {FEWEST_COMPARED}")
    pairs = [pair for pair, _, _ in rows]
    margins, gaps = [chosen - rejected for _, chosen, rejected in rows], [float(pair.longer_by) for pair in pairs]
    gap, (slope, error) = Mean.of(pairs, gaps), _slope(gaps, margins)
    by_length, mean = slope * fmean(gaps), fmean(margins)
    sure = abs(gap.value) > SURE * gap.error and abs(slope) > SURE * error
    if mean <= 0 or not sure or by_length < BY_LENGTH * mean:
        return None
    return _length_found(pairs, margins, slope=slope, explained=by_length / mean)


def _length_found(pairs: Sequence[WatchedPair], margins: Sequence[float], *, slope: float, explained: float) -> Finding:
    gap = fmean(pair.longer_by for pair in pairs)
    word = "longer" if gap > 0 else "shorter"
    against = [margin for pair, margin in zip(pairs, margins, strict=True) if pair.longer_by * gap < 0]
    other = "shorter" if gap > 0 else "longer"
    right = sum(margin > 0 for margin in against)
    rightly = f", and of the {len(against)} pairs where the {other} answer is better it orders {right} rightly" if against else ""
    return Finding(
        name="length_exploitation", title=f"It learned to prefer what is {word}",
        evidence=f"Preferred answers are {abs(gap):.0f} tokens {word} on average, each token of difference changes the margin by "
                 f"{abs(slope):.2g}, and so length alone explains {explained:.0%} of the mean margin{rightly}. From "
                 f"{BY_LENGTH:.0%} on length is the lesson.",
        advice=(f"Review pairs in which the {other} answer is better; ask reviewers to put what is right above what is {word}.",
                "Use a loss on the mean per token (losses: [ipo]) instead of the sum.",
                "Compare answer lengths of the candidate and the champion before it ships."))


def _slope(x: Sequence[float], y: Sequence[float]) -> tuple[float, float]:
    """(slope, its standard error) of the least-squares line; (0, infinity) when all x are equal."""
    middle_x, middle_y, n = fmean(x), fmean(y), len(x)
    spread = sum((a - middle_x) ** 2 for a in x)
    if spread == 0 or n < 3:
        return 0.0, math.inf
    slope = sum((a - middle_x) * (b - middle_y) for a, b in zip(x, y, strict=True)) / spread
    left = sum((b - middle_y - slope * (a - middle_x)) ** 2 for a, b in zip(x, y, strict=True))
    return slope, math.sqrt(left / (n - 2) / spread)


def wrong_reference(history: History, readings: PairReadings, *, moved: bool, start: float | None) -> Outcome:
    """The reference is not the policy that training starts from, or one that the policy has long left.

    `moved`: another reference than the starting policy was asked for, so that only a reference FAR away is a disease. `start`:
    the loss of a policy that equals its reference, where the losses have one.
    """
    watched = ((readings.apart, readings.of_apart), (readings.trained, readings.of_trained))
    first = [_per_token(pairs, own[0]) for pairs, own in watched if own and own[0].step == 0]
    if not first:
        return _by_first_loss(history, start=start)
    per_token, allowed = fmean(value for values in first for value in values), FAR if moved else STARTS_AT
    if per_token <= allowed:
        return None
    right = "a reference that was chosen on purpose" if moved else "a policy that starts at its reference"
    return _reference_found(f"Before the first step the log-probability of an answer differed from the reference's by "
                            f"{per_token:.2g} nats per token on average; more than {allowed:g} is not right for {right}.")


def _per_token(pairs: Sequence[WatchedPair], reading: Reading) -> list[float]:
    """How far each answer's log-ratio is from 0, per token."""
    return [abs(ratio) / tokens for pair, chosen, rejected in zip(pairs, reading.chosen, reading.rejected, strict=True)
            for ratio, tokens in ((chosen, pair.chosen_tokens), (rejected, pair.rejected_tokens))]


def _by_first_loss(history: History, *, start: float | None) -> Outcome:
    """Without readings: the first logged loss, if it is of the first step alone, must be `start`."""
    loss = history.get("loss")
    if start is None or not loss.steps or loss.steps[0] != 1:
        return Unscored(reason="nothing was read before the first step")
    if abs(loss.values[0] - start) <= FIRST_LOSS:
        return None
    return _reference_found(f"The loss of the first step was {loss.values[0]:.4f}; a policy that equals its reference has "
                            f"{start:.4f}, within {FIRST_LOSS:g}.")


def _reference_found(evidence: str) -> Finding:
    return Finding(
        name="wrong_reference", title="The reference is not the policy that training started from", evidence=evidence,
        advice=("Name the SFT adapter that training continues as the parent, and leave out `reference`, or name the same one.",
                "With `reference: initial`, begin again from the champion once it has moved this far.",
                "After merging an adapter into the base, train from the merged base with a fresh adapter."))


def said(pair: JudgedPair) -> tuple[str, ...]:
    """A pair's question and answers as words alone, to compare it with others."""
    texts = pair.messages[-1].content, pair.chosen, pair.rejected
    return tuple(" ".join(re.findall(r"\w+", text.casefold())) for text in texts)
