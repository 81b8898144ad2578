"""A policy leaves the house: its adapter, or the base with the adapter merged into it."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from alignment import registry
from alignment.project import Project
from feedback.errors import InvalidInput, StageRefused
from feedback.ids import PolicyId

MOST_DRIFT = 1e-2
"""Largest difference allowed between a merged logit and base + adapter, relative to the largest logit."""


def export(project: Project, policy: str, out: Path, *, merge: bool) -> Path:
    """Write the policy `policy` (or `champion`) into the new folder `out` and return it.

    Raises InvalidInput when the policy is the base or unknown, or `out` is there already; StageRefused when the merged
    model does not answer as base + adapter do.
    """
    if out.exists():
        raise InvalidInput(f"{out}: is there already; choose a new folder")
    with project.open_store() as store:
        chosen = registry.champion(store) if policy == "champion" else PolicyId(policy)
    adapter = registry.adapter_of(project.policies, chosen)
    if adapter is None:
        raise InvalidInput("the champion is still the base; nothing was trained that could be exported")
    if merge:
        _write_merged(project, adapter, out)
    else:
        shutil.copytree(adapter, out)
    return out


def _write_merged(project: Project, adapter: Path, out: Path) -> None:
    import torch

    from sft.adapters import load_policy

    policy = load_policy(project.config.model, adapter, trainable=True)  # kept apart, so that both can be asked
    policy.model.eval()
    ids = torch.arange(32).remainder(policy.model.config.vocab_size).unsqueeze(0).to(policy.model.device)
    with torch.inference_mode():
        before = policy.model(ids).logits.double()
    apart = policy.model if project.config.model.quantization == "none" else _in_full(project, adapter)
    merged: Any = apart.merge_and_unload()
    with torch.inference_mode():
        after = merged(ids).logits.double()
    drift = float((before - after).abs().max() / before.abs().max())
    if not drift <= MOST_DRIFT:
        raise StageRefused(f"{adapter}: merged logits differ from base + adapter by {drift:.2g} of the largest (allowed "
                           f"{MOST_DRIFT}); export the adapter without --merge, or merge in float32")
    if not all(bool(torch.isfinite(weight).all()) for weight in merged.parameters()):
        raise StageRefused(f"{adapter}: merging gives weights that are not finite; train the adapter again")
    partial = out.with_name(out.name + ".partial")
    merged.save_pretrained(partial, safe_serialization=True)
    policy.tokenizer.save_pretrained(partial)
    partial.rename(out)


def _in_full(project: Project, adapter: Path) -> Any:
    """A quantized base as the numbers that it computes with, and the adapter on it: its few bits would round the sum again."""
    from dataclasses import replace

    from sft.adapters import with_adapter
    from sft.model import load_base

    base = load_base(project.config.model)
    return with_adapter(replace(base, model=base.model.dequantize()), adapter, trainable=False).eval()
