"""Demonstrations -> adapter: the SFT stage, continuing the champion's adapter on new rows and a share of the old ones."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from feedback.errors import InvalidInput, NothingToDo
from feedback.jsonl import read_rows
from feedback.lineage import Manifest, read_manifest
from feedback.schemas import Message
from feedback.training_sets.rows import SftExample
from feedback.training_sets.weights import times
from sft.adapters import input_hash, parent_id, save_adapter
from sft.chat import Encoded, encoder
from sft.config import ModelConfig, SftConfig
from sft.curves.demonstrations import report_demonstrations
from sft.model import Base, load_base, set_threads
from sft.replay import mixed
from sft.silence import quiet
from sft.trainer_args import Recipe, is_main_process, trainer_arguments
from sft.training import StageConfig, build, sets_hash, start_adapter, train, without_preparation, writing_together

RECIPE = Recipe(kind="SFTConfig", learning_rate=5e-4, batch_size=16, epochs=3, fewest_steps=40, most_epochs=10)
ROWS = "sft.jsonl"


class SftStage(StageConfig):
    """Everything that decides an SFT adapter, beside its training sets and its parent."""

    sft: SftConfig = SftConfig()


@dataclass(frozen=True)
class Rows:
    """What is trained on, and what became of the rest."""

    examples: tuple[SftExample, ...]
    counts: dict[str, int]


def run(config: SftStage, *, training_sets: Path, parent: Path | None = None, replay: Sequence[Path] = (), out: Path) -> Manifest:
    """Train an adapter on `training_sets`/sft.jsonl and rows replayed from earlier training sets; write it to `out`/adapter.

    With `parent` (an adapter folder) its training goes on, else a fresh adapter starts on the base. Raises NothingToDo without
    a row that fits, InvalidInput for rows that cannot be trained on, StageRefused when training came to nothing.
    """
    rows = read_examples(training_sets, replay, share=config.sft.replay_share, seed=config.seed)
    sets = sets_hash(training_sets)
    inputs = {"training_sets": sets} | {f"replay_{i}": sets_hash(folder) for i, folder in enumerate(replay)}
    inputs |= {"parent": input_hash(parent)} if parent else {}
    with writing_together(out, stage="sft", inputs=inputs, config=config) as draft:
        draft.threads = set_threads(config.model)
        draft.counts |= rows.counts
        base = load_base(config.model)
        encoded = _encoded(rows, config.model, base, draft.counts)
        model = start_adapter(base, parent, config.lora, seed=config.seed, rows=[row.prompt + row.completion for row in encoded])
        trainer = _trainer(config, base, model, encoded, scratch=draft.scratch)
        trained = train(trainer, draft, title="SFT")
        if is_main_process():
            save_adapter(trainer.model, draft.folder / "adapter", base=base, parent=parent_id(parent), stage="sft",
                         training_sets=sets, weights=trained.weights)
            report_demonstrations(draft.folder, trainer.state.log_history, rows.examples)
    return read_manifest(out)


def _trainer(config: SftStage, base: Base, model: Any, rows: Sequence[Encoded], *, scratch: Path) -> Any:
    arguments = trainer_arguments(RECIPE, config.sft.trainer, model=config.model, seed=config.seed, rows=len(rows),
                                  scratch=scratch)
    with quiet():
        from datasets import Dataset
        from trl import SFTTrainer

        # Labels of -100 on the prompt: the loss is on the completion alone.
        dataset = Dataset.from_dict({"input_ids": [row.prompt + row.completion for row in rows],
                                     "labels": [[-100] * len(row.prompt) + row.completion for row in rows]})
    return build(without_preparation(SFTTrainer), model=model, args=arguments, train_dataset=dataset,
                 processing_class=base.tokenizer)


def _encoded(rows: Rows, model: ModelConfig, base: Base, counts: dict[str, int]) -> list[Encoded]:
    """The rows as tokens; those longer than `max_length` are dropped and counted. Raises NothingToDo when none fits."""
    encode = encoder(base.tokenizer)
    encoded = [(row, encode(row.messages, row.completion)) for row in rows.examples]
    kept = [(row, ids) for row, ids in encoded if len(ids) <= model.max_length]
    counts["dropped_too_long"] = len(encoded) - len(kept)
    if not kept:
        raise NothingToDo(f"all {len(encoded)} rows have more than {model.max_length} tokens; raise model.max_length")
    # SFTTrainer knows no weights: a row of weight 2 stands there twice. Should all round to nothing, each stands once.
    repeated = [ids for row, ids in kept for _ in range(times(row.weight, row.id))] or [ids for _, ids in kept]
    counts["trained"] = len(repeated)
    return repeated


def read_examples(training_sets: Path, replay: Sequence[Path], *, share: float, seed: int) -> Rows:
    """New rows, and as many replayed ones as make up `share` of the whole, chosen by hash.

    Raises NothingToDo without new rows, InvalidInput naming every row that cannot be trained on.
    """
    new = read_rows(training_sets / ROWS, SftExample)
    if not new:
        raise NothingToDo(f"{training_sets / ROWS}: no demonstrations; accept answers or write rewrites, then run again")
    raise_unusable(training_sets / ROWS, new, _problem)
    old = [row for folder in replay for row in read_rows(folder / ROWS, SftExample)]
    made = mixed(new, old, share=share, seed=seed, what="SFT")
    return Rows(examples=made.rows, counts=made.counts)


def _problem(row: SftExample) -> str | None:
    if not row.completion.strip():
        return "the completion is empty; nothing can be learned from it"
    return turn_problem(row.messages)


def turn_problem(messages: Sequence[Message]) -> str | None:
    """Why these messages cannot be answered; None when they can."""
    if not messages:
        return "it has no messages; the last one must be the user's"
    if messages[-1].role != "user":
        return f"the last message is the {messages[-1].role}'s; it must be the user's"
    return None


def raise_unusable(path: Path, rows: Sequence[Any], problem: Callable[[Any], str | None]) -> None:
    """Raise InvalidInput naming each row with a problem; a repeated row is one."""
    found = [f"{path}: row {row.id}: {text}" for row in rows if (text := problem(row))]
    repeated = [name for name, count in Counter(row.id for row in rows).items() if count > 1]
    found += [f"{path}: row {name}: stands in the file more than once" for name in repeated]
    if found:
        raise InvalidInput(found)
