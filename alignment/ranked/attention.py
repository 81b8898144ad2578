"""The fast path: attention cut along the tree, so that no mask over the row is ever built.

A prompt attends to itself once for all its completions; each completion attends to the prompt and to itself. Where a
layer has a sliding window it cuts both, by position in the conversation rather than by place in the row.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
import torch.nn.functional as functional
from transformers.integrations.sdpa_attention import sdpa_attention_forward

from alignment.ranked.packing import Trunk
from alignment.ranked.two_parts import TwoParts, usable

NAME = "prefix_tree"
HARMLESS = {"position_ids", "use_cache", "is_causal", "cache_position", "output_attentions", "output_hidden_states",
            "return_dict", "past_key_values", "logits_to_keep"}
"""Arguments that some models hand to attention and that change nothing here."""


class Cuts:
    """Where the trees of a row lie, and the small masks of their branches, shared by all layers of one forward."""

    def __init__(self, trunks: tuple[Trunk, ...]) -> None:
        self.trunks = trunks
        self.longest = max(trunk.prompt + max(trunk.branches, default=0) for trunk in trunks)
        """Tokens of the longest conversation in the row."""
        self._masks: dict[tuple[int, int, int | None], torch.Tensor] = {}

    def mask(self, queries: int, keys: int, window: int | None, device: torch.device) -> torch.Tensor:
        """(queries, keys) bool: the queries are the last of the keys, each sees `window` positions back and none ahead."""
        made = self._masks.get((queries, keys, window))
        if made is None:
            behind = torch.arange(keys - queries, keys, device=device)[:, None] - torch.arange(keys, device=device)[None]
            made = (behind >= 0) if window is None else (behind >= 0) & (behind < window)
            self._masks[queries, keys, window] = made
        return made


def prefix_tree(module: torch.nn.Module, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor,
                attention_mask: torch.Tensor | None, scaling: float | None = None, dropout: float = 0.0,
                sliding_window: int | None = None, cuts: Cuts | None = None, **others: Any) -> tuple[torch.Tensor, None]:
    """Attention of one packed row (1, heads, L, d); without `cuts` it is ordinary SDPA, so that generation still works."""
    if cuts is None:
        return sdpa_attention_forward(module, query, key, value, attention_mask, dropout=dropout, scaling=scaling,
                                      sliding_window=sliding_window, **others)
    refuse_strange(others)
    groups = query.shape[1] // key.shape[1]
    if groups > 1:
        key, value = key.repeat_interleave(groups, 1), value.repeat_interleave(groups, 1)
    if usable(query, sliding_window, cuts.longest, dropout):
        return TwoParts.apply(query, key, value, cuts.trunks, scaling).transpose(1, 2), None
    outputs = [part for trunk in cuts.trunks
               for part in _attend(trunk, query, key, value, cuts=cuts, window=sliding_window, scale=scaling, dropout=dropout)]
    return torch.cat(outputs, 2).transpose(1, 2), None


def refuse_strange(others: Mapping[str, Any]) -> None:
    """Raise NotImplementedError for arguments of a model's attention that packed attention would leave out."""
    strange = sorted(name for name, given in others.items() if given is not None and name not in HARMLESS)
    if strange:
        raise NotImplementedError(f"this model's attention uses {', '.join(strange)}, which packed attention does not know")


def _attend(trunk: Trunk, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, *, cuts: Cuts, window: int | None,
            scale: float | None, dropout: float) -> Iterator[torch.Tensor]:
    """The outputs of one tree in row order: its prompt, then each branch."""
    def part(tensor: torch.Tensor, start: int, count: int) -> torch.Tensor:
        return tensor[:, :, start:start + count]

    prompt = trunk.start, trunk.prompt
    yield _causal(part(query, *prompt), part(key, *prompt), part(value, *prompt), cuts=cuts, window=window, scale=scale,
                  dropout=dropout)
    # A branch's first token stands right after the prompt and sees window - 1 positions back: earlier keys are cut off.
    seen = trunk.prompt if window is None else min(trunk.prompt, window - 1)
    tail = trunk.start + trunk.prompt - seen, seen
    start = trunk.start + trunk.prompt
    for count in trunk.branches:
        if count == 0:
            continue
        keys = torch.cat([part(key, *tail), part(key, start, count)], 2)
        values = torch.cat([part(value, *tail), part(value, start, count)], 2)
        yield _causal(part(query, start, count), keys, values, cuts=cuts, window=window, scale=scale, dropout=dropout)
        start += count


def _causal(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, *, cuts: Cuts, window: int | None,
            scale: float | None, dropout: float) -> torch.Tensor:
    """SDPA where the queries are the last of the keys."""
    queries, keys = query.shape[2], key.shape[2]
    reach = None if window is None or window >= keys else window
    mask = None if queries == keys and reach is None else cuts.mask(queries, keys, reach, query.device)
    return functional.scaled_dot_product_attention(query, key, value, attn_mask=mask, dropout_p=dropout, scale=scale,
                                                   is_causal=mask is None)


@contextmanager
def switched(model: Any, name: str) -> Iterator[None]:
    """The model's attention is `name` inside. Keep it around the backward pass too: checkpointing runs layers again there."""
    config = model.config.get_text_config()
    before = config._attn_implementation
    config._attn_implementation = name
    try:
        yield
    finally:
        config._attn_implementation = before
