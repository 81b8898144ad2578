"""Reviewers who agree more often than what they rate explains: they copy, or are one person.

Two reviewers who judge for themselves agree where both are right, and now and then where both are wrong. Given the truths
and either one's manner, the number of agreements has a known mean and variance; far above it, something else is at work.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np

from feedback.aggregation.questions import Asked
from feedback.ids import ReviewerId

FEWEST_SHARED = 15
"""Answers that both rated, below which nothing is said."""
STANDARD_ERRORS = 4.0
"""Above the expected number of agreements: with 50 reviewers chance alone goes there in one panel of 25."""
MUCH = 0.1
"""Share of the answers by which agreement exceeds what is expected: who are nearly always right agree nearly always."""


@dataclass(frozen=True, slots=True)
class Clique:
    """Two or more reviewers linked by agreement beyond chance."""

    reviewers: tuple[ReviewerId, ...]
    shared: int
    """Pairs of ratings compared."""
    agreed: int
    expected: float
    """Agreements, had each judged alone."""


def cliques(asked: Asked) -> list[Clique]:
    """Groups of reviewers whose verdicts agree beyond what the truths explain, sorted."""
    said = {reviewer: {asked.row[completion]: asked.question.scale.index(values[reviewer])
                       for completion, values in asked.by.items() if reviewer in values} for reviewer in asked.column}
    tables = np.tensordot(asked.weighed.posterior, asked.weighed.manners.table, axes=1)
    links = [link for one, other in combinations(sorted(said), 2)
             if (link := _link(one, other, said, tables[[asked.column[one], asked.column[other]]], asked.weighed.truth))]
    return [_united(group, links) for group in _groups(links)]


def _link(one: ReviewerId, other: ReviewerId, said: dict[ReviewerId, dict[int, int]], tables: np.ndarray,
          truth: np.ndarray) -> Clique | None:
    shared = sorted(said[one].keys() & said[other].keys())
    if len(shared) < FEWEST_SHARED:
        return None
    same = np.einsum("zk,zk->z", tables[0], tables[1])
    chance = np.clip(truth[shared] @ same, 1e-6, 1 - 1e-6)
    agreed = sum(said[one][item] == said[other][item] for item in shared)
    far = (agreed - chance.sum()) / np.sqrt((chance * (1 - chance)).sum())
    if far < STANDARD_ERRORS or agreed < chance.sum() + MUCH * len(shared):
        return None
    return Clique(reviewers=(one, other), shared=len(shared), agreed=agreed, expected=float(chance.sum()))


def _groups(links: list[Clique]) -> list[set[ReviewerId]]:
    groups: list[set[ReviewerId]] = []
    for link in links:
        touched = [group for group in groups if group & set(link.reviewers)]
        groups = [group for group in groups if group not in touched] + [set(link.reviewers).union(*touched)]
    return sorted(groups, key=sorted)


def _united(group: set[ReviewerId], links: list[Clique]) -> Clique:
    own = [link for link in links if set(link.reviewers) <= group]
    return Clique(reviewers=tuple(sorted(group)), shared=sum(link.shared for link in own),
                  agreed=sum(link.agreed for link in own), expected=sum(link.expected for link in own))
