"""Which models can use a packed path, decided by what is known about them and, for others, by trying."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from alignment.ranked.flex import obstacle_on
from alignment.ranked.packing import Forest
from alignment.ranked.scoring import score, using
from alignment.ranked.settings import AttentionPath, RowsConfig
from alignment.ranked.trees import Tree
from feedback.errors import InvalidInput

VERIFIED = {"llama", "qwen2", "qwen3", "mistral", "gemma3_text", "phi3"}
"""Model types that the tests hold to the same numbers as separate rows."""
TOLERANCE = {torch.float64: 1e-8, torch.float32: 1e-4}
"""Largest difference of a token's log-probability between the paths of an unverified model; lower precisions get 0.05."""


@dataclass(frozen=True)
class Choice:
    """The path taken, and why when it is not the fast one."""

    path: AttentionPath
    reason: str | None = None


def obstacle(config: Any) -> str | None:
    """Why a model of this text config cannot be packed whatever its attention does; None when nothing is known against it."""
    rope = getattr(config, "rope_parameters", None) or {}
    kinds = {part.get("rope_type") for part in (rope, *rope.values()) if isinstance(part, dict)}
    others = set(getattr(config, "layer_types", None) or ()) - {"full_attention", "sliding_attention"}
    if any(getattr(config, name, None) is not None for name in ("output_router_logits", "num_experts", "num_local_experts")):
        return "it is a mixture of experts, whose routing depends on the whole row; its routing loss is left out"
    if others:
        return f"it has layers of the kind {', '.join(sorted(others))}, which carry a state from one completion to the next"
    if getattr(config, "use_bidirectional_attention", None) or not getattr(config, "is_causal", True):
        return "it looks ahead"
    if kinds & {"dynamic", "longrope"}:
        return "its rotary embedding depends on the length of the longest row"
    if config.model_type not in VERIFIED and getattr(config, "sliding_window", None):
        return f"a sliding window of {config.model_type!r} has not been verified"
    return None


def choose(model: Any, settings: RowsConfig, *, device: torch.device, language: bool = True) -> Choice:
    """The path to take. Raises InvalidInput when a packed path was asked for by name and cannot be had.

    A language model of a type that is not verified is tried: the fast path must give the log-probabilities of separate rows.
    """
    config = model.config.get_text_config()
    asked = settings.attention
    if asked == "rows":
        return Choice("rows")
    fast = _fastest(device) if asked == "auto" else Choice(asked)
    why = obstacle(config)
    if asked == "flex":
        why = why or obstacle_on(device)
    if why is None and config.model_type not in VERIFIED:
        why = _difference(model, fast.path, device=device) if language else "it is not verified"
    if why is None:
        return fast
    if asked != "auto":
        raise InvalidInput(f"attention is {asked!r}, which the model type {config.model_type!r} cannot use: {why}; "
                           "use auto or rows")
    return Choice("rows", f"the model type {config.model_type!r} is trained one row per completion, not packed: {why}")


def _fastest(device: torch.device) -> Choice:
    """FlexAttention on a GPU where it runs, split attention elsewhere."""
    why = obstacle_on(device)
    if why is None:
        return Choice("flex")
    return Choice("split", f"{why}; split attention is used" if device.type == "cuda" else None)


def _difference(model: Any, path: AttentionPath, *, device: torch.device) -> str | None:
    """How a packed row differs from separate rows on a small made-up ranking; None when it does not."""
    config = model.config.get_text_config()
    ids = torch.randint(config.vocab_size, (16,), generator=torch.Generator().manual_seed(0)).tolist()
    forest = Forest((Tree("first", tuple(ids[:5]), (tuple(ids[5:9]), tuple(ids[9:12])), (0, 1), ()),
                     Tree("second", tuple(ids[12:14]), (tuple(ids[14:16]),), (0,), ())))
    was_training = model.training
    model.eval()
    try:
        found = []
        for name in (path, "rows"):
            with using(model, name), torch.no_grad():
                found.append(score(model, forest, name, config=config, device=device, budget=256).logps)
    except (NotImplementedError, TypeError, ValueError, RuntimeError, KeyError) as error:
        return f"a packed row cannot be computed ({error})"
    finally:
        model.train(was_training)
    gap = (found[0] - found[1]).abs().max().item()
    allowed = TOLERANCE.get(model.dtype, 0.05)
    return None if gap <= allowed else f"a packed row differs from separate rows by {gap:.2g} (at most {allowed:.2g})"
