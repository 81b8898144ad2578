"""The DPO stage's other engine: TRL's own trainer on pairs, each side of each pair computed by itself."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from alignment.config import DpoConfig
from alignment.pairs import EncodedPair, encode_pairs
from feedback.terminal import tracked
from feedback.training_sets.rows import PreferencePair
from sft.config import ModelConfig
from sft.model import Base, is_exact
from sft.silence import quiet
from sft.trainer_args import Recipe, trainer_arguments, world_size
from sft.training import build, without_preparation


def trainer_of(pairs: Sequence[PreferencePair], config: DpoConfig, recipe: Recipe, held: ModelConfig, base: Base, model: Any, *,
               seed: int, scratch: Path, counts: dict[str, int]) -> Any:
    """TRL's DPOTrainer on the pairs that fit; the others are counted."""
    rows = encode_pairs(pairs, base.tokenizer, max_length=held.max_length, counts=counts)
    given = {name: value for name, value in config.trainer.items() if name != "precompute_ref_log_probs"}
    arguments = trainer_arguments(recipe, given | {"beta": config.beta}, model=held, seed=seed, rows=len(rows), scratch=scratch)
    with quiet():
        from trl import DPOTrainer

    # Given a PeftModel, TRL puts a frozen copy of its adapter beside it, named "ref".
    return build(without_preparation(DPOTrainer, prepared=True), model=model, args=arguments, train_dataset=_dataset(rows),
                 processing_class=base.tokenizer)


def _dataset(rows: Sequence[EncodedPair]) -> Any:
    with quiet():
        from datasets import Dataset

    return Dataset.from_dict({"prompt_ids": [row.chosen.prompt for row in rows],
                              "chosen_ids": [row.chosen.completion for row in rows],
                              "rejected_ids": [row.rejected.completion for row in rows]})


def precompute_reference(trainer: Any, config: DpoConfig, held: ModelConfig) -> None:
    """Have the reference judge each row once, before training, instead of once in every epoch.

    Only where rounding does not depend on which rows share a batch, and one process sees all rows.
    """
    if world_size() > 1 or not config.trainer.get("precompute_ref_log_probs", is_exact(held)):
        return
    rows, found = trainer.train_dataset, _judged(trainer)
    for place, name in enumerate(("ref_chosen_logps", "ref_rejected_logps")):
        rows = rows.add_column(name, [found[i][place] for i in range(len(rows))])
    trainer.train_dataset = rows
    trainer.precompute_ref_logps = True


def _judged(trainer: Any) -> dict[int, tuple[float, float]]:
    """The reference's log-probabilities (chosen, rejected) of each row."""
    import torch

    rows = trainer.train_dataset
    batch = trainer.args.per_device_train_batch_size
    # Rows of like length together: less padding to compute.
    order = sorted(range(len(rows)), key=lambda i: len(rows[i]["chosen_ids"]) + len(rows[i]["rejected_ids"]))
    found: dict[int, tuple[float, float]] = {}
    trainer.model.eval()
    for part in tracked([order[i:i + batch] for i in range(0, len(order), batch)], "reference"):
        with quiet(), torch.no_grad():
            both = trainer.compute_ref_log_probs(trainer.model, _collated(trainer, part))
        found |= dict(zip(part, zip(*(side.tolist() for side in both), strict=True), strict=True))
    return found


def plain_loss(trainer: Any) -> float:
    """The sigmoid loss of the first batch in evaluation mode, whatever loss is trained with."""
    import torch

    kept = trainer.loss_types, trainer.loss_weights, trainer.use_weighting
    trainer.loss_types, trainer.loss_weights, trainer.use_weighting = ["sigmoid"], [1.0], False
    rows = range(min(len(trainer.train_dataset), trainer.args.per_device_train_batch_size))
    try:
        trainer.model.eval()
        with torch.no_grad(), trainer.compute_loss_context_manager():
            return float(trainer.compute_loss(trainer.model, _collated(trainer, rows)))
    finally:
        trainer.loss_types, trainer.loss_weights, trainer.use_weighting = kept


def _collated(trainer: Any, rows: Sequence[int]) -> Any:
    batch = trainer.data_collator([trainer.train_dataset[i] for i in rows])
    return {name: tensor.to(trainer.args.device) for name, tensor in batch.items()}
