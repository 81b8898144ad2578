"""A forest through the model: the log-probability of every completion token, by whichever path the model allows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.masking_utils import sdpa_mask

from alignment.ranked import attention, flex
from alignment.ranked.attention import Cuts, prefix_tree, switched
from alignment.ranked.flex import Blocks, padding_of, prefix_tree_flex
from alignment.ranked.head import Targets, TokenScores
from alignment.ranked.masks import masks_for
from alignment.ranked.packing import Forest, batches_of_similar_length
from alignment.ranked.settings import AttentionPath

IMPLEMENTATION: dict[AttentionPath, str | None] = {"split": attention.NAME, "flex": flex.NAME, "mask": "sdpa", "rows": None}


def register() -> None:
    """Make packed attention known to transformers. Ordinary calls of a switched model build the masks that SDPA needs."""
    for name, function in ((attention.NAME, prefix_tree), (flex.NAME, prefix_tree_flex)):
        AttentionInterface.register(name, function)
        AttentionMaskInterface.register(name, sdpa_mask)


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
    columns = torch.tensor(forest.sources, device=device)
    targets = Targets(rows=torch.zeros_like(columns), columns=columns, labels=torch.tensor(forest.labels, device=device),
                      one_row=True)
    return model(**packed_inputs(forest, path, config=config, device=device), targets=targets)


def packed_inputs(forest: Forest, path: AttentionPath, *, config: Any, device: torch.device) -> dict[str, Any]:
    """What a model needs to run the forest as one row by the split, the flex or the mask path."""
    spare = [0] * (padding_of(len(forest.input_ids)) if path == "flex" else 0)
    row = {"input_ids": torch.tensor([forest.input_ids + spare], device=device),
           "position_ids": torch.tensor([forest.positions + spare], device=device)}
    if path == "mask":
        return row | {"attention_mask": masks_for(config, forest, device)}
    # Any 4D mask is taken as it is. Without one, transformers reads falling positions as packed rows and builds its own.
    nothing = torch.ones(1, 1, 1, 1, dtype=torch.bool, device=device)
    seen: dict[str, Any] = {"blocks": Blocks(forest, device)} if path == "flex" else {"cuts": Cuts(forest.trunks)}
    return row | {"attention_mask": nothing} | seen


def _score_rows(model: Any, forest: Forest, *, device: torch.device, budget: int) -> TokenScores:
    """The same, each branch as an ordinary padded row of its own: works for any causal model."""
    sequences, lengths = forest.sequences, forest.branch_lengths
    batches = batches_of_similar_length([len(ids) for ids in sequences], budget)
    parts = []
    for batch in batches:
        ids, seen = padded([sequences[i] for i in batch])
        targets = _row_targets([len(sequences[i]) for i in batch], [lengths[i] for i in batch], ids)
        parts.append(model(input_ids=ids.to(device), attention_mask=seen.to(device), targets=_on(targets, device)))
    return _in_order(TokenScores.joined(parts), [i for batch in batches for i in batch], lengths)


def padded(sequences: Sequence[tuple[int, ...]]) -> tuple[torch.Tensor, torch.Tensor]:
    """(ids, attention mask), padded on the right."""
    width = max(map(len, sequences))
    ids = torch.zeros(len(sequences), width, dtype=torch.long)
    seen = torch.zeros_like(ids)
    for line, own in enumerate(sequences):
        ids[line, :len(own)] = torch.tensor(own)
        seen[line, :len(own)] = 1
    return ids, seen


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
