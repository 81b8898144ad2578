"""The language-model head on completion tokens alone, in tiles, with its gradient taken on the way forward.

The gradient of a token's log-probability with respect to its hidden state is `(onehot - softmax) @ W`, whatever the
loss later does with it: a number per token scales it. So it is computed while the probabilities are at hand, and the
backward pass multiplies. Logits of a whole row never exist at once.
"""

from __future__ import annotations

import functools
import types
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import torch

from alignment.ranked.last_layer import read_only_at

TILE_ELEMENTS = 1 << 23
"""Logits held at once: 32 MiB in float32."""


@dataclass(frozen=True)
class Targets:
    """What to score after a forward."""

    rows: torch.Tensor
    """(T,) row of the batch that predicts each completion token."""
    columns: torch.Tensor
    """(T,) place in that row."""
    labels: torch.Tensor
    """(T,) the completion tokens."""
    one_row: bool = False
    """All lie in a single row: a packed one."""


@dataclass(frozen=True)
class TokenScores:
    """Per completion token T, in the order of the targets."""

    logps: torch.Tensor
    """Log-probability, float32 (float64 for a float64 model); carries the gradient."""
    entropy: torch.Tensor
    mean_logit: torch.Tensor
    is_top: torch.Tensor
    """True where no token was likelier."""

    @classmethod
    def joined(cls, parts: list[TokenScores]) -> TokenScores:
        """Parts one after another."""
        if len(parts) == 1:
            return parts[0]
        return cls(*(torch.cat([getattr(part, name) for part in parts]) for name in ("logps", "entropy", "mean_logit", "is_top")))


class _LogProbs(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, hidden: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None, labels: torch.Tensor,
                softcap: float | None) -> tuple[torch.Tensor, ...]:
        slopes = torch.empty_like(hidden) if ctx.needs_input_grad[0] else None
        size = max(16, TILE_ELEMENTS // weight.shape[0])
        tiles = []
        for start in range(0, len(labels), size):
            tile = slice(start, start + size)
            tiles.append(_tile(hidden[tile], weight, bias, labels[tile], softcap, None if slopes is None else slopes[tile]))
        scores = [torch.cat(parts) for parts in zip(*tiles, strict=True)]
        ctx.softcap = softcap
        ctx.save_for_backward(slopes, *((hidden, weight, bias, labels) if ctx.needs_input_grad[1] else ()))
        ctx.mark_non_differentiable(*scores[1:])
        return tuple(scores)

    @staticmethod
    def backward(ctx: Any, upstream: torch.Tensor, *_: Any) -> tuple[torch.Tensor | None, ...]:
        slopes, *kept = ctx.saved_tensors
        to_hidden = None if slopes is None else slopes * upstream[:, None].to(slopes.dtype)
        to_weight, to_bias = _head_gradients(*kept, upstream=upstream, softcap=ctx.softcap) if kept else (None, None)
        return to_hidden, to_weight, to_bias, None, None


def _logits(hidden: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None, softcap: float | None) -> torch.Tensor:
    logits = torch.nn.functional.linear(hidden, weight, bias)
    logits = logits if logits.dtype == torch.float64 else logits.float()
    return logits if softcap is None else softcap * torch.tanh(logits / softcap)


def _tile(hidden: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None, labels: torch.Tensor, softcap: float | None,
          slopes: torch.Tensor | None) -> tuple[torch.Tensor, ...]:
    """(log-probability, entropy, mean logit, is top) of some tokens; their slopes are written into `slopes`."""
    logits = _logits(hidden, weight, bias, softcap)
    mean = logits.mean(1)
    highest = logits.amax(1)
    own = logits.gather(1, labels[:, None])[:, 0]
    bend = None if softcap is None else 1 - (logits / softcap) ** 2
    shares = logits.sub_(highest[:, None])
    top, own = own >= highest, own - highest
    spread = shares.exp().sum(1)
    logps = own - spread.log()
    # Entropy is log-sum-exp minus the expected logit, both relative to the highest.
    chances = shares.exp().div_(spread[:, None])
    entropy = spread.log() - (chances * shares).sum(1)
    if slopes is not None:
        slopes.copy_(_pull(chances, labels, bend).to(weight.dtype) @ weight)
    return logps, entropy, mean, top


def _pull(chances: torch.Tensor, labels: torch.Tensor, bend: torch.Tensor | None) -> torch.Tensor:
    """d log-probability / d logits before the softcap: onehot - softmax, bent. Overwrites `chances`."""
    pull = chances.neg_()
    pull.scatter_add_(1, labels[:, None], torch.ones_like(pull[:, :1]))
    return pull if bend is None else pull.mul_(bend)


def _head_gradients(hidden: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None, labels: torch.Tensor, *,
                    upstream: torch.Tensor, softcap: float | None) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Gradients of a head that is trained itself; the logits are computed once more, tile by tile."""
    to_weight = torch.zeros_like(weight)
    to_bias = None if bias is None else torch.zeros_like(bias)
    size = max(16, TILE_ELEMENTS // weight.shape[0])
    for start in range(0, len(labels), size):
        tile = slice(start, start + size)
        logits = _logits(hidden[tile], weight, bias, softcap)
        bend = None if softcap is None else 1 - (logits / softcap) ** 2
        pull = (_pull(logits.softmax(1), labels[tile], bend) * upstream[tile, None]).to(weight.dtype)
        to_weight += pull.T @ hidden[tile]
        if to_bias is not None:
            to_bias += pull.sum(0)
    return to_weight, to_bias


def score_tokens(hidden: torch.Tensor, head: torch.nn.Module, labels: torch.Tensor, softcap: float | None) -> TokenScores:
    """Scores of the labels given the hidden states (T, H) that predict them."""
    return TokenScores(*_LogProbs.apply(hidden, head.weight, head.bias, labels, softcap))


def add_branch_head(model: Any) -> None:
    """Let `model(..., targets=Targets(...))` return TokenScores. Without `targets` the forward is the one it was."""
    original = model.forward

    # `generate` checks its arguments against the signature, so the class's own has to show through.
    @functools.wraps(type(model).forward)
    def forward(self: Any, *args: Any, targets: Targets | None = None, **kwargs: Any) -> Any:
        if targets is None:
            return original(*args, **kwargs)
        with read_only_at(self, targets.columns) if targets.one_row else nullcontext():
            hidden = self.base_model(*args, use_cache=False, **kwargs).last_hidden_state
        config = self.config.get_text_config()
        return score_tokens(hidden[targets.rows, targets.columns], self.get_output_embeddings(), targets.labels,
                            getattr(config, "final_logit_softcapping", None))

    model.forward = types.MethodType(forward, model)
