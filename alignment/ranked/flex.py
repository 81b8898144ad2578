"""The GPU path: FlexAttention over the packed row, with a block mask that says who sees whom.

Compiled once for all lengths, and rows padded to whole blocks: otherwise every new length would compile for seconds. On a CPU
it has no backward pass; what it computes forward is tested there.
"""

from __future__ import annotations

import functools
from typing import Any

import torch
from torch.nn.attention.flex_attention import BlockMask, create_block_mask, flex_attention
from transformers.integrations.sdpa_attention import sdpa_attention_forward

from alignment.ranked.attention import refuse_strange
from alignment.ranked.packing import BLOCK, Forest

NAME = "prefix_tree_flex"
PADDING = -1
"""Tree of a padding token, which sees nobody but itself."""


class Blocks:
    """Who sees whom in one padded row: one block mask for each sliding window, shared by all layers of one forward."""

    def __init__(self, forest: Forest, device: torch.device) -> None:
        owners = torch.tensor(forest.owners, device=device)
        spare = padding_of(len(owners))
        self.tree = torch.nn.functional.pad(owners[:, 0], (0, spare), value=PADDING)
        self.branch = torch.nn.functional.pad(owners[:, 1], (0, spare))
        self.position = torch.nn.functional.pad(torch.tensor(forest.positions, device=device), (0, spare))
        self._masks: dict[int | None, BlockMask] = {}

    def mask(self, window: int | None) -> BlockMask:
        """The mask for layers with this window."""
        if window not in self._masks:
            length = len(self.tree)
            self._masks[window] = create_block_mask(self._rule(window), None, None, length, length, device=str(self.tree.device),
                                                    BLOCK_SIZE=BLOCK)
        return self._masks[window]

    def _rule(self, window: int | None) -> Any:
        tree, branch, position = self.tree, self.branch, self.position

        def sees(_batch: torch.Tensor, _head: torch.Tensor, query: torch.Tensor, key: torch.Tensor) -> torch.Tensor:
            behind = position[query] - position[key]
            related = (tree[query] == tree[key]) & ((branch[key] == 0) | (branch[query] == branch[key]))
            allowed = related & (behind >= 0) & (tree[query] != PADDING)
            return (allowed if window is None else allowed & (behind < window)) | (query == key)

        return sees


def padding_of(length: int) -> int:
    """Tokens that fill the last block."""
    return -length % BLOCK


@functools.cache
def _kernel(device_type: str) -> Any:
    return torch.compile(flex_attention, dynamic=True) if device_type == "cuda" else flex_attention


def prefix_tree_flex(module: torch.nn.Module, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor,
                     attention_mask: torch.Tensor | None, scaling: float | None = None, dropout: float = 0.0,
                     sliding_window: int | None = None, blocks: Blocks | None = None, **others: Any) -> tuple[torch.Tensor, None]:
    """Attention of one padded row (1, heads, L, d); without `blocks` it is ordinary SDPA."""
    if blocks is None:
        found: tuple[torch.Tensor, None] = sdpa_attention_forward(module, query, key, value, attention_mask, dropout=dropout,
                                                                  scaling=scaling, sliding_window=sliding_window, **others)
        return found
    refuse_strange(others | ({"dropout": dropout} if dropout else {}))
    output = _kernel(query.device.type)(query, key, value, block_mask=blocks.mask(sliding_window), scale=scaling,
                                        enable_gqa=query.shape[1] != key.shape[1])
    return output.transpose(1, 2).contiguous(), None


@functools.cache
def obstacle_on(device: torch.device) -> str | None:
    """Why FlexAttention cannot train on this device, found out by a small step; None when it can."""
    if device.type != "cuda":
        return f"FlexAttention has no backward pass on a {device.type}"
    query = torch.randn(1, 2, BLOCK, 64, device=device, dtype=torch.bfloat16, requires_grad=True)
    mask = create_block_mask(lambda b, h, q, k: q >= k, None, None, BLOCK, BLOCK, device=str(device), BLOCK_SIZE=BLOCK)
    try:
        output = _kernel("cuda")(query, query, query, block_mask=mask)
        output.float().sum().backward()
    # Without Triton, without a compiler or on an old card each library raises something else.
    except (RuntimeError, ImportError, NotImplementedError, AssertionError, OSError) as error:
        return f"FlexAttention does not run here ({str(error).strip().splitlines()[0]})"
    expected = torch.nn.functional.scaled_dot_product_attention(query, query, query, is_causal=True)
    gap = (output - expected).abs().max().item()
    return None if gap < 0.05 else f"FlexAttention gives other numbers than SDPA here, by {gap:.2g}"
