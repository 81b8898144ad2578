"""The loss of a forest: every chosen loss, weighted, normalised over the accumulation window."""

from __future__ import annotations

from collections.abc import Callable
from typing import assert_never

import torch

from alignment.ranked import listwise, pairwise
from alignment.ranked.judged import Counts, Judged, LogRatios
from alignment.ranked.packing import Forest
from alignment.ranked.settings import LossName, RankedConfig
from alignment.ranked.trees import is_cyclic


def forest_loss(settings: RankedConfig, forest: Forest, judged: Judged, ratios: LogRatios, *, beta: float,
                window: Counts) -> torch.Tensor:
    """This forest's part of the loss of its accumulation window: the parts of all forests of the window add up to it."""
    total = torch.zeros((), dtype=torch.float64, device=ratios.logps.device)
    for name, factor in settings.weighted:
        total = total + factor * _loss(name, settings, forest, judged, ratios, beta=beta, window=window)
    return total


def _loss(name: LossName, settings: RankedConfig, forest: Forest, judged: Judged, ratios: LogRatios, *, beta: float,
          window: Counts) -> torch.Tensor:
    match name:
        case "sigmoid" | "ipo" | "hinge" | "robust" | "f_dpo":
            losses = judged.weight * _of_pairs(name, settings, judged, ratios, beta=beta)
            if settings.normalisation == "prompts":
                return (losses * judged.per_prompt).sum() / max(1, window.prompts)
            return losses.sum() / max(1, window.pairs)
        case "plackett_luce":
            rankings = _of_rankings(listwise.plackett_luce, forest, judged, beta * ratios.better, acyclic=True)
            return rankings / max(1, window.rankings)
        case "lipo_lambda":
            prompts = _of_rankings(listwise.lipo_lambda, forest, judged, beta * ratios.better, acyclic=False)
            return prompts / max(1, window.prompts)
        case "sft":
            return -ratios.logps[judged.best].sum() / max(1, window.best_tokens)
        case _:
            assert_never(name)


def _of_pairs(name: LossName, settings: RankedConfig, judged: Judged, ratios: LogRatios, *, beta: float) -> torch.Tensor:
    better, worse = ratios.better[judged.better], ratios.worse[judged.worse]
    p = judged.reversed if settings.posterior else torch.zeros_like(judged.reversed)
    if name == "sigmoid":
        return pairwise.sigmoid(beta * (better - worse), p)
    if name == "hinge":
        return pairwise.hinge(beta * (better - worse), p)
    if name == "ipo":
        means = better / ratios.better_tokens[judged.better] - worse / ratios.worse_tokens[judged.worse]
        return pairwise.ipo(means, p, beta=beta)
    if name == "robust":
        return pairwise.robust(beta * (better - worse), noise_rate=settings.noise_rate)
    return pairwise.f_dpo(better - worse, judged.false[judged.better], judged.false[judged.worse],
                          judged.known[judged.better] & judged.known[judged.worse], beta=beta, margin=settings.factuality_margin)


def _of_rankings(loss: Callable[[torch.Tensor, torch.Tensor], torch.Tensor], forest: Forest, judged: Judged, s: torch.Tensor, *,
                 acyclic: bool) -> torch.Tensor:
    """Sum of a listwise loss over the forest's trees; `acyclic` leaves out those whose pairs run in a circle."""
    total = s.new_zeros(())
    for place, tree in enumerate(forest.trees):
        if tree.pairs and not (acyclic and is_cyclic(tree.pairs)):
            own = s[judged.starts[place]:judged.starts[place + 1]]
            total = total + judged.mean_weight(place) * loss(own, judged.above(place))
    return total
