"""Trees into rows: a forest is one row that holds several trees end to end, without a padding token in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from alignment.ranked.trees import Tree


@dataclass(frozen=True, slots=True)
class Trunk:
    """Where one tree lies in a row: its prompt, then its branches one after another."""

    start: int
    prompt: int
    """Tokens of the prompt."""
    branches: tuple[int, ...]
    """Tokens of each branch in the row; 0 for a completion of one token, which the prompt's last token predicts."""

    @property
    def length(self) -> int:
        """Tokens of the whole tree."""
        return self.prompt + sum(self.branches)


@dataclass(frozen=True)
class Forest:
    """Trees laid out in one row. All index lists run over completion tokens T, branch by branch."""

    trees: tuple[Tree, ...]
    whole: bool = False
    """True keeps each branch's last token, which predicts nothing but carries a reward."""

    @property
    def _dropped(self) -> int:
        return 0 if self.whole else 1

    @cached_property
    def trunks(self) -> tuple[Trunk, ...]:
        """Where each tree lies."""
        made, start = [], 0
        for tree in self.trees:
            made.append(Trunk(start, len(tree.prompt), tuple(len(branch) - self._dropped for branch in tree.branches)))
            start += made[-1].length
        return tuple(made)

    @cached_property
    def input_ids(self) -> list[int]:
        """The row: each prompt once, each branch without its last token unless it is kept whole."""
        return [token for tree in self.trees
                for part in (tree.prompt, *(branch[:len(branch) - self._dropped] for branch in tree.branches)) for token in part]

    @cached_property
    def positions(self) -> list[int]:
        """Position of each token in its own conversation: every branch goes on where the prompt ends."""
        return [place for trunk in self.trunks for first, count in _parts(trunk) for place in range(first, first + count)]

    @cached_property
    def owners(self) -> list[tuple[int, int]]:
        """(tree, branch from 1) of each token; branch 0 is the prompt."""
        return [(index, part) for index, trunk in enumerate(self.trunks)
                for part, (_, count) in enumerate(_parts(trunk)) for _ in range(count)]

    @cached_property
    def sources(self) -> list[int]:
        """For each completion token, where in the row it is predicted."""
        found: list[int] = []
        for trunk in self.trunks:
            last, start = trunk.start + trunk.prompt - 1, trunk.start + trunk.prompt
            for count in trunk.branches:
                found += [last, *range(start, start + count)][:count + self._dropped]
                start += count
        return found

    @cached_property
    def labels(self) -> list[int]:
        """The completion tokens themselves."""
        return [token for tree in self.trees for branch in tree.branches for token in branch]

    @cached_property
    def branch_lengths(self) -> list[int]:
        """Completion tokens of each branch."""
        return [len(branch) for tree in self.trees for branch in tree.branches]

    def ends(self, pad: int | None) -> list[int]:
        """For each branch of a whole forest, where its last token that is not `pad` lies in the row."""
        found: list[int] = []
        for tree, trunk in zip(self.trees, self.trunks, strict=True):
            start = trunk.start + trunk.prompt
            for branch in tree.branches:
                found.append(start + last_place(branch, pad))
                start += len(branch)
        return found

    @property
    def sequences(self) -> list[tuple[int, ...]]:
        """Each branch as an ordinary row of its own: prompt and completion."""
        return [tree.prompt + branch for tree in self.trees for branch in tree.branches]


def _parts(trunk: Trunk) -> list[tuple[int, int]]:
    """(first position, tokens) of the prompt and of each branch."""
    return [(0, trunk.prompt), *((trunk.prompt, count) for count in trunk.branches)]


def last_place(branch: Sequence[int], pad: int | None) -> int:
    """Place of the last token that is not `pad`, where transformers reads a reward; the last one if all are."""
    return next((place for place in range(len(branch) - 1, -1, -1) if branch[place] != pad), len(branch) - 1)


def fill(lengths: Sequence[int], budget: int) -> list[list[int]]:
    """Indices into `lengths`, grouped so that each group's sum fits the budget: first fit, longest first.

    What alone exceeds the budget stands alone. Order within and between groups depends on the lengths only.
    """
    groups: list[list[int]] = []
    room: list[int] = []
    for index in sorted(range(len(lengths)), key=lambda i: (-lengths[i], i)):
        place = next((g for g, free in enumerate(room) if free >= lengths[index]), None)
        if place is None:
            groups.append([])
            room.append(budget)
            place = len(groups) - 1
        groups[place].append(index)
        room[place] -= lengths[index]
    return [sorted(group) for group in groups]


def pack(trees: Sequence[Tree], budget: int) -> list[Forest]:
    """The trees as rows of at most `budget` tokens each, where a tree allows it."""
    return [Forest(tuple(trees[i] for i in group)) for group in fill([tree.tokens for tree in trees], budget)]


def tokens_of(trees: Sequence[Tree], path: str, budget: int) -> tuple[int, int]:
    """(useful tokens, computed tokens) of one pass over the trees.

    Packed rows hold no padding. By separate rows every answer repeats its prompt, which is of use there, and is padded.
    """
    if path == "flex":
        rows = [len(forest.input_ids) for forest in pack(trees, budget)]
        return sum(rows), sum(-(-length // BLOCK) * BLOCK for length in rows)
    if path != "rows":
        useful = sum(tree.tokens for tree in trees)
        return useful, useful
    lengths = [len(ids) for ids in Forest(tuple(trees)).sequences]
    batches = batches_of_similar_length(lengths, budget)
    return sum(lengths), sum(len(batch) * max(lengths[i] for i in batch) for batch in batches)


BLOCK = 128
"""FlexAttention works in blocks of so many tokens; rows for it are padded to a multiple."""
MOST_PADDING = 0.1
"""Share of a padded batch that may be padding."""


def batches_of_similar_length(lengths: Sequence[int], budget: int) -> list[list[int]]:
    """Indices for padded batches of at most `budget` tokens, padding included, of which at most a tenth is padding."""
    made: list[list[int]] = []
    useful = longest = 0
    for index in sorted(range(len(lengths)), key=lambda i: (-lengths[i], i)):
        computed = longest * (len(made[-1]) + 1) if made else 0
        if not made or computed > budget or useful + lengths[index] < (1 - MOST_PADDING) * computed:
            made.append([])
            useful, longest = 0, lengths[index]
        made[-1].append(index)
        useful += lengths[index]
    return made
