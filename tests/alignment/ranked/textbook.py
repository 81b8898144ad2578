"""DPO over rankings written out once more, with nothing of the engine in it: one row per answer, all logits, plain autograd.

For tests: the losses of Redpen's posterior form have no twin in TRL.
"""

from __future__ import annotations

import math

import torch


def logp(model, prompt: tuple[int, ...], completion: tuple[int, ...]) -> torch.Tensor:
    """Log-probability of the completion's tokens, summed in float64."""
    row = torch.tensor([[*prompt, *completion]])
    logits = model(input_ids=row, attention_mask=torch.ones_like(row), use_cache=False).logits[0].double()
    chosen = logits.log_softmax(-1)[len(prompt) - 1:-1]
    return chosen.gather(1, torch.tensor(completion)[:, None]).sum()


def log_ratios(trainer, tree) -> list[torch.Tensor]:
    """Of each completion as it was compared, equal ones each by themselves."""
    completions = [tree.branches[branch] for branch in tree.branch_of]
    trainer.model.set_adapter("ref")
    with torch.no_grad():
        reference = [logp(trainer.model, tree.prompt, completion) for completion in completions]
    trainer.model.set_adapter("default")
    return [logp(trainer.model, tree.prompt, own) - ref for own, ref in zip(completions, reference, strict=True)]


def posterior_loss(trainer, *, beta: float) -> torch.Tensor:
    """Mean over all pairs of w [(1 - p) (-log sigmoid h) + p (-log sigmoid -h)], h = beta (ratio of better - ratio of worse)."""
    losses = []
    for tree in trainer._trees:
        ratios = log_ratios(trainer, tree)
        for pair in tree.pairs:
            h = beta * (ratios[pair.better] - ratios[pair.worse])
            p = pair.reversed_probability
            right, reverse = torch.log(1 + torch.exp(-h)), torch.log(1 + torch.exp(h))
            losses.append(pair.weight * ((1 - p) * right + p * reverse))
    return torch.stack(losses).sum() / len(losses)


def loss_and_gradient(trainer, *, beta: float) -> tuple[float, torch.Tensor]:
    """The textbook's loss, and its gradient over the adapter in the order of `rankings.step`."""
    trainer.model.train()
    trainer.model.zero_grad()
    loss = posterior_loss(trainer, beta=beta)
    loss.backward()
    gradients = [p.grad.flatten() for n, p in sorted(trainer.model.named_parameters()) if p.grad is not None]
    assert math.isfinite(loss.item())
    return loss.item(), torch.cat(gradients).double()
