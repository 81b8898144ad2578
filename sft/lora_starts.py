"""How a fresh adapter starts, and how one that borrowed weights from the base gives them back.

PiSSA (Meng et al. 2024, 2404.02948) and OLoRA (Buyukakyuz 2024, 2406.01775) move a part of each base weight W into the adapter:
W becomes W - s B0 A0. Training makes A, B of it. On the base as it was the same function is the adapter
s (B A - B0 A0), of twice the rank: [B, -B0] [A; A0].
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sft.config import BORROWING, LoraConfig
from sft.model import Base
from sft.silence import quiet

BORROWED = "borrowed_weights"
"""Attribute of the model that holds A0 and B0 by name."""
ROWS_SEEN = 256
"""Training rows that EVA looks at: its directions settle long before."""
ROWS_AT_ONCE = 8


def start_of(config: LoraConfig) -> dict[str, Any]:
    """PEFT's settings for `init`."""
    if config.init == "default":
        return {}
    if config.init == "eva":
        from peft import EvaConfig

        # One rank for all layers: another one for each could not be continued under `lora.r`.
        return {"init_lora_weights": "eva", "eva_config": EvaConfig(rho=1.0)}
    return {"init_lora_weights": config.init}


def started(model: Any, base: Base, config: LoraConfig, rows: Sequence[Sequence[int]]) -> Any:
    """The model with its start made where that takes more than creating it: EVA's directions, and a note of what was borrowed."""
    if config.init == "eva":
        _look_at(model, base, rows)
    if config.init in BORROWING:
        from peft import get_peft_model_state_dict

        taken = get_peft_model_state_dict(model, adapter_name="default", save_embedding_layers=False)
        setattr(model, BORROWED, {name: weight.detach().cpu().clone() for name, weight in taken.items()})
    # A second adapter made by these settings, such as TRL's copy for the reference, must not take from the base again.
    model.peft_config["default"].init_lora_weights = True
    return model


def _look_at(model: Any, base: Base, rows: Sequence[Sequence[int]]) -> None:
    from peft import initialize_lora_eva_weights

    with quiet():
        initialize_lora_eva_weights(model, dataloader=list(_batches(base, rows[:ROWS_SEEN])), show_progress_bar=False)


def _batches(base: Base, rows: Sequence[Sequence[int]]) -> Iterator[dict[str, Any]]:
    for start in range(0, len(rows), ROWS_AT_ONCE):
        part = [list(row) for row in rows[start:start + ROWS_AT_ONCE]]
        # EVA's incremental SVD needs batches of equal size: the last rows fill a short one up.
        part += [list(row) for row in rows[:ROWS_AT_ONCE - len(part)]]
        yield dict(base.tokenizer.pad({"input_ids": part}, return_tensors="pt", padding_side="right").to(base.model.device))


def on_the_base(model: Any, weights: dict[str, Any], settings: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The adapter's weights and settings for the base as it was, whatever its start took from it."""
    borrowed: Mapping[str, Any] | None = getattr(model, BORROWED, None)
    if borrowed is None:
        return weights, settings
    import torch

    made = {}
    for name, weight in weights.items():
        if "lora_A" in name:
            made[name] = torch.cat([weight, borrowed[name].to(weight.dtype)], dim=0).contiguous()
        elif "lora_B" in name:
            made[name] = torch.cat([weight, -borrowed[name].to(weight.dtype)], dim=1).contiguous()
        else:
            made[name] = weight
    # alpha / r stays with twice of both; alpha / sqrt(r) stays with sqrt(2) times alpha.
    factor = math.sqrt(2) if settings["use_rslora"] else 2
    return made, settings | {"r": 2 * settings["r"], "lora_alpha": factor * settings["lora_alpha"]}
