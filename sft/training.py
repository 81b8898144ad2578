"""What the training stages share: one folder for all processes, a run that resumes, and refusals to report nothing as work."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from feedback.config import Strict
from feedback.errors import InvalidInput, StageRefused
from feedback.ids import content_hash, file_hash
from feedback.lineage import MANIFEST, Draft, manifest_hash, writing
from feedback.terminal import progress
from sft.adapters import adapter_weights, new_adapter, with_adapter
from sft.config import LoraConfig, ModelConfig
from sft.model import Base, Task, device_of
from sft.silence import quiet
from sft.trainer_args import is_main_process, world_size
from sft.watching import SECONDS_BETWEEN_CHECKPOINTS, last_checkpoint, watcher

ROOM = 1 << 20
"""Free bytes below which a failed write is taken for a full disk."""


MEMORY = ("token_budget", "activation_checkpointing")
"""Settings that a run out of memory may lower and still go on from its checkpoint."""


class StageConfig(Strict):
    """What the configurations of all training stages hold."""

    model: ModelConfig
    lora: LoraConfig = LoraConfig()
    seed: int = 0


@contextmanager
def writing_together(out: Path, *, stage: str, inputs: Mapping[str, str], config: StageConfig) -> Iterator[Draft]:
    """`lineage.writing` for all processes of `accelerate launch`: the first writes the folder, the others work inside it."""
    if world_size() == 1:
        with writing(out, stage=stage, inputs=inputs, config=config, adjustable=MEMORY) as draft, full_disk_said(draft.folder):
            yield draft
        return
    with quiet():
        from accelerate import PartialState

        # Without a word about the device it would not join processes that share a CPU.
        everyone = PartialState(cpu=device_of(config.model) == "cpu")
    if is_main_process():
        with writing(out, stage=stage, inputs=inputs, config=config, adjustable=MEMORY) as draft:
            everyone.wait_for_everyone()
            yield draft
            everyone.wait_for_everyone()
    else:
        everyone.wait_for_everyone()
        yield Draft(out.with_name(out.name + ".partial"), resumed=False)
        everyone.wait_for_everyone()
    everyone.wait_for_everyone()


@contextmanager
def full_disk_said(folder: Path) -> Iterator[None]:
    """Turn what the libraries raise on a full disk, each something else, into a StageRefused that says so."""
    from safetensors import SafetensorError

    try:
        yield
    except (OSError, RuntimeError, SafetensorError) as error:
        if shutil.disk_usage(folder).free > ROOM:
            raise
        raise StageRefused(f"{folder}: the disk is full ({str(error).strip().splitlines()[0]}); make room and run the same "
                           "command again: it goes on from the last checkpoint") from error


def sets_hash(folder: Path) -> str:
    """What a stage records of its training sets: the folder's manifest hash, or for files written by hand a hash of those."""
    if (folder / MANIFEST).exists():
        return manifest_hash(folder)
    return content_hash("files", {path.name: file_hash(path) for path in folder.glob("*.jsonl")})


def start_adapter(base: Base, parent: Path | None, lora: LoraConfig, *, seed: int, task: Task = "causal",
                  rows: Sequence[Sequence[int]] = ()) -> Any:
    """The PeftModel to train: the parent's adapter continued, or a fresh one whose random half the seed decides.

    `rows` are token ids that some initialisations look at; a reward model has none to show, and starts by default then.
    """
    if task == "reward" and lora.init == "eva":
        lora = lora.model_copy(update={"init": "default"})
    with quiet():
        from transformers import set_seed

        set_seed(seed)
        return with_adapter(base, parent, trainable=True) if parent else new_adapter(base, lora, task=task, rows=rows)


def without_preparation(trainer: type, *, prepared: bool = False) -> type:
    """TRL's trainer without what it would write or redo: no model cards, and with `prepared`, rows that are encoded already."""
    changes: dict[str, Any] = {"create_model_card": lambda self, *_, **__: None}
    if prepared:
        changes["_prepare_dataset"] = lambda self, dataset, *_, **__: dataset
    return type(trainer.__name__, (trainer,), changes)


def build(trainer: type, **arguments: Any) -> Any:
    """The trainer, quiet; raises InvalidInput when TRL refuses a combination of settings."""
    from transformers import PrinterCallback

    with quiet():
        try:
            made = trainer(**arguments)
        except (ValueError, NotImplementedError) as error:
            raise InvalidInput(f"trainer: TRL's {trainer.__name__} refuses it: {str(error).strip()}") from error
    made.remove_callback(PrinterCallback)
    return made


@dataclass(frozen=True)
class Trained:
    """What a run did."""

    steps: int
    weights: dict[str, Any]
    """The trained adapter's weights by name, on the CPU."""


def train(trainer: Any, draft: Draft, *, title: str) -> Trained:
    """Train to the end, from the last whole checkpoint if there is one.

    Raises StageRefused when the loss breaks, when no step was made, or when the adapter is what it was before.
    """
    before = adapter_weights(trainer.model)
    checkpoint = last_checkpoint(draft.scratch)
    by_clock = trainer.args.save_strategy == "no"
    with _bar(title, trainer) as advance, quiet():
        trainer.add_callback(watcher(curve=draft.logs / "curve.jsonl", advance=advance, writes=is_main_process(),
                                     seconds=SECONDS_BETWEEN_CHECKPOINTS if by_clock else None))
        trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    after = adapter_weights(trainer.model)
    steps = int(trainer.state.global_step)
    _refuse_nothing(before, after, steps=steps)
    draft.counts["steps"] = steps
    return Trained(steps=steps, weights=after)


@contextmanager
def _bar(title: str, trainer: Any) -> Iterator[Any]:
    if not is_main_process():
        yield lambda steps=1: None
        return
    per_epoch = len(trainer.get_train_dataloader()) / trainer.args.gradient_accumulation_steps
    total = trainer.args.max_steps if trainer.args.max_steps > 0 else -(-int(per_epoch) * trainer.args.num_train_epochs // 1)
    with progress(title, total=int(total)) as advance:
        yield advance


def _refuse_nothing(before: Mapping[str, Any], after: Mapping[str, Any], *, steps: int) -> None:
    import torch

    if steps == 0:
        raise StageRefused("training made no step; look at trainer.max_steps, trainer.num_train_epochs and the learning rate")
    broken = [name for name, weight in after.items() if not torch.isfinite(weight).all()]
    if broken:
        raise StageRefused(f"after {steps} steps {len(broken)} adapter weights are not finite, the first {broken[0]}; "
                           "lower trainer.learning_rate, or hold the model in float32")
    if all(torch.equal(weight, before[name]) for name, weight in after.items()):
        raise StageRefused(f"after {steps} steps the adapter is what it was before; trainer.learning_rate is too small, or the "
                           "rows carry no gradient")
