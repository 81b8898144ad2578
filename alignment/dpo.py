"""Preferences -> adapter: the DPO stage, continuing the SFT adapter against a frozen reference that is checked first."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from alignment.config import DpoConfig
from alignment.pairs import EncodedPair, encode_pairs, read_pairs
from feedback.errors import StageRefused
from feedback.lineage import Manifest, read_manifest
from feedback.terminal import tracked
from sft.adapters import check_base, input_hash, parent_id, save_adapter
from sft.model import Base, is_exact, load_base, set_threads
from sft.silence import quiet
from sft.trainer_args import Recipe, is_main_process, trainer_arguments, world_size
from sft.training import StageConfig, build, sets_hash, start_adapter, train, without_preparation, writing_together

RECIPE = Recipe(kind="DPOConfig", learning_rate=5e-5, batch_size=8, epochs=2, fewest_steps=30, most_epochs=5)
TOLERANCE = 1e-3
"""How far from ln 2 the first loss may lie in float32: rounding of two forwards that are the same on paper."""
TOLERANCE_ROUNDED = 2e-2
"""The same for a base held in fewer bits."""


class DpoStage(StageConfig):
    """Everything that decides a DPO adapter, beside its training sets, its parent and its reference."""

    dpo: DpoConfig = DpoConfig()


def run(config: DpoStage, *, training_sets: Path, parent: Path | None, reference: Path | None = None, out: Path) -> Manifest:
    """Train the parent's adapter on `training_sets`/pairs.jsonl and write it to `out`/adapter.

    The reference is a frozen copy of the parent (without one, the base), or the adapter `reference`. Raises NothingToDo without
    a pair that fits, InvalidInput for pairs that prefer nothing, StageRefused when the first loss shows a wrong reference or
    when training came to nothing.
    """
    pairs = read_pairs(training_sets)
    sets = sets_hash(training_sets)
    adapters = {name: path for name, path in (("parent", parent), ("reference", reference)) if path}
    inputs = {"training_sets": sets} | {name: input_hash(path) for name, path in adapters.items()}
    with writing_together(out, stage="dpo", inputs=inputs, config=config) as draft:
        draft.threads = set_threads(config.model)
        base = load_base(config.model)
        model = start_adapter(base, parent, config.lora, seed=config.seed)
        rows = encode_pairs(pairs, base.tokenizer, max_length=config.model.max_length, counts=draft.counts)
        trainer = _trainer(config, base, model, rows, scratch=draft.scratch)
        if reference:
            use_reference(model, reference, base=base)
        if _may_precompute(config):
            precompute_reference(trainer)
        tolerance = TOLERANCE if is_exact(config.model) else TOLERANCE_ROUNDED
        check_first_loss(trainer, moved=reference is not None, tolerance=tolerance)
        train(trainer, draft, title="DPO")
        if is_main_process():
            save_adapter(trainer.model, draft.folder / "adapter", base=base, parent=parent_id(parent), stage="dpo",
                         training_sets=sets)
    return read_manifest(out)


def _trainer(config: DpoStage, base: Base, model: Any, rows: Sequence[EncodedPair], *, scratch: Path) -> Any:
    given = {name: value for name, value in config.dpo.trainer.items() if name != "precompute_ref_log_probs"}
    arguments = trainer_arguments(RECIPE, given | {"beta": config.dpo.beta}, model=config.model, seed=config.seed, rows=len(rows),
                                  scratch=scratch)
    with quiet():
        from datasets import Dataset
        from trl import DPOTrainer

        dataset = Dataset.from_dict({"prompt_ids": [row.chosen.prompt for row in rows],
                                     "chosen_ids": [row.chosen.completion for row in rows],
                                     "rejected_ids": [row.rejected.completion for row in rows]})
    # Given a PeftModel, TRL puts a frozen copy of its adapter beside it, named "ref".
    return build(without_preparation(DPOTrainer, prepared=True), model=model, args=arguments, train_dataset=dataset,
                 processing_class=base.tokenizer)


def use_reference(model: Any, reference: Path, *, base: Base) -> None:
    """Put another adapter of the same base in the place of the frozen copy."""
    import torch

    check_base(reference, name=base.name, found=base.hash)
    with quiet():
        model.delete_adapter("ref")
        model.load_adapter(str(reference), adapter_name="ref", is_trainable=False)
        model.set_adapter("default")
    for name, module in model.named_modules():
        # It came after TRL had switched dropout off: a reference that rolls dice is none.
        if isinstance(module, torch.nn.Dropout) and "ref" in name.split("."):
            module.p = 0.0


def precompute_reference(trainer: Any) -> None:
    """Have the reference judge each row once, before training, instead of once in every epoch."""
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
    for place, name in enumerate(("ref_chosen_logps", "ref_rejected_logps")):
        rows = rows.add_column(name, [found[i][place] for i in range(len(rows))])
    trainer.train_dataset = rows
    trainer.precompute_ref_logps = True


def _may_precompute(config: DpoStage) -> bool:
    """Only where rounding does not depend on which rows share a batch, and one process sees all rows."""
    return world_size() == 1 and bool(config.dpo.trainer.get("precompute_ref_log_probs", is_exact(config.model)))


def check_first_loss(trainer: Any, *, moved: bool, tolerance: float) -> float:
    """The sigmoid loss of the first rows before any training; raises StageRefused unless it is ln 2.

    A policy that equals its reference prefers nothing, whatever the rows: -log sigmoid(0) = ln 2. With `moved`, the policy
    has left its reference on purpose, and the reference takes its place for the check.
    """
    import torch

    model = trainer.model
    kept = trainer.loss_types, trainer.loss_weights, trainer.use_weighting
    trainer.loss_types, trainer.loss_weights, trainer.use_weighting = ["sigmoid"], [1.0], False
    rows = range(min(len(trainer.train_dataset), trainer.args.per_device_train_batch_size))
    try:
        model.eval()
        model.set_adapter("ref" if moved else "default")
        with quiet(), torch.no_grad(), trainer.compute_loss_context_manager():
            loss = float(trainer.compute_loss(model, _collated(trainer, rows)))
    finally:
        model.set_adapter("default")
        trainer.loss_types, trainer.loss_weights, trainer.use_weighting = kept
    if not abs(loss - math.log(2)) <= tolerance:
        raise StageRefused(f"the first DPO loss is {loss:.6f}; a policy that equals its reference has ln 2 = {math.log(2):.6f}, "
                           f"within {tolerance:g}. The reference is not the policy that training starts from: train the parent "
                           "again, or name the right one")
    return loss


def _collated(trainer: Any, rows: Sequence[int]) -> Any:
    batch = trainer.data_collator([trainer.train_dataset[i] for i in rows])
    return {name: tensor.to(trainer.args.device) for name, tensor in batch.items()}
