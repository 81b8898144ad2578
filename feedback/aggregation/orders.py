"""Rankings weighed by who gave them: a noisy Bradley-Terry model of the order of the answers to one question.

The K answers of an item stand in one true order. A reviewer who is right about neighbours in it with probability a prefers
the better of two answers that stand d places apart with probability 1 / (1 + ((1 - a) / a) ** d): the model of
Bradley and Terry (1952) with scores that rise by equal steps, noisy because every reviewer has an a of their own (0.5: no
attention, below: against the truth). A whole ranking is one judgement, so these are normalised over all rankings. A tie
counts half for either side. Orders are few enough (6! = 720) to add up over all of them; orders and reviewers are estimated
in turn as in `reliability.py`. Legend: E rankings, K answers, P = K(K-1)/2 pairs, S = K! orders, G manners, R reviewers.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations, permutations

import numpy as np
from numpy.typing import NDArray

from feedback.aggregation.manners import Numbers
from feedback.aggregation.reliability import SETTLED, normal

NEIGHBOURS = np.array([0.02, 0.1, 0.2, 0.3, 0.4, 0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.94, 0.97])
"""The accuracies on neighbours that a reviewer may have (G)."""
PRIOR_RIGHT, PRIOR_WRONG = 6.0, 2.0
"""Beta prior on them, mean 0.75, as for labels."""
PULL = 20.0
"""Imagined reviewers who rank as assumed beforehand; with many more real ones, how alike they are is learned as well."""
MOST_ROUNDS = 30
MOST_ANSWERS = 6
"""Answers whose orders can be added up one by one."""

Votes = tuple[float, ...]
"""By pair (P) of a ranking: 1 the first is better, -1 the second, 0 a tie, nan not compared."""


@dataclass(frozen=True)
class Ranking:
    """What one reviewer said about one item."""

    item: int
    reviewer: int
    votes: Votes


@dataclass(frozen=True)
class WeighedRankings:
    """What the rankings say about the items, and about those who gave them."""

    better: Mapping[int, Numbers]
    """By item, and pair of it (P): probability that the first stands above the second."""
    posterior: Numbers
    """Of each accuracy on neighbours by reviewer (R, G)."""

    @property
    def accuracy(self) -> Numbers:
        """How often each reviewer is right about neighbours (R)."""
        return np.asarray(self.posterior @ NEIGHBOURS)

    @property
    def attention(self) -> Numbers:
        """What a vote of each reviewer for a tie or a side weighs, 0 to 1 (R)."""
        return np.asarray(self.posterior @ np.maximum(0.0, 2 * NEIGHBOURS - 1))

    def quantile(self, at: float) -> Numbers:
        """The posterior quantile of the accuracy on neighbours (R)."""
        below = (np.cumsum(self.posterior, axis=1) < at - 1e-9).sum(axis=1)
        return np.asarray(NEIGHBOURS[np.minimum(below, len(NEIGHBOURS) - 1)])


def weigh_rankings(rankings: Sequence[Ranking], *, answers: Mapping[int, int], reviewers: int) -> WeighedRankings:
    """The pairs of every ranked item. `answers`: item -> K, from 2 to 6; more raise ValueError."""
    share = _prior()
    parts = [_Part(rankings, size, items) for size, items in _by_size(answers)]
    posterior = np.tile(share, (reviewers, 1))
    common = share
    for _ in range(MOST_ROUNDS):
        before = posterior
        standing = np.tile(np.log(common), (reviewers, 1))
        for part in parts:
            np.add.at(standing, part.reviewer, part.evidence())
        posterior = normal(standing)
        common = (posterior.sum(axis=0) + PULL * share) / (reviewers + PULL)
        for part in parts:
            part.hear(standing)
        if np.abs(posterior - before).max(initial=0.0) < SETTLED:
            break
    better = {item: pairs for part in parts for item, pairs in part.better()}
    return WeighedRankings(better=better, posterior=posterior)


def _prior() -> Numbers:
    share = NEIGHBOURS ** (PRIOR_RIGHT - 1) * (1 - NEIGHBOURS) ** (PRIOR_WRONG - 1)
    # The accuracies are not evenly spaced: each stands for those nearest to it.
    share = share * np.gradient(NEIGHBOURS)
    return np.asarray(share / share.sum())


def _by_size(answers: Mapping[int, int]) -> Iterator[tuple[int, list[int]]]:
    for size in sorted(set(answers.values())):
        if not 2 <= size <= MOST_ANSWERS:
            raise ValueError(f"{size} answers ranked side by side; from 2 to {MOST_ANSWERS} can be weighed")
        yield size, [item for item, count in answers.items() if count == size]


class _Part:
    """The rankings of items with equally many answers."""

    def __init__(self, rankings: Sequence[Ranking], size: int, items: Sequence[int]) -> None:
        self.items = list(items)
        row = {item: at for at, item in enumerate(self.items)}
        mine = [ranking for ranking in rankings if ranking.item in row]
        self.item = np.array([row[ranking.item] for ranking in mine], dtype=np.intp)
        self.reviewer = np.array([ranking.reviewer for ranking in mine], dtype=np.intp)
        self.size = size
        patterns = sorted({ranking.votes for ranking in mine}, key=repr)
        alike = {pattern: at for at, pattern in enumerate(patterns)}
        which = np.array([alike[ranking.votes] for ranking in mine], dtype=np.intp)
        # Everybody who ranked alike is judged together: (rows of E, their likelihood (S, G)).
        self.alike = [(np.flatnonzero(which == at), likelihood(pattern, size)) for pattern, at in alike.items()]
        self.says = np.zeros((len(mine), len(orders(size))))
        self._say(np.tile(_prior(), (len(mine), 1)))

    def _say(self, manner: Numbers) -> None:
        for rows, table in self.alike:
            self.says[rows] = np.log(manner[rows] @ table.T)

    def _beliefs(self) -> Numbers:
        """Log-probability of each order by item (items, S), up to a constant."""
        total = np.zeros((len(self.items), self.says.shape[1]))
        np.add.at(total, self.item, self.says)
        return total

    def evidence(self) -> Numbers:
        """Log-probability of each ranking for each manner of its reviewer (E, G), judged by its item's other rankings."""
        others = normal(self._beliefs()[self.item] - self.says)
        self.told = np.zeros((len(self.item), len(NEIGHBOURS)))
        for rows, table in self.alike:
            self.told[rows] = np.log(others[rows] @ table)
        return self.told

    def hear(self, standing: Numbers) -> None:
        """Judge each ranking by its reviewer's other rankings."""
        self._say(normal(standing[self.reviewer] - self.told))

    def better(self) -> Iterator[tuple[int, Numbers]]:
        """For each item the probabilities that the first of each pair stands above the second (P)."""
        belief = normal(self._beliefs()) @ (apart(self.size) > 0)
        yield from zip(self.items, belief, strict=True)


@lru_cache(maxsize=8)
def orders(size: int) -> NDArray[np.intp]:
    """Every order of `size` answers: the place of each answer, 0 for the best (S, K)."""
    return np.array(list(permutations(range(size))), dtype=np.intp)


@lru_cache(maxsize=8)
def apart(size: int) -> NDArray[np.intp]:
    """How many places the first of each pair stands above the second, in every order (S, P)."""
    places = orders(size)
    return np.stack([places[:, second] - places[:, first] for first, second in combinations(range(size), 2)], axis=1)


@lru_cache(maxsize=8)
def _preferring(size: int) -> Numbers:
    """Log-probability of preferring an answer that stands d places above the other, for d from -(K-1) to K-1 (G, 2K-1)."""
    odds = np.log(NEIGHBOURS / (1 - NEIGHBOURS))[:, None] * np.arange(-(size - 1), size)
    # Anybody may slip: no preference is impossible.
    return np.asarray(np.log(0.98 / (1 + np.exp(-odds)) + 0.01))


def likelihood(votes: Votes, size: int) -> Numbers:
    """How well each true order explains a ranking, for each manner of its reviewer; adds up to 1 over the orders (S, G).

    By symmetry that is the probability of the ranking where it has no ties. Where it has, which answers are tied is taken as
    given: it says nothing about how often the reviewer is right. (Unless it is, one tied ranking of an item that nobody else
    ranked makes its reviewer a guesser, who gives each pair an even chance.)
    """
    preferring, distance, total = _preferring(size), apart(size), np.zeros((len(orders(size)), len(NEIGHBOURS)))
    for pair, vote in enumerate(votes):
        if vote == vote:  # not nan: compared
            forth, back = (preferring[:, sign * distance[:, pair] + size - 1].T for sign in (1, -1))
            total += (1 + vote) / 2 * forth + (1 - vote) / 2 * back
    made = np.exp(total - total.max(axis=0))
    return np.asarray(made / made.sum(axis=0))
