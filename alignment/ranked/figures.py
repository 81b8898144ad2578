"""What a training step reports, under TRL's names: means over pairs, and over tokens of the pairs' completions."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from alignment.ranked.head import TokenScores
from alignment.ranked.judged import Judged, LogRatios
from alignment.ranked.packing import Forest

Sums = dict[str, tuple[float, float]]
"""Name -> (sum, count)."""


@torch.no_grad()
def forest_figures(forest: Forest, scores: TokenScores, judged: Judged, ratios: LogRatios, *, beta: float) -> Sums:
    """The sums and counts of one forest. A completion counts once in every pair that it stands in, as in expanded pairs."""
    better, worse = judged.better, judged.worse
    chosen, rejected = beta * ratios.better[better], beta * ratios.worse[worse]
    lengths = torch.tensor(forest.branch_lengths, device=better.device)
    owner = torch.repeat_interleave(torch.arange(len(lengths), device=better.device), lengths)
    branch = torch.tensor(judged.branch, device=better.device)

    def of_completions(values: torch.Tensor) -> torch.Tensor:
        summed = torch.zeros(len(lengths), dtype=torch.float64, device=values.device)
        return summed.index_add_(0, owner, values.double())[branch]

    entropy, logit, top = map(of_completions, (scores.entropy, scores.mean_logit, scores.is_top))
    pairs = [("rewards/chosen", chosen), ("rewards/rejected", rejected), ("rewards/accuracies", chosen > rejected),
             ("rewards/margins", chosen - rejected), ("logps/chosen", ratios.logps[better]),
             ("logps/rejected", ratios.logps[worse])]
    tokens = [("entropy", torch.cat([entropy[better], entropy[worse]]), torch.cat([better, worse])),
              ("logits/chosen", logit[better], better), ("logits/rejected", logit[worse], worse),
              ("mean_token_accuracy", top[better], better)]
    return {name: (values.double().sum().item(), len(values)) for name, values in pairs} | {
        name: (values.sum().item(), ratios.tokens[places].sum().item()) for name, values, places in tokens}


def added(first: Sums, second: Sums) -> Sums:
    """Both together."""
    return {name: (first.get(name, (0, 0))[0] + total, first.get(name, (0, 0))[1] + count)
            for name, (total, count) in second.items()}


def means(sums: Sums) -> Iterator[tuple[str, float]]:
    """The mean of each figure that has anything to count."""
    for name, (total, count) in sums.items():
        if count:
            yield name, total / count
