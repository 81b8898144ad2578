"""The path that is right by construction: one mask over the whole row. Its memory grows with the square of the row."""

from __future__ import annotations

from typing import Any

import torch

from alignment.ranked.packing import Forest

TAKES_A_MASK_PER_LAYER_TYPE = {"qwen2", "qwen3", "gemma3_text"}
"""Model types that take a dict of masks, one for each kind of layer; the others take one mask for all layers."""


def tree_mask(forest: Forest, *, window: int | None, device: torch.device) -> torch.Tensor:
    """(1, 1, L, L) bool, True where the row's token may look: its own prompt and branch, not ahead, not past the window."""
    tree, branch = torch.tensor(forest.owners, device=device).T
    position = torch.tensor(forest.positions, device=device)
    behind = position[:, None] - position[None]
    family = (tree[:, None] == tree[None]) & ((branch[None] == 0) | (branch[:, None] == branch[None]))
    allowed = family & (behind >= 0)
    # A mask given to transformers replaces the model's sliding window, so the window has to be in it.
    return (allowed if window is None else allowed & (behind < window))[None, None]


def masks_for(config: Any, forest: Forest, device: torch.device) -> torch.Tensor | dict[str, torch.Tensor]:
    """What to hand to the model as `attention_mask`."""
    window = getattr(config, "sliding_window", None)
    if config.model_type not in TAKES_A_MASK_PER_LAYER_TYPE:
        return tree_mask(forest, window=window, device=device)
    made = {"full_attention": tree_mask(forest, window=None, device=device)}
    if "sliding_attention" in (config.layer_types or ()):
        made["sliding_attention"] = tree_mask(forest, window=window, device=device)
    return made
