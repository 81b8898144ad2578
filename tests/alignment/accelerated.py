"""Run by `test_accelerate`: SFT and both engines of DPO in one of several processes, set up as accelerate's launcher does it.

    python -m tests.alignment.accelerated BASE TRAINING_SETS FOLDER BATCH
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import torch

from alignment import dpo
from alignment.config import DpoConfig
from sft import train
from sft.config import LoraConfig, SftConfig
from tests.tiny import tiny_config


def main(base: Path, sets: Path, folder: Path, batch: int) -> None:
    """Train all stages; each process keeps what it has of their adapters in `folder`."""
    if os.environ.get("ACCELERATE_USE_FSDP") == "true":
        take_for_gpus()
    settings = {"per_device_train_batch_size": batch, "max_steps": 3, "learning_rate": 5e-3, "logging_steps": 1}
    common: dict[str, Any] = {"model": tiny_config(base), "lora": LoraConfig(r=4)}
    weights = kept_weights()
    train.run(train.SftStage(**common, sft=SftConfig(trainer=settings)), training_sets=sets, out=folder / "sft")
    for engine in ("trl", "ranked"):
        config = DpoConfig.model_validate({"engine": engine, "trainer": settings})
        dpo.run(dpo.DpoStage(**common, dpo=config), training_sets=sets, parent=None, out=folder / engine)
    torch.save(dict(zip(("sft", "trl", "ranked"), weights, strict=True)), folder / f"rank{os.environ.get('RANK', '0')}.pt")
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


def kept_weights() -> list[dict[str, torch.Tensor]]:
    """A list that fills with the trained weights of each stage as this process has them."""
    kept: list[dict[str, torch.Tensor]] = []
    for module in (train, dpo):
        def keep(*arguments: Any, real: Any = module.train, **named: Any) -> Any:
            done = real(*arguments, **named)
            kept.append(done.weights)
            return done

        module.train = keep
    return kept


def take_for_gpus() -> None:
    """Let accelerate spread a model over processes on CPUs: its 1.15 does so for processes with GPUs only, torch for both."""
    from accelerate import PartialState
    from accelerate.utils import DistributedType

    begin, barrier = PartialState.__init__, torch.distributed.barrier

    def begun(self: Any, *arguments: Any, **named: Any) -> None:
        begin(self, *arguments, **named)
        if self.distributed_type is DistributedType.MULTI_CPU:
            self.distributed_type = DistributedType.MULTI_GPU

    PartialState.__init__ = begun
    # Gloo has no devices to name.
    torch.distributed.barrier = lambda *arguments, device_ids=None, **named: barrier(*arguments, **named)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]), int(sys.argv[4]))
