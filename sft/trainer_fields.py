"""The fields of TRL's configurations, read from its source: a misspelt one is found when the file is read, in milliseconds.

Importing TRL to ask it takes five seconds and torch, which the review side does not have.
"""

from __future__ import annotations

import ast
import difflib
import functools
import importlib.util
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

Kind = Literal["SFTConfig", "DPOConfig", "RewardConfig", "RLOOConfig", "GRPOConfig"]

SOURCES = {
    "SFTConfig": ("trl", "trainer/sft_config.py"),
    "DPOConfig": ("trl", "trainer/dpo_config.py"),
    "RewardConfig": ("trl", "trainer/reward_config.py"),
    "RLOOConfig": ("trl", "trainer/rloo_config.py"),
    "GRPOConfig": ("trl", "trainer/grpo_config.py"),
    "_BaseConfig": ("trl", "trainer/base_config.py"),
    "TrainingArguments": ("transformers", "training_args.py"),
}
"""Class -> package and file that define it."""

_STAGE = "Redpen decides it so that a stage can resume and be reproduced"
_ROWS = "Redpen encodes the rows itself, so that training and sampling see the same tokens"
_AUDIT = "policies are measured by the audit, not during training"
OWNED = {
    "output_dir": "checkpoints lie in the stage's folder until it ends",
    "use_cpu": "set model.device instead",
    "no_cuda": "set model.device instead",
    "bf16": "set model.dtype instead",
    "fp16": "set model.dtype instead",
    "seed": "set the project's seed instead",
    "data_seed": "set the project's seed instead",
    "max_length": "set model.max_length instead",
    "beta": "set dpo.beta or rl.beta instead",
    "num_generations": "set rl.samples instead", "num_generations_eval": "set rl.samples instead",
    "max_completion_length": "set sampling.max_new_tokens instead", "temperature": "set sampling.temperature instead",
    "top_p": "set sampling.top_p instead", "num_iterations": _STAGE, "steps_per_generation": _STAGE,
    "generation_batch_size": "set per_device_train_batch_size and gradient_accumulation_steps instead",
    "model_init_kwargs": "the base is loaded as model: says",
    "trust_remote_code": "set model.trust_remote_code instead",
    "resume_from_checkpoint": "a stage resumes by itself",
    "disable_tqdm": "progress is shown by Redpen",
    "push_to_hub": "use `redpen policy export` and upload the folder",
    "logging_nan_inf_filter": "a loss that is not a number ends the stage",
    "save_only_model": _STAGE, "full_determinism": _STAGE, "restore_callback_states_from_checkpoint": _STAGE,
    "ignore_data_skip": _STAGE,
    "do_train": _STAGE, "do_eval": _AUDIT, "do_predict": _AUDIT, "eval_strategy": _AUDIT, "eval_steps": _AUDIT,
    "eval_on_start": _AUDIT, "eval_packing": _AUDIT, "load_best_model_at_end": _AUDIT, "metric_for_best_model": _AUDIT,
    "dataset_text_field": _ROWS, "dataset_kwargs": _ROWS, "dataset_num_proc": _ROWS, "chat_template_path": _ROWS,
    "eos_token": _ROWS, "pad_token": _ROWS, "truncation_mode": _ROWS, "remove_unused_columns": _ROWS,
    "assistant_only_loss": _ROWS, "completion_only_loss": "the loss is on the completion, always: the prompt is not the model's",
}
"""Fields of TRL that `trainer:` may not set, and why."""

NUMBERS = {"float": float, "int": int}


def problems(kind: Kind, trainer: Mapping[str, Any]) -> list[str]:
    """What is wrong with the keys and plain values of a `trainer:` section; empty when all is well or TRL is not installed."""
    known = fields(kind)
    found = []
    for name, value in trainer.items():
        if name in OWNED:
            found.append(f"{name}: cannot be set here; {OWNED[name]}")
        elif known and name not in known:
            found.append(f"{name}: not a field of TRL's {kind}; {_hint(name, known)}")
        elif known and not _fits(value, known[name]):
            found.append(f"{name}: found {value!r}; TRL's {kind} takes {known[name]}")
    return found


def checked(kind: Kind, trainer: Mapping[str, Any]) -> dict[str, Any]:
    """The section as TRL will take it. Raises ValueError with every problem, for a configuration's validator."""
    if found := problems(kind, trainer):
        raise ValueError("; ".join(found))
    return as_typed(kind, trainer)


def as_typed(kind: Kind, trainer: Mapping[str, Any]) -> dict[str, Any]:
    """The section with numbers for texts such as `1e-4`, which YAML reads as a text because it has no point."""
    known = fields(kind)
    return {name: _number(value, known.get(name, "")) for name, value in trainer.items()}


def _hint(name: str, known: Mapping[str, str]) -> str:
    settable = sorted(set(known) - set(OWNED))
    near = difflib.get_close_matches(name, settable, n=1)
    return f"did you mean `{near[0]}`?" if near else "its documentation lists them"


def _fits(value: Any, annotation: str) -> bool:
    """False where a value is certainly of another type; what the annotation leaves open passes."""
    allowed = {part.strip() for part in annotation.split("|")}
    if not allowed <= {"float", "int", "bool", "str", "None"}:
        return True
    value = _number(value, annotation)
    name = {bool: "bool", int: "int", float: "float", str: "str", type(None): "None"}.get(type(value))
    return name in allowed or (name == "int" and "float" in allowed)


def _number(value: Any, annotation: str) -> Any:
    kinds = [convert for name, convert in NUMBERS.items() if re.search(rf"\b{name}\b", annotation)]
    if not isinstance(value, str) or "str" in annotation or not kinds:
        return value
    try:
        return kinds[0](value)
    except ValueError:
        return value


@functools.cache
def fields(kind: str) -> Mapping[str, str]:
    """Name -> annotation of every field, inherited ones included; empty when the library is not installed."""
    package, inner = SOURCES[kind]
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        return {}
    tree = ast.parse((Path(spec.origin).parent / inner).read_text(encoding="utf-8"))
    found = next(node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == kind)
    own = {line.target.id: ast.unparse(line.annotation) for line in found.body
           if isinstance(line, ast.AnnAssign) and isinstance(line.target, ast.Name)}
    inherited = [fields(base.id) for base in found.bases if isinstance(base, ast.Name) and base.id in SOURCES]
    return {name: text for part in [*inherited, own] for name, text in part.items()}
