"""Verdicts that weigh each reviewer by how they rate, learned from the ratings themselves.

The model of Dawid and Skene (1979) with the reviewers' confusion tables confined to known manners (`manners.py`): a
reviewer has one manner, an item one truth. Both are estimated in turn by belief propagation (Liu, Peng and Ihler 2012): what
a rating says about an item is judged by its reviewer's *other* ratings, and what it says about its reviewer by the
item's *other* ratings, so that nobody's rating confirms itself. How common each manner and each truth is, is learned as
well, with a pull towards what is assumed beforehand.

With one rating an item there is next to nothing to learn about the reviewers, and the verdict is that rating.
Legend: I items, R reviewers, G manners, K labels, N ratings.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from feedback.aggregation.manners import Manners, Numbers, of_labels, of_scale
from feedback.aggregation.panel import Panel, leaning
from feedback.aggregation.prevalence import learned

UNEVEN = 3.0
"""How many times larger than by chance the differences between labels must be before what is common starts to count."""
STEPS = 6
"""Steps of expectation maximisation towards what is common. The mean of the items' probabilities alone is drawn towards evenness:
where 9 of 10 truths are one of two labels, three equal reviewers came out 4 points less often right. More steps gain nothing, and
on scales take a few severe reviewers for bad answers."""
MUCH_BETTER = 1.0
"""By how much (nats) leaning must explain the ratings better to be believed. Two ratings an item hardly tell which it is."""
TELLING = 2
"""Ratings of an item from which what is common counts: with one, it cannot be told from the habits of whoever gave it."""
MOST_ROUNDS = 60
SETTLED = 1e-3
"""Change of any truth's probability in a round below which estimation ends."""
BATCH = 2048
"""Ratings judged at once, so that their tables stay in the processor's cache."""
UNLIKELY, LEANING = 50.0, 6.0
"""One number or label throughout is next to impossible (by this log-odds) for all but those who lean on one (`panel.leaning`),
since where all items are alike everybody seems to have that habit; of those, on labels, it is as likely by LEANING. At 8, who was
right about a label that is common was taken for one who always gives it, and two poor reviewers decided in their place; at 2, two
of five who do always give it were believed."""
FEWEST_ROUNDS = 6
MANY = 20_000
"""Ratings from which single precision is enough, for twice the speed."""
DAMPING = 0.3
"""Part of the round before that is kept from the fourth round on: messages in a circle may swing."""


@dataclass(frozen=True)
class Weighed:
    """What the ratings say about the items, and about those who gave them."""

    truth: Numbers
    """Probability of each label by item (I, K)."""
    posterior: Numbers
    """Probability of each manner by reviewer (R, G)."""
    manners: Manners
    evidence: Numbers
    """The same from the ratings alone, as if every label were as common (I, K)."""
    given: NDArray[np.bool_]
    """Labels that somebody gave, or that are known (I, K)."""

    @property
    def likeliest(self) -> NDArray[np.intp]:
        """The most probable label of each item (I): on a scale any, else one of those that somebody gave."""
        offered = self.truth if self.manners.ordered else np.where(self.given, self.truth, -1.0)
        # Rounded, so that of two equally probable ones it is the first, whatever the last digit of a sum.
        return np.asarray(offered.round(9).argmax(axis=1))

    @property
    def accuracy(self) -> Numbers:
        """How often each reviewer is right when all labels are as common (R)."""
        return np.asarray(self.posterior @ self.manners.accuracy)

    @property
    def low(self) -> Numbers:
        """Lower end of the central 95 % of the posterior of the accuracy (R)."""
        return self.quantile(self.manners.accuracy, 0.025)

    @property
    def high(self) -> Numbers:
        """Upper end of it (R)."""
        return self.quantile(self.manners.accuracy, 0.975)

    def quantile(self, trait: Numbers, at: float) -> Numbers:
        """The posterior quantile of a trait of manners (G), such as their severity, by reviewer (R)."""
        order = np.argsort(trait, kind="stable")
        below = (np.cumsum(self.posterior[:, order], axis=1) < at - 1e-9).sum(axis=1)
        return np.asarray(trait[order][np.minimum(below, len(order) - 1)])

    def chance(self, holds: NDArray[np.bool_]) -> Numbers:
        """Probability that a reviewer's manner is one of those that hold (G), by reviewer (R)."""
        return np.asarray(np.minimum(1.0, self.posterior @ holds.astype(float)))


def weigh(panel: Panel, *, known: Mapping[int, int] | None = None) -> Weighed:
    """Truths and manners of a panel. `known`: item -> label that is certain (gold items).

    Where most ratings are one label, it may be common, or all may lean to it (who sees nothing wrong says so of what is wrong as
    well). Both are tried, and leaning is believed where it makes the ratings of an item so much more probable, each reviewer
    judged by their other items (the pseudo-likelihood of Geisser and Eddy 1979).
    """
    straight = _settled(panel, known or {}, lean=False)
    if panel.labels < 2 or straight.manners.ordered:
        return straight.weighed()
    leant = _settled(panel, known or {}, lean=True)
    return (leant if leant.predicted() > straight.predicted() + MUCH_BETTER else straight).weighed()


def _settled(panel: Panel, known: Mapping[int, int], *, lean: bool) -> _Messages:
    messages = _Messages(panel, known, lean=lean)
    truth = messages.truths()
    for number in range(MOST_ROUNDS):
        messages.judge(keep=DAMPING if number > 3 else 0.0)
        before, truth = truth, messages.truths()
        if number >= FEWEST_ROUNDS and np.abs(truth - before).max(initial=0.0) < SETTLED:
            break
    return messages


class _Messages:
    """What goes to and fro between items and reviewers. Ratings are kept in the order of their reviewers (N)."""

    def __init__(self, panel: Panel, known: Mapping[int, int], *, lean: bool) -> None:
        order = np.argsort(panel.reviewer, kind="stable")
        self.item, self.label = panel.item[order], panel.label[order]
        self.starts = np.searchsorted(panel.reviewer[order], np.arange(panel.reviewers + 1))
        self.manners = of_scale(panel.labels) if panel.ordered and panel.labels > 2 else of_labels(
            panel.labels, int(np.bincount(panel.label, minlength=panel.labels).argmax()))
        self.lean, self.settled = lean, np.zeros((panel.items, panel.labels))
        self.severity, self.tilt = np.where(self.manners.habit, 0.0, self.manners.severity), 0.0
        self.fixed, self.certain = np.zeros(panel.items, dtype=bool), np.zeros((panel.items, panel.labels))
        for item, label in known.items():
            self.fixed[item], self.certain[item, label] = True, 1.0
        self.two = self.manners.ordered and len(np.unique(panel.reviewer)) == 2 and not self.fixed.any()
        self.by_item = _sums(self.item, panel.items)
        self.telling = np.bincount(self.item, minlength=panel.items) >= TELLING
        # Log-odds for one label whatever is shown, beyond what its share says (R).
        self.towards_habits = np.where(leaning(panel, self.certain), 0.0 if self.manners.ordered else LEANING, -UNLIKELY)
        self.share, self.common = self.manners.share, np.full(panel.labels, 1 / panel.labels)
        self.posterior = np.tile(self.share, (panel.reviewers, 1))
        self.evidence = np.zeros_like(self.posterior)
        precision = np.float64 if len(order) < MANY else np.float32
        self.flat: NDArray[Any] = self.manners.table.reshape(len(self.share), -1).astype(precision)
        # Log-probability of each rating for each truth of its item (N, K).
        self.says = np.log(np.tensordot(self.share, self.manners.table, axes=1).T[self.label])

    def truths(self) -> Numbers:
        """Probability of each label by item (I, K), from all that was said about it."""
        self.beliefs = np.where(self.telling[:, None], np.log(np.maximum(self.common, 1e-6)), 0.0) + self.by_item @ self.says
        truth = np.where(self.fixed[:, None], self.certain, normal(self.beliefs))
        # From what was said alone: learned from truths that it has shaped itself, it runs away to one label for everything.
        alone = np.where(self.fixed[:, None], self.certain, normal(self.by_item @ self.says))
        self.common = _common(alone[self.telling | self.fixed])
        self.settled = np.asarray(truth)
        return self.settled

    def predicted(self) -> float:
        """Log-probability of the ratings of the items with several, each reviewer judged by their ratings of other items."""
        asked = self.telling & ~self.fixed
        joint = np.log(np.maximum(self.common, 1e-6)) + (self.by_item @ self.says)[asked]
        return float(np.logaddexp.reduce(joint, axis=1).sum())

    def weighed(self) -> Weighed:
        """What it has come to."""
        given = self.certain > 0
        given[self.item, self.label] = True
        evidence = np.where(self.fixed[:, None], self.certain, normal(self.by_item @ self.says))
        return Weighed(truth=self.settled, evidence=evidence, given=given, posterior=self.posterior, manners=self.manners)

    def judge(self, *, keep: float) -> None:
        """Judge each reviewer by their items' other ratings, and each rating by its reviewer's other ratings."""
        others = np.where(self.fixed[self.item, None], self.certain[self.item], normal(self.beliefs[self.item] - self.says))
        level = np.log(self.share) + self.towards_habits[:, None] * self.manners.habit
        self.before = level + self.tilt * self.severity
        for first, last in _batches(self.starts):
            self._judge_some(first, last, others, keep)
        self.share = learned(self.manners, self.posterior, self.evidence, lean=self.lean)
        if self.two:
            self.tilt = balance(level + self.evidence, self.severity)

    def _judge_some(self, first: int, last: int, others: Numbers, keep: float) -> None:
        """Do so for the reviewers from `first` to before `last`, whose ratings lie together."""
        rows = slice(self.starts[first], self.starts[last])
        label, at = self.label[rows], np.arange(rows.stop - rows.start)
        labels = others.shape[1]
        cells = np.zeros((len(at), labels, labels), dtype=self.flat.dtype)
        cells[at, :, label] = others[rows]
        # Log-probability of each rating for each manner of its reviewer (n, G).
        evidence = np.log(cells.reshape(len(at), -1) @ self.flat.T)
        # An item's only rating would be compared with what is common alone, and all who are content would look lenient.
        evidence[~(self.telling | self.fixed)[self.item[rows]]] = 0.0
        whose = np.repeat(np.arange(last - first), np.diff(self.starts[first:last + 1]))
        self.evidence[first:last] = _sums(whose, last - first) @ evidence.astype(float)
        standing = self.before[first:last] + self.evidence[first:last]
        self.posterior[first:last] = normal(standing)
        by_others = normal((standing[whose] - evidence).astype(self.flat.dtype))
        said = np.log((by_others @ self.flat).reshape(-1, labels, labels)[at, :, label])
        self.says[rows] = keep * self.says[rows] + (1 - keep) * said


def balance(standing: Numbers, severity: Numbers) -> float:
    """What severity must weigh (log-odds a level) for two reviewers to have none on average, as a plain mean takes it.

    `standing` (R, G): log-probability of each manner by reviewer, `severity` (G). Which of two is too strict and which too lax
    their ratings hardly tell; with what is common learned as well, both drifted to one side, and verdicts with them by a level.
    """
    from scipy.optimize import brentq

    return float(brentq(lambda tilt: float((normal(standing + tilt * severity) @ severity).mean()), -1e4, 1e4, xtol=1e-3))


def _common(truth: Numbers) -> Numbers:
    """How common each label is (K), drawn towards evenness as far as chance may have made the differences.

    The positive-part estimate of James and Stein (1961). Without it, equal reviewers of items that are mostly alike came
    out 0.6 points below their own majority; counting every difference cost as much where labels are evenly spread.
    """
    count, labels = truth.shape
    even = np.full(labels, 1 / labels)
    if count == 0:
        return even
    share = truth.mean(axis=0)
    for _ in range(STEPS):
        share = normal(np.log(np.maximum(truth * share, 1e-300))).mean(axis=0)
    apart = share - even
    by_chance = UNEVEN * (1 - 1 / labels) / count
    known = max(0.0, 1 - by_chance / max(float(apart @ apart), 1e-12))
    return np.asarray(even + known * apart)


def _batches(starts: NDArray[np.intp]) -> Iterator[tuple[int, int]]:
    """Ranges of whole reviewers with about BATCH ratings each."""
    first = 0
    for last in range(1, len(starts)):
        if starts[last] - starts[first] >= BATCH or last == len(starts) - 1:
            yield first, last
            first = last


def _sums(rows: NDArray[np.intp], count: int) -> Any:
    """A sparse matrix (count, N) that adds up the rows of each index."""
    from scipy.sparse import csr_matrix

    return csr_matrix((np.ones(len(rows)), (rows, np.arange(len(rows)))), shape=(count, len(rows)))


def normal(logs: Numbers) -> Numbers:
    """Rows of logarithms as probabilities."""
    shifted = np.exp(logs - logs.max(axis=1, keepdims=True))
    return np.asarray(shifted / shifted.sum(axis=1, keepdims=True))
