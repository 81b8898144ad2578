"""Answers from a causal model: each prompt read once, its state copied to K answers, chance fixed by prompt and seed.

Axes: B prompts, R = B * K answers, T tokens of the longest prompt, N new tokens, V vocabulary.
"""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sft.config import SamplingConfig

COMPACT_BELOW = 0.75
"""Answers that have ended are computed along, unread, until fewer than this share go on: dropping them copies the cache."""


@dataclass(frozen=True)
class Answer:
    """The tokens of one answer."""

    ids: list[int]
    """Without the token that ended it."""
    finished: bool
    """False when `max_new_tokens` cut it off."""
    ended_by: int | None = None
    """The token that ended it, which the model sampled as well."""


def chances(seed: int, prompt_id: str, *, count: int, length: int) -> Any:
    """The numbers in [0, 1) that decide the K answers to one prompt, (K, N).

    They depend on the seed and the prompt alone, so neither resuming nor another list of prompts changes an answer.
    """
    import torch

    key = int.from_bytes(hashlib.sha256(f"{seed}:{prompt_id}".encode()).digest()[:8], "big") >> 1
    return torch.rand(count, length, generator=torch.Generator().manual_seed(key))


def answer(model: Any, prompts: Sequence[list[int]], *, chances_R_N: Any, sampling: SamplingConfig, stop: Sequence[int],
           pad: int) -> list[Answer]:
    """K answers to each prompt, in the prompts' order, the K of one prompt together."""
    import torch

    with torch.inference_mode():
        state = _Decoding(model, prompts, copies=len(chances_R_N) // len(prompts), pad=pad)
        chances_R_N = chances_R_N.to(state.device)
        stop_ids = torch.tensor(list(stop), device=state.device)
        taken = torch.full(chances_R_N.shape, pad, device=state.device)
        ended_at = torch.full((len(chances_R_N),), -1, device=state.device)
        for step in range(chances_R_N.shape[1]):
            tokens = choose(state.logits_R_V, chances_R_N[state.rows, step], sampling)
            taken[state.rows, step] = tokens
            stopped = torch.isin(tokens, stop_ids) & (ended_at[state.rows] < 0)
            ended_at[state.rows[stopped]] = step
            going = ended_at[state.rows] < 0
            if not going.any() or step + 1 == chances_R_N.shape[1]:
                break
            tokens = state.keep(going, tokens)
            state.advance(tokens)
    lengths = [int(end) for end in ended_at]
    return [Answer(ids=row[:end], finished=True, ended_by=row[end]) if end >= 0 else Answer(ids=row, finished=False)
            for row, end in zip(taken.tolist(), lengths, strict=True)]


def choose(logits_R_V: Any, chances_R: Any, sampling: SamplingConfig) -> Any:
    """The next token of each row: the likeliest at temperature 0, else the one in whose share of [0, 1) the chance falls."""
    import torch

    if sampling.temperature == 0:
        return logits_R_V.argmax(dim=-1)
    shares = torch.softmax(logits_R_V.float() / sampling.temperature, dim=-1)
    order = None
    if sampling.top_p < 1:
        shares, order = shares.sort(dim=-1, descending=True)
        # A token stays while the likelier ones together have not reached top_p; the first always stays.
        shares = shares.masked_fill(shares.cumsum(dim=-1) - shares >= sampling.top_p, 0.0)
    ends = shares.cumsum(dim=-1)
    place = torch.searchsorted(ends, (chances_R[:, None] * ends[:, -1:]).contiguous(), right=True)
    # Rounding may put a chance next to 1 beyond the last token that has any share.
    last = (shares > 0).long().cumsum(dim=-1).argmax(dim=-1, keepdim=True)
    place = torch.minimum(place, last)
    return (place if order is None else order.gather(1, place)).squeeze(1)


class _Decoding:
    """The model's state for the answers that go on."""

    def __init__(self, model: Any, prompts: Sequence[list[int]], *, copies: int, pad: int) -> None:
        """Read the prompts, padded on the left so that all end in the same column, and copy the state to each answer."""
        import torch
        from transformers import DynamicCache

        self.model = model
        self.device = model.device
        self.accepts = inspect.signature(getattr(model, "get_base_model", lambda: model)().forward).parameters
        longest = max(len(ids) for ids in prompts)
        ids_B_T = torch.tensor([[pad] * (longest - len(ids)) + ids for ids in prompts], device=self.device)
        self.mask = torch.tensor([[0] * (longest - len(ids)) + [1] * len(ids) for ids in prompts], device=self.device)
        self.cache = DynamicCache(config=model.config)
        logits_B_V = self._forward(ids_B_T, (self.mask.cumsum(dim=1) - 1).clamp(min=0))
        self.cache.batch_repeat_interleave(copies)
        self.mask = self.mask.repeat_interleave(copies, dim=0)
        self.logits_R_V = logits_B_V.repeat_interleave(copies, dim=0)
        self.rows = torch.arange(len(prompts) * copies, device=self.device)
        """Which answer each row of the batch is."""

    def _forward(self, ids: Any, positions: Any) -> Any:
        extra = {"position_ids": positions, "logits_to_keep": 1}
        known = {name: value for name, value in extra.items() if name in self.accepts}
        output = self.model(input_ids=ids, attention_mask=self.mask, past_key_values=self.cache, use_cache=True, **known)
        return output.logits[:, -1]

    def keep(self, going: Any, tokens: Any) -> Any:
        """Drop the rows that have ended, once that saves enough; returns the tokens of the rows kept."""
        if going.float().mean() >= COMPACT_BELOW:
            return tokens
        kept = going.nonzero().squeeze(1)
        self.cache.batch_select_indices(kept)
        self.mask, self.rows = self.mask[kept], self.rows[kept]
        return tokens[kept]

    def advance(self, tokens: Any) -> None:
        """Read one token more in each row."""
        import torch

        self.mask = torch.cat([self.mask, self.mask.new_ones(len(tokens), 1)], dim=1)
        self.logits_R_V = self._forward(tokens[:, None], self.mask.sum(dim=1, keepdim=True) - 1)
