"""Losses of one whole ranking, from its recorded pairs. `s` (C,) are `beta * log-ratio`, float64."""

from __future__ import annotations

import torch


def plackett_luce(s: torch.Tensor, above: torch.Tensor) -> torch.Tensor:
    """Plackett-Luce (Rafailov et al. 2023, appendix A.3), ties left out: no term compares tied completions.

    `above` (C, C) bool: i is recorded above j. Of two completions it is DPO. Without any pair it is 0.
    """
    below = torch.where(above, s[None], -torch.inf)
    everyone = torch.cat([s[:, None], below], 1).logsumexp(1)
    return (everyone - s)[above.any(1)].sum()


def lipo_lambda(s: torch.Tensor, above: torch.Tensor) -> torch.Tensor:
    """LiPO-lambda (Liu et al. 2024, 2402.01878): pairs weighted by how much swapping them would change the ranking's gain.

    A completion's grade is the share of its siblings that it beats, ties half. Its rank is the present one, by s.
    """
    count = len(s)
    beaten = above.to(s.dtype)
    tied = (~(above | above.T)).to(s.dtype).fill_diagonal_(0)
    grade = (beaten.sum(1) + tied.sum(1) / 2) / (count - 1)
    with torch.no_grad():
        rank = torch.empty_like(s)
        rank[s.argsort(descending=True, stable=True)] = torch.arange(1, count + 1, dtype=s.dtype, device=s.device)
        gain, discount = 2**grade - 1, 1 / torch.log1p(rank)
        weight = (gain[:, None] - gain[None]).abs() * (discount[:, None] - discount[None]).abs()
    pairs = grade[:, None] > grade[None]
    return (weight * torch.nn.functional.softplus(s[None] - s[:, None]))[pairs].sum()
