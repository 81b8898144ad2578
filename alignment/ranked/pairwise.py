"""Losses of one pair, exactly as published. `h = s_i - s_j` with i recorded above j, `s = beta * log-ratio`; all float64.

`p` is the probability that the pair is really the other way round given all ratings; the expected loss over it is
`(1 - p) l(h) + p l(-h)`. A noise rate is something else and appears in `robust` alone.
"""

from __future__ import annotations

import torch
from torch.nn.functional import logsigmoid


def sigmoid(h: torch.Tensor, p: torch.Tensor) -> torch.Tensor:
    """DPO (Rafailov et al. 2023) as an expectation over p: conservative DPO (Mitchell 2023). Least at h = logit(1 - p)."""
    return -(1 - p) * logsigmoid(h) - p * logsigmoid(-h)


def hinge(h: torch.Tensor, p: torch.Tensor) -> torch.Tensor:
    """SLiC's hinge, as an expectation over p."""
    return (1 - p) * torch.relu(1 - h) + p * torch.relu(1 + h)


def ipo(d: torch.Tensor, p: torch.Tensor, *, beta: float) -> torch.Tensor:
    """IPO (Azar et al. 2023) in TRL's form: d is the difference of per-token mean log-ratios. Least at (1 - 2p) / (2 beta)."""
    aim = 1 / (2 * beta)
    return (1 - p) * (d - aim) ** 2 + p * (d + aim) ** 2


def robust(h: torch.Tensor, *, noise_rate: float) -> torch.Tensor:
    """rDPO (Chowdhury et al. 2024): unbiased when this share of judgements was recorded reversed. Not bounded below."""
    return (-(1 - noise_rate) * logsigmoid(h) + noise_rate * logsigmoid(-h)) / (1 - 2 * noise_rate)


def f_dpo(m: torch.Tensor, false_better: torch.Tensor, false_worse: torch.Tensor, known: torch.Tensor, *, beta: float,
          margin: float) -> torch.Tensor:
    """F-DPO (2601.03027). m is the log-ratio margin without beta; the flags say which answer states something false.

    A false answer recorded above a sound one is swapped; a margin is asked wherever exactly the worse one is false then.
    Where a verdict is not `known` the pair is neither swapped nor given a margin.
    """
    swapped = known & false_better & ~false_worse
    told_apart = known & (false_better != false_worse)
    ordered = torch.where(swapped, -m, m)
    return -logsigmoid(beta * (ordered - margin * told_apart.to(m.dtype)))
