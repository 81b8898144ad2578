"""Computing what the reference says about every completion, once, and keeping it on disk."""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any

import torch

from alignment.ranked.packing import Forest, pack
from alignment.ranked.reference import ReferenceCache, completion_key
from alignment.ranked.scoring import score
from alignment.ranked.settings import AttentionPath
from alignment.ranked.trees import Tree
from feedback.terminal import tracked


def weights_hash(named: Sequence[tuple[str, torch.Tensor]]) -> str:
    """SHA-256 of names, shapes and bytes, 24 hex digits."""
    digest = hashlib.sha256()
    for name, weight in sorted(named, key=lambda pair: pair[0]):
        digest.update(f"{name} {tuple(weight.shape)} {weight.dtype}\n".encode())
        digest.update(weight.detach().contiguous().cpu().reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()[:24]


def base_and_reference(model: Any) -> tuple[str, str]:
    """(hash of the base's weights, hash of the reference adapter's); `none` when the reference is the base alone.

    An adapter whose second factor is still zero changes nothing, so it counts as none, whatever its random half is.
    """
    named = list(model.named_parameters())
    adapters = [(n, w) for n, w in named if ".lora_" in n or ".modules_to_save." in n]
    base = weights_hash([(n, w) for n, w in named if ".lora_" not in n and ".modules_to_save." not in n])
    own = [(n, w) for n, w in adapters if ".ref." in n]
    second = [w for n, w in own if "lora_B" in n]
    plain = all("lora_A" in n or "lora_B" in n for n, _ in own)
    untouched = plain and not any(w.detach().any() for w in second)
    return base, "none" if untouched else weights_hash(own)


def missing_forests(trees: Sequence[Tree], cache: ReferenceCache, budget: int) -> list[Forest]:
    """Rows to compute. How trees share rows depends on the trees alone, so a killed run goes on with the same numbers."""
    return [forest for forest in pack(trees, budget)
            if any(completion_key(tree.prompt, branch) not in cache for tree in forest.trees for branch in tree.branches)]


def fill_cache(model: Any, trees: Sequence[Tree], cache: ReferenceCache, *, path: AttentionPath, budget: int, config: Any,
               device: torch.device, as_reference: Callable[[], AbstractContextManager[Any]], rank: int, ranks: int) -> int:
    """Compute what is missing, this process its share of it; returns how many rows it computed."""
    mine = missing_forests(trees, cache, budget)[rank::ranks]
    if not mine:
        return 0
    was_training = model.training
    model.eval()
    try:
        with torch.no_grad(), as_reference():
            for forest in tracked(mine, "reference log-probabilities"):
                scores = score(model, forest, path, config=config, device=device, budget=budget)
                cache.add(_by_completion(forest, scores.logps))
    finally:
        model.train(was_training)
    return len(mine)


def _by_completion(forest: Forest, logps: torch.Tensor) -> dict[str, array[float]]:
    keys = [completion_key(tree.prompt, branch) for tree in forest.trees for branch in tree.branches]
    code = "d" if logps.dtype == torch.float64 else "f"
    parts = logps.cpu().split(forest.branch_lengths)
    return {key: array(code, part.tolist()) for key, part in zip(keys, parts, strict=True)}


def reference_tokens(forest: Forest, cache: ReferenceCache, device: torch.device) -> torch.Tensor:
    """The reference's log-probabilities of the forest's completion tokens T."""
    numbers = [cache.get(completion_key(tree.prompt, branch)) for tree in forest.trees for branch in tree.branches]
    kinds = {"f": torch.float32, "d": torch.float64}
    return torch.cat([torch.frombuffer(own, dtype=kinds[own.typecode]) for own in numbers]).to(device)
