"""Run by `test_two_processes`: trains in a process group and writes the adapter as rank 0 has it."""

from __future__ import annotations

import sys
from pathlib import Path

import torch

from alignment.ranked.settings import RankedConfig
from tests.alignment.ranked.rankings import ranked_trainer, rankings


def main(folder: Path, batch: int) -> None:
    """Two steps over rankings of unequal size, so that processes have unequal numbers of pairs and rows."""
    torch.set_num_threads(1)
    rows = [*rankings(4, size=2, seed=1), *rankings(4, size=4, seed=2)]
    trainer = ranked_trainer(folder, rows, max_steps=2, per_device_train_batch_size=batch, ranked=RankedConfig(token_budget=400),
                             learning_rate=1e-2)
    trainer.train()
    if trainer.accelerator.is_main_process:
        weights = {name: weight.detach() for name, weight in trainer.model.named_parameters() if ".default." in name}
        torch.save({"weights": weights, "loss": trainer.state.log_history[0]["loss"],
                    "margin": trainer.state.log_history[1]["rewards/margins"],
                    "processes": trainer.accelerator.num_processes}, folder / "result.pt")
    # Whoever leaves the group first may leave the other waiting in it.
    trainer.accelerator.wait_for_everyone()
    trainer.accelerator.end_training()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
