"""Attention of a tree without a mask and without a copy of the prompt: each branch in two parts, joined by their normalisers.

All branches look at the prompt at once, nothing hidden from them; each looks at itself causally. With the log of the sum of
exponentials of either part, the whole is their mean weighted by it, and so is its gradient: the backward kernel is given the
output and the normaliser of the whole (as ring attention does, Liu et al. 2023). For CPUs; GPUs have FlexAttention.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from alignment.ranked.packing import Trunk

EXACT = {torch.float32, torch.float64}
"""In fewer bits either part would be rounded before they are joined."""


def usable(query: torch.Tensor, window: int | None, longest: int, dropout: float) -> bool:
    """True where the parts may be taken: on a CPU, exact, nothing cut off by a sliding window."""
    return (query.device.type == "cpu" and query.dtype in EXACT and dropout == 0 and (window is None or window >= longest)
            and hasattr(torch.ops.aten, "_scaled_dot_product_flash_attention_for_cpu"))


class TwoParts(torch.autograd.Function):
    """(1, heads, L, d) attention of a packed row, the same number of heads in all three."""

    @staticmethod
    def forward(ctx: Any, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, trunks: Sequence[Trunk],
                scale: float | None) -> torch.Tensor:
        output, normaliser = torch.empty_like(query), query.new_empty(query.shape[:3])

        def attend(queries: slice, keys: slice, *, causal: bool) -> tuple[torch.Tensor, torch.Tensor]:
            found: tuple[torch.Tensor, torch.Tensor] = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(
                query[:, :, queries], key[:, :, keys], value[:, :, keys], 0.0, causal, scale=scale)
            return found

        for trunk in trunks:
            prompt, branches, parts = _slices(trunk)
            output[:, :, prompt], normaliser[:, :, prompt] = attend(prompt, prompt, causal=True)
            if not parts:
                continue
            of_prompt, first = attend(branches, prompt, causal=False)
            own, second = (torch.cat(both, 2) for both in zip(*(attend(part, part, causal=True) for part in parts), strict=True))
            normaliser[:, :, branches] = whole = torch.logaddexp(first, second)
            output[:, :, branches] = torch.lerp(own, of_prompt, (first - whole).exp_()[..., None])
        ctx.save_for_backward(query, key, value, output, normaliser)
        ctx.trunks, ctx.scale = trunks, scale
        return output

    @staticmethod
    def backward(ctx: Any, upstream: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        query, key, value, output, normaliser = ctx.saved_tensors
        to_query, to_key, to_value = map(torch.empty_like, (query, key, value))

        def pull(queries: slice, keys: slice, *, causal: bool) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
            found: tuple[torch.Tensor, torch.Tensor, torch.Tensor] = (
                torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward(
                    upstream[:, :, queries], query[:, :, queries], key[:, :, keys], value[:, :, keys], output[:, :, queries],
                    normaliser[:, :, queries], 0.0, causal, scale=ctx.scale))
            return found

        for trunk in ctx.trunks:
            prompt, branches, parts = _slices(trunk)
            to_query[:, :, prompt], to_key[:, :, prompt], to_value[:, :, prompt] = pull(prompt, prompt, causal=True)
            if not parts:
                continue
            to_query[:, :, branches], of_keys, of_values = pull(branches, prompt, causal=False)
            to_key[:, :, prompt] += of_keys
            to_value[:, :, prompt] += of_values
            for part in parts:
                own, to_key[:, :, part], to_value[:, :, part] = pull(part, part, causal=True)
                to_query[:, :, part] += own
        return to_query, to_key, to_value, None, None


def _slices(trunk: Trunk) -> tuple[slice, slice, list[slice]]:
    """Where in the row the prompt lies, all branches together, and each branch that has tokens there."""
    start = trunk.start + trunk.prompt
    parts, place = [], start
    for count in trunk.branches:
        if count:
            parts.append(slice(place, place + count))
        place += count
    return slice(trunk.start, start), slice(start, place), parts
