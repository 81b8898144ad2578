"""The judgements of a forest as tensors, and the log-ratios that they are about.

Completions C run over the forest tree by tree, as they were compared; equal ones share a branch and stand here twice.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from alignment.ranked.packing import Forest
from alignment.ranked.trees import best_completions, is_cyclic


@dataclass(frozen=True)
class Judged:
    """Tensors over pairs P and completions C of a forest."""

    better: torch.Tensor
    """(P,) place in C."""
    worse: torch.Tensor
    reversed: torch.Tensor
    """(P,) float64, probability that the pair is the other way round."""
    weight: torch.Tensor
    """(P,) float64."""
    margin: torch.Tensor
    """(P,) float64, how much better at least."""
    per_prompt: torch.Tensor
    """(P,) float64, 1/C(K,2) of the pair's ranking."""
    false: torch.Tensor
    """(C,) bool, states something false."""
    known: torch.Tensor
    """(C,) bool, whether it does is known."""
    best: torch.Tensor
    """Places of completions worth imitating."""
    starts: tuple[int, ...]
    """First place of each tree, and the end."""
    branch: tuple[int, ...]
    """Branch of each completion, counted over the forest."""

    @classmethod
    def of(cls, forest: Forest, device: torch.device) -> Judged:
        """From the trees."""
        starts, branch, first = [0], [], 0
        for tree in forest.trees:
            starts.append(starts[-1] + tree.size)
            branch += [first + own for own in tree.branch_of]
            first += len(tree.branches)
        rows = [(start + pair.better, start + pair.worse, pair.reversed_probability, pair.weight, pair.margin,
                 2 / tree.size / (tree.size - 1))
                for start, tree in zip(starts, forest.trees, strict=False) for pair in tree.pairs]
        flags = [flag for tree in forest.trees for flag in tree.hallucinated or (None,) * tree.size]
        best = [start + place for start, tree in zip(starts, forest.trees, strict=False) for place in best_completions(tree)]
        better, worse, reverse, weight, margin, per_prompt = zip(*rows, strict=True) if rows else ((),) * 6

        def numbers(values: tuple[float, ...]) -> torch.Tensor:
            return torch.tensor(values, dtype=torch.float64, device=device)

        def places(values: tuple[int, ...] | list[int]) -> torch.Tensor:
            return torch.tensor(values, dtype=torch.long, device=device)

        return cls(places(better), places(worse), numbers(reverse), numbers(weight), numbers(margin), numbers(per_prompt),
                   torch.tensor([flag is True for flag in flags], device=device),
                   torch.tensor([flag is not None for flag in flags], device=device), places(best), tuple(starts), tuple(branch))

    def above(self, tree: int) -> torch.Tensor:
        """(K, K) bool for one tree: i is recorded above j."""
        start, end = self.starts[tree], self.starts[tree + 1]
        own = (self.better >= start) & (self.better < end)
        made = torch.zeros(end - start, end - start, dtype=torch.bool, device=self.better.device)
        made[self.better[own] - start, self.worse[own] - start] = True
        return made

    def mean_weight(self, tree: int) -> torch.Tensor:
        """Mean weight of the tree's pairs: what the whole ranking counts."""
        own = (self.better >= self.starts[tree]) & (self.better < self.starts[tree + 1])
        return self.weight[own].mean()


@dataclass(frozen=True)
class LogRatios:
    """Log pi - log pi_ref of each completion C, float64, as it counts when it is the better and when it is the worse one."""

    better: torch.Tensor
    worse: torch.Tensor
    better_tokens: torch.Tensor
    """Tokens counted, at least 1."""
    worse_tokens: torch.Tensor
    logps: torch.Tensor
    """(C,) log pi of the whole completion."""
    tokens: torch.Tensor

    @classmethod
    def of(cls, logps: torch.Tensor, reference: torch.Tensor, forest: Forest, judged: Judged, *, span_mask: bool) -> LogRatios:
        """From per-token log-probabilities T, summed in float64.

        With `span_mask`, marked tokens count for the worse one alone, and they alone when there are any.
        """
        lengths = forest.branch_lengths
        per_branch = logps.double().split(lengths)
        ratios = [own - ref for own, ref in zip(per_branch, reference.double().split(lengths), strict=True)]
        sums = torch.stack([own.sum() for own in per_branch])
        chosen = [ratios[b] for b in judged.branch]
        rejected = chosen
        if span_mask:
            marks = [torch.tensor(m, device=logps.device) for tree in forest.trees for m in tree.marked or ((),) * tree.size]
            chosen = [own[~m] if len(m) else own for own, m in zip(chosen, marks, strict=True)]
            rejected = [own[m] if len(m) and m.any() else own for own, m in zip(rejected, marks, strict=True)]

        def counts(parts: list[torch.Tensor]) -> torch.Tensor:
            return torch.tensor([max(1, len(part)) for part in parts], dtype=torch.float64, device=logps.device)

        branch = torch.tensor(judged.branch, device=logps.device)
        return cls(torch.stack([part.sum() for part in chosen]), torch.stack([part.sum() for part in rejected]),
                   counts(chosen), counts(rejected), sums[branch],
                   torch.tensor(lengths, dtype=torch.float64, device=logps.device)[branch])


@dataclass(frozen=True)
class Counts:
    """What an accumulation window is normalised by."""

    pairs: float
    prompts: float
    rankings: float
    """Prompts whose pairs form a ranking: what Plackett-Luce can be asked about."""
    best_tokens: float

    @classmethod
    def of(cls, forest: Forest) -> Counts:
        """Of one forest."""
        best = sum(len(tree.branches[tree.branch_of[place]]) for tree in forest.trees for place in best_completions(tree))
        judged = [tree for tree in forest.trees if tree.pairs]
        return cls(sum(len(tree.pairs) for tree in judged), len(judged), sum(not is_cyclic(tree.pairs) for tree in judged), best)

    def as_list(self) -> list[float]:
        """In the order of the fields."""
        return [self.pairs, self.prompts, self.rankings, self.best_tokens]
