"""What a policy says of completions, outside of training: one forward per prompt, whatever trained it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from accelerate.utils import is_peft_model

from alignment.ranked.head import add_branch_head
from alignment.ranked.packing import Forest, fill
from alignment.ranked.scoring import score, using
from alignment.ranked.settings import RankedConfig
from alignment.ranked.support import choose
from alignment.ranked.trees import Tree

MARK = "scores_branches"
"""Attribute of a model whose forward can return the scores of completions already."""


@torch.no_grad()
def completion_logps(model: Any, trees: Sequence[Tree], *, budget: int = 8192) -> list[list[float]]:
    """The log-probability of each branch of each tree in nats, summed in float64, by the adapter that is in use.

    The model is left in the mode that it was in.
    """
    plain = model.get_base_model() if is_peft_model(model) else model
    if not getattr(plain, MARK, False):
        add_branch_head(plain)
        setattr(plain, MARK, True)
    device, config, was_training = next(model.parameters()).device, plain.config.get_text_config(), model.training
    model.eval()
    path = choose(model, RankedConfig(), device=device).path
    found: list[list[float]] = [[] for _ in trees]
    try:
        with using(plain, path):
            for group in fill([tree.tokens for tree in trees], budget):
                forest = Forest(tuple(trees[i] for i in group))
                scores = score(model, forest, path, config=config, device=device, budget=budget)
                sums = iter([own.sum().item() for own in scores.logps.double().split(forest.branch_lengths)])
                for i in group:
                    found[i] = [next(sums) for _ in trees[i].branches]
    finally:
        model.train(was_training)
    return found
