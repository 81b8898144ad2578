"""TRL's configuration objects from Redpen's: defaults for small data, what the device allows, then what `trainer:` says."""

from __future__ import annotations

import importlib.util
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from feedback.errors import InvalidInput, MissingPart
from sft.config import ModelConfig
from sft.model import device_of, dtype_of
from sft.silence import quiet
from sft.trainer_fields import Kind, fields


@dataclass(frozen=True)
class Recipe:
    """How a stage trains where its `trainer:` section leaves it open: chosen for tens to thousands of rows."""

    kind: Kind
    learning_rate: float
    batch_size: int
    epochs: int
    fewest_steps: int
    """A small set is gone through more often, until it makes this many steps ..."""
    most_epochs: int
    """... but not more often than this: it would be learned by heart."""


TRACKERS = {"mlflow": "mlflow-skinny", "wandb": "wandb", "tensorboard": "tensorboard", "trackio": "trackio"}
"""What `report_to` may name here -> the package to install; each is imported under the name on the left."""


def world_size() -> int:
    """How many processes train together; 1 without `accelerate launch`."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def is_main_process() -> bool:
    """This process writes the files and talks to the person."""
    return int(os.environ.get("RANK", "0")) == 0


def trainer_arguments(recipe: Recipe, given: Mapping[str, Any], *, model: ModelConfig, seed: int, rows: int,
                      scratch: Path) -> Any:
    """TRL's SFTConfig, DPOConfig or RewardConfig for `rows` rows. Raises InvalidInput when TRL refuses a value."""
    _need_trackers(given.get("report_to"))
    with quiet():
        import trl

        folder = scratch.parent
        settings = {**_by_device(model, given), **_by_size(recipe, given, rows), **_checkpoints(given),
                    "run_name": f"{folder.parent.name}/{folder.name.removesuffix('.partial')}", **given}
        try:
            made = getattr(trl, recipe.kind)(**_uncut(recipe.kind), **settings, output_dir=str(scratch), seed=seed,
                                             disable_tqdm=True, logging_nan_inf_filter=False)
        except (ValueError, TypeError, ImportError) as error:
            raise InvalidInput(f"trainer: TRL's {recipe.kind} refuses it: {str(error).strip()}") from None
    if made.n_gpu > 1:
        # Several GPUs in one process would mean DataParallel, which TRL cannot train; `accelerate launch` uses them all.
        made._n_gpu = 1
    return made


def _uncut(kind: Kind) -> dict[str, None]:
    """No max_length where TRL has one: rows too long were dropped and counted, so it shall not cut any unseen."""
    return {"max_length": None} if "max_length" in fields(kind) else {}


def _need_trackers(report_to: str | Sequence[str] | None) -> None:
    """Raise MissingPart for a tracker that is not installed: found here, not after the model was loaded."""
    named = [report_to] if isinstance(report_to, str) else list(report_to or ())
    missing = [name for name in named if name in TRACKERS and importlib.util.find_spec(name) is None]
    if missing:
        package = TRACKERS[missing[0]]
        raise MissingPart(f"trainer.report_to names {missing[0]}, which is not installed; run: pip install {package}")


def _by_device(model: ModelConfig, given: Mapping[str, Any]) -> dict[str, Any]:
    import torch

    on_cpu = device_of(model) == "cpu"
    settings: dict[str, Any] = {"use_cpu": on_cpu, "bf16": not on_cpu and dtype_of(model) == torch.bfloat16,
                                "dataloader_pin_memory": not on_cpu}
    # On a CPU memory is not what is short, and computing every activation twice is a third of the time.
    return settings | ({"activation_checkpointing": False} if on_cpu and "gradient_checkpointing" not in given else {})


def _by_size(recipe: Recipe, given: Mapping[str, Any], rows: int) -> dict[str, Any]:
    batch = int(given.get("per_device_train_batch_size", max(1, min(recipe.batch_size, rows // world_size()))))
    per_step = batch * int(given.get("gradient_accumulation_steps", 1)) * world_size()
    per_epoch = math.ceil(rows / per_step)
    epochs = min(max(recipe.epochs, math.ceil(recipe.fewest_steps / per_epoch)), recipe.most_epochs)
    steps = int(given.get("max_steps", -1))
    if steps < 0:
        steps = math.ceil(per_epoch * float(given.get("num_train_epochs", epochs)))
    # The first step of a warm-up has the learning rate 0: a short run cannot afford it.
    return {"learning_rate": recipe.learning_rate, "per_device_train_batch_size": batch, "num_train_epochs": epochs,
            "lr_scheduler_type": "cosine", "warmup_steps": 0.05 if steps >= 40 else 0, "report_to": "none",
            "logging_steps": max(1, steps // 50)}


def _checkpoints(given: Mapping[str, Any]) -> dict[str, Any]:
    """By steps where that is asked for or several processes must agree; else the watcher saves by the clock."""
    by_steps = "save_steps" in given or world_size() > 1
    return {"save_strategy": "steps" if by_steps else "no", "save_steps": 50 if by_steps else 500, "save_total_limit": 2}
