"""A ranking as tokens: one prompt and its different completions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Pair:
    """One judgement; `better` and `worse` are places in `Tree.branch_of`."""

    better: int
    worse: int
    reversed_probability: float
    weight: float = 1.0
    margin: float = 0.0
    """How much better at least, in rewards; for reward models alone."""


@dataclass(frozen=True, slots=True)
class Tree:
    """A prompt and K completions as tokens, after truncation."""

    name: str
    """Id of the ranking, for messages."""
    prompt: tuple[int, ...]
    """At least one token."""
    branches: tuple[tuple[int, ...], ...]
    """The different completions; each has at least one token."""
    branch_of: tuple[int, ...]
    """For each of the K completions, its branch: equal completions share one."""
    pairs: tuple[Pair, ...]
    hallucinated: tuple[bool | None, ...] = ()
    """One for each completion, or empty when nothing is known."""
    marked: tuple[tuple[bool, ...], ...] = ()
    """One for each completion, one bool for each token: it lies in a span marked as false. Empty when nothing is."""

    @property
    def tokens(self) -> int:
        """Tokens that the model computes; the last one of a completion predicts nothing and is left out."""
        return len(self.prompt) + sum(len(branch) - 1 for branch in self.branches)

    @property
    def size(self) -> int:
        """K, the completions that were compared."""
        return len(self.branch_of)


def share_branches(completions: Sequence[tuple[int, ...]]) -> tuple[tuple[tuple[int, ...], ...], tuple[int, ...]]:
    """The different completions in order of first appearance, and for each completion which of them it is."""
    place = {ids: index for index, ids in enumerate(dict.fromkeys(completions))}
    return tuple(place), tuple(place[ids] for ids in completions)


def is_cyclic(pairs: Sequence[Pair]) -> bool:
    """True when the pairs cannot come from one ranking: somebody is above himself."""
    above: dict[int, set[int]] = {}
    for pair in pairs:
        above.setdefault(pair.better, set()).add(pair.worse)
    reached = {start: set(seen) for start, seen in above.items()}
    for middle in above:
        for seen in reached.values():
            if middle in seen:
                seen |= reached[middle]
    return any(start in seen for start, seen in reached.items())


def best_completions(tree: Tree) -> tuple[int, ...]:
    """Completions that beat another and lose to none: the ones worth imitating. Several when they are tied at the top."""
    losers = {pair.worse for pair in tree.pairs}
    return tuple(sorted({pair.better for pair in tree.pairs} - losers))
