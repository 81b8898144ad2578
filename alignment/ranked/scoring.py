"""A forest through the model: the log-probability of every completion token, by whichever path the model allows."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from alignment.ranked.attention import NAME, Cuts, register, switched
from alignment.ranked.head import Targets, TokenScores
from alignment.ranked.masks import masks_for
from alignment.ranked.packing import Forest, batches_of_similar_length
from alignment.ranked.settings import AttentionPath

IMPLEMENTATION: dict[AttentionPath, str | None] = {"split": NAME, "mask": "sdpa", "rows": None}


@contextmanager
def using(model: Any, path: AttentionPath) -> Iterator[None]:
    """The model computes attention as `path` needs it. Hold it around forward and backward."""
    register()
    name = IMPLEMENTATION[path]
    if name is None:
        yield
        return
    with switched(model, name):
        yield


def score(model: Any, forest: Forest, path: AttentionPath, *, config: Any, device: torch.device, budget: int) -> TokenScores:
    """Scores of the forest's completion tokens, branch by branch. `config` is the model's text config."""
    if path == "rows":
        return _score_rows(model, forest, device=device, budget=budget)
    row = torch.tensor([forest.input_ids], device=device)
    columns = torch.tensor(forest.sources, device=device)
    targets = Targets(rows=torch.zeros_like(columns), columns=columns, labels=torch.tensor(forest.labels, device=device))
    positions = torch.tensor([forest.positions], device=device)
    if path == "mask":
        return model(input_ids=row, position_ids=positions, attention_mask=masks_for(config, forest, device), targets=targets)
    # Any 4D mask is taken as it is. Without one, transformers reads falling positions as packed rows and builds its own.
    nothing = torch.ones(1, 1, 1, 1, dtype=torch.bool, device=device)
    return model(input_ids=row, position_ids=positions, attention_mask=nothing, cuts=Cuts(forest.trunks), targets=targets)


def _score_rows(model: Any, forest: Forest, *, device: torch.device, budget: int) -> TokenScores:
    """The same, each branch as an ordinary padded row of its own: works for any causal model."""
    sequences, lengths = forest.sequences, forest.branch_lengths
    batches = batches_of_similar_length([len(ids) for ids in sequences], budget)
    parts = []
    for batch in batches:
        width = max(len(sequences[i]) for i in batch)
        ids = torch.zeros(len(batch), width, dtype=torch.long)
        seen = torch.zeros(len(batch), width, dtype=torch.long)
        for line, index in enumerate(batch):
            ids[line, :len(sequences[index])] = torch.tensor(sequences[index])
            seen[line, :len(sequences[index])] = 1
        targets = _row_targets([len(sequences[i]) for i in batch], [lengths[i] for i in batch], ids)
        parts.append(model(input_ids=ids.to(device), attention_mask=seen.to(device), targets=_on(targets, device)))
    return _in_order(TokenScores.joined(parts), [i for batch in batches for i in batch], lengths)


def _row_targets(widths: list[int], completions: list[int], ids: torch.Tensor) -> Targets:
    rows = torch.tensor([line for line, count in enumerate(completions) for _ in range(count)])
    columns = torch.tensor([place for width, count in zip(widths, completions, strict=True)
                            for place in range(width - count - 1, width - 1)])
    return Targets(rows=rows, columns=columns, labels=ids[rows, columns + 1])


def _on(targets: Targets, device: torch.device) -> Targets:
    return Targets(rows=targets.rows.to(device), columns=targets.columns.to(device), labels=targets.labels.to(device))


def _in_order(scores: TokenScores, order: list[int], lengths: list[int]) -> TokenScores:
    """Undo the sorting by length: `order` names the branch of each stretch of tokens."""
    starts, start = {}, 0
    for branch in order:
        starts[branch] = start
        start += lengths[branch]
    places = torch.tensor([starts[branch] + i for branch, count in enumerate(lengths) for i in range(count)],
                          device=scores.logps.device)
    return TokenScores(scores.logps[places], scores.entropy[places], scores.mean_logit[places], scores.is_top[places])
