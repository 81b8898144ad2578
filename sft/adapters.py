"""Adapters that name their base: written without a path or a time in them, and refused on any other base."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from feedback.config import Strict, validate
from feedback.errors import BaseMismatch, InvalidInput, LineageError
from feedback.ids import HASH_LENGTH, PolicyId, canonical_json, content_hash, file_hash
from feedback.lineage import MANIFEST, manifest_hash
from sft.config import BORROWING, LoraConfig, ModelConfig
from sft.lora_starts import on_the_base, start_of, started
from sft.model import Base, Task, base_folder, base_hash, is_exact, load_base
from sft.silence import quiet

WEIGHTS, SETTINGS, RECORD = "adapter_model.safetensors", "adapter_config.json", "policy.json"


class PolicyRecord(Strict):
    """`policy.json`: what an adapter is and where it comes from."""

    policy_id: PolicyId
    """Hash of the adapter's files and of its base."""
    base: str
    """Hub id, `smollm2`, or the name of the base's folder."""
    base_hash: str
    parent: PolicyId | None
    """The policy whose training it continues; None when it started from the base."""
    stage: str
    """`sft`, `dpo` or `reward`."""
    training_sets: str
    """Hash of the training sets it learned from."""
    chat_template: str | None = None
    """Redpen's default template, when the base had none of its own: serve the policy with it."""


@dataclass(frozen=True)
class Policy:
    """A base with an adapter, or the base alone, in memory."""

    model: Any
    tokenizer: Any
    id: PolicyId
    base_hash: str


def base_policy_id(base_hash: str) -> PolicyId:
    """The policy that is the base alone."""
    return PolicyId(f"base-{base_hash[:HASH_LENGTH]}")


def read_policy(adapter: Path) -> PolicyRecord:
    """The record of an adapter whose files are what was recorded.

    Raises LineageError naming the folder when the record is missing or a byte was changed.
    """
    try:
        record = validate(json.loads((adapter / RECORD).read_text(encoding="utf-8")), PolicyRecord, source=str(adapter / RECORD))
        found = _policy_id(adapter, record.base_hash)
    except FileNotFoundError as error:
        raise LineageError(f"{error.filename}: missing; {adapter} is not a finished adapter of Redpen's") from None
    except (ValueError, InvalidInput) as error:
        raise LineageError(f"{adapter / RECORD}: cannot be read ({error}); train the adapter again") from None
    if found != record.policy_id:
        raise LineageError(f"{adapter}: its files hash to {found}, recorded is {record.policy_id}; "
                           "a file was altered, restore it or train the adapter again")
    return record


def _policy_id(adapter: Path, base_hash: str) -> PolicyId:
    files = {name: file_hash(adapter / name) for name in (WEIGHTS, SETTINGS)}
    return PolicyId(content_hash("policy", files | {"base_hash": base_hash}))


def input_hash(adapter: Path) -> str:
    """What a stage records of an adapter that it reads: the hash of the stage folder that holds it, else its policy id."""
    stage = adapter.parent
    return manifest_hash(stage) if (stage / MANIFEST).exists() else str(read_policy(adapter).policy_id)


def parent_id(parent: Path | None) -> PolicyId | None:
    """The policy id of the adapter that a stage continues; None when it starts from the base."""
    return read_policy(parent).policy_id if parent else None


def check_base(adapter: Path, *, name: str, found: str) -> PolicyRecord:
    """The record of an adapter that belongs to the base with the hash `found`; raises BaseMismatch naming both hashes."""
    record = read_policy(adapter)
    if record.base_hash != found:
        raise BaseMismatch(f"{adapter}: trained on base {record.base} with hash {record.base_hash}; the base given is {name} "
                           f"with hash {found}. Give the base it was trained on, or train from this base anew")
    return record


def policy_id_of(config: ModelConfig, adapter: Path | None) -> PolicyId:
    """The policy that `load_policy` would load, without loading a model."""
    folder = base_folder(config.base)
    found = base_hash(folder)
    return check_base(adapter, name=config.base, found=found).policy_id if adapter else base_policy_id(found)


def load_policy(config: ModelConfig, adapter: Path | None, *, trainable: bool = False, task: Task = "causal") -> Policy:
    """The base of `config` with `adapter` on it; without an adapter, the base alone.

    Raises BaseMismatch when the adapter belongs to another base. A policy that will not be trained is merged into a
    float32 base, which answers faster; quantized and bfloat16 bases keep the adapter apart, since merging would round it.
    """
    if adapter is not None:
        check_base(adapter, name=config.base, found=base_hash(base_folder(config.base)))
    base = load_base(config, task=task)
    if adapter is None:
        return Policy(model=base.model, tokenizer=base.tokenizer, id=base_policy_id(base.hash), base_hash=base.hash)
    model = with_adapter(base, adapter, trainable=trainable)
    if not trainable and task == "causal" and is_exact(config):
        model = model.merge_and_unload()
    return Policy(model=model.train(trainable), tokenizer=base.tokenizer, id=read_policy(adapter).policy_id, base_hash=base.hash)


def with_adapter(base: Base, adapter: Path, *, trainable: bool) -> Any:
    """A PeftModel of a loaded base and an adapter folder. Raises BaseMismatch when they do not belong together."""
    check_base(adapter, name=base.name, found=base.hash)
    with quiet():
        from peft import PeftModel

        return PeftModel.from_pretrained(base.model, str(adapter), is_trainable=trainable)


def new_adapter(base: Base, config: LoraConfig, *, task: Task = "causal", rows: Sequence[Sequence[int]] = ()) -> Any:
    """A PeftModel with a fresh adapter, which changes nothing yet. Seed torch first.

    `rows` are token ids that `init: eva` looks at. Raises InvalidInput for layers that the base does not have, for `eva`
    without rows, and for an initialisation that would change the weights of a quantized base.
    """
    _refuse_init(base, config, rows)
    with quiet():
        from peft import LoraConfig as PeftLora
        from peft import get_peft_model

    targets = config.target_modules if isinstance(config.target_modules, str) else list(config.target_modules)
    kind: dict[str, Any] = {"task_type": "CAUSAL_LM"}
    if task == "reward":
        kind = {"task_type": "SEQ_CLS", "modules_to_save": ["score"]}
    settings = PeftLora(r=config.r, lora_alpha=config.alpha, lora_dropout=config.dropout, target_modules=targets,
                        use_rslora=config.rslora, use_dora=config.dora, **start_of(config), **kind)
    try:
        with quiet():
            return started(get_peft_model(base.model, settings), base, config, rows)
    except ValueError as error:
        raise InvalidInput(f"lora.target_modules is {config.target_modules!r}: {str(error).strip().splitlines()[0]}; "
                           "use all-linear, or names of the base's linear layers") from None


def _refuse_init(base: Base, config: LoraConfig, rows: Sequence[Sequence[int]]) -> None:
    if config.init in BORROWING and getattr(base.model, "is_quantized", False):
        raise InvalidInput(f"lora.init is {config.init}, which changes the base's weights, and a quantized base cannot give back "
                           "what it rounds; use lora.init=default, gaussian, orthogonal or eva, or model.quantization=none")
    if config.init == "eva" and not rows:
        raise InvalidInput("lora.init is eva, which looks at training rows, and this stage has none to show; use another")


def save_adapter(model: Any, folder: Path, *, base: Base, parent: PolicyId | None, stage: str, training_sets: str,
                 weights: Mapping[str, Any] | None = None) -> PolicyRecord:
    """Write the trained adapter and its record into `folder`: the same bytes for the same weights on every machine.

    `weights`: those of the adapter, where they are at hand; a model in pieces can be asked by all processes together only.
    """
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    found, settings = on_the_base(model, dict(weights or adapter_weights(model)), _settings(model, base))
    save_file(found, folder / WEIGHTS, metadata={"format": "pt"})
    (folder / SETTINGS).write_text(canonical_json(settings) + "\n", encoding="utf-8")
    record = PolicyRecord(policy_id=_policy_id(folder, base.hash), base=base.name, base_hash=base.hash, parent=parent,
                          stage=stage, training_sets=training_sets, chat_template=base.default_template)
    (folder / RECORD).write_text(json.dumps(record.model_dump(), indent=1) + "\n", encoding="utf-8")
    return record


def adapter_weights(model: Any) -> dict[str, Any]:
    """The weights of the trained adapter by name, on the CPU. Where they lie in pieces, all processes must call it."""
    from peft import get_peft_model_state_dict

    # Asked whether embeddings grew, peft would look at the base's config in the hub, over the network.
    weights = get_peft_model_state_dict(model, adapter_name="default", save_embedding_layers=False)
    whole = {name: tensor.full_tensor() if hasattr(tensor, "full_tensor") else tensor for name, tensor in sorted(weights.items())}
    return {name: tensor.detach().cpu().contiguous().clone() for name, tensor in whole.items()}


def _settings(model: Any, base: Base) -> dict[str, Any]:
    settings = model.peft_config["default"].to_dict()
    # Sets come out in another order in each process, and the base's path is this machine's.
    plain = {key: sorted(value) if isinstance(value, set | frozenset) else value for key, value in settings.items()}
    plain |= {"base_model_name_or_path": base.name, "inference_mode": True, "eva_config": None}
    return dict(json.loads(json.dumps(plain, default=str)))
