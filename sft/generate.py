"""Prompts -> completions: K answers each, in batches of like length, resumable, the same whatever interrupted it."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from feedback.config import Strict
from feedback.errors import InvalidInput, NothingToDo
from feedback.ids import PolicyId, content_hash
from feedback.jsonl import write_rows
from feedback.lineage import Draft, Manifest, read_manifest, writing
from feedback.schemas import Completion, Decoding, Prompt
from feedback.terminal import progress
from sft import decode, vllm_engine
from sft.adapters import Policy, input_hash, load_policy, policy_id_of
from sft.chat import encode_prompt, stop_ids, to_text
from sft.config import ModelConfig, SamplingConfig
from sft.model import base_folder, load_tokenizer, set_threads


class GenerateStage(Strict):
    """Everything that decides the answers, beside the prompts and the adapter."""

    model: ModelConfig
    sampling: SamplingConfig = SamplingConfig()
    seed: int = 0


@dataclass(frozen=True)
class Batch:
    """Prompts answered together."""

    prompts: tuple[Prompt, ...]
    ids: tuple[list[int], ...]
    """Token ids of each prompt."""


@dataclass(frozen=True)
class Engine:
    """What answers a batch: transformers with a model in memory, or vLLM."""

    name: str
    tokenizer: Any
    policy_id: PolicyId
    prompts_at_once: int
    answer: Callable[[Batch], list[decode.Answer]]
    """The K answers of one prompt together, prompts in order."""


def run(config: GenerateStage, *, prompts: Sequence[Prompt], adapter: Path | None, out: Path) -> Manifest:
    """Write prompts.jsonl and completions.jsonl into `out`, K answers to each prompt from the base with `adapter`.

    Batches that an interrupted run had finished are not answered again, and the rest come out as they would have.
    Raises NothingToDo without prompts, InvalidInput for prompts that leave no room for an answer.
    """
    if not prompts:
        raise NothingToDo(f"{out}: no prompts to answer; give at least one")
    with writing(out, stage="generate", inputs=inputs_of(config, prompts, adapter), config=config) as draft:
        draft.threads = set_threads(config.model)
        completions = answers(engine_of(config, adapter), prompts, config.sampling, config.seed,
                              max_length=config.model.max_length, finished=draft.scratch / "answers.jsonl")
        write(draft, prompts, completions)
    return read_manifest(out)


def write(draft: Draft, prompts: Sequence[Prompt], completions: Sequence[Completion]) -> None:
    """Prompts and answers as a stage's files, sorted by id, and their counts."""
    draft.counts["prompts"] = write_rows(draft.folder / "prompts.jsonl", sorted(prompts, key=lambda prompt: prompt.id))
    draft.counts["completions"] = write_rows(draft.folder / "completions.jsonl", sorted(completions, key=lambda row: row.id))
    draft.counts["unfinished"] = sum(not row.finished for row in completions)


def inputs_of(config: GenerateStage, prompts: Sequence[Prompt], adapter: Path | None) -> dict[str, str]:
    """What a manifest records of the prompts and of the policy that answers them."""
    policy_id = policy_id_of(config.model, adapter)
    return {"prompts": content_hash("prompts", sorted(prompt.id for prompt in prompts)),
            "adapter": input_hash(adapter) if adapter else policy_id}


def sample(policy: Policy, prompts: Sequence[Prompt], sampling: SamplingConfig, seed: int) -> list[Completion]:
    """K answers to each prompt, in the prompts' order, by a model in memory. An answer depends on seed, prompt and policy."""
    return answers(_in_memory(policy, sampling, seed), prompts, sampling, seed)


def engine_of(config: GenerateStage, adapter: Path | None) -> Engine:
    """What answers for the base with `adapter`, loaded: vLLM where it shall, else transformers."""
    if not vllm_engine.wanted(config.model, config.sampling):
        return _in_memory(load_policy(config.model, adapter), config.sampling, config.seed)
    tokenizer, _ = load_tokenizer(config.model, base_folder(config.model.base))
    ask = vllm_engine.start(config.model, adapter, config.sampling, seed=config.seed, stop=stop_ids(tokenizer))
    return Engine(name="vllm", tokenizer=tokenizer, policy_id=policy_id_of(config.model, adapter),
                  prompts_at_once=vllm_engine.PROMPTS_AT_ONCE, answer=lambda batch: ask([p.id for p in batch.prompts], batch.ids))


def _in_memory(policy: Policy, sampling: SamplingConfig, seed: int) -> Engine:
    import torch

    def ask(batch: Batch) -> list[decode.Answer]:
        noise = [decode.chances(seed, prompt.id, count=sampling.completions, length=sampling.max_new_tokens)
                 for prompt in batch.prompts]
        return decode.answer(policy.model, batch.ids, chances_R_N=torch.cat(noise), sampling=sampling,
                             stop=stop_ids(policy.tokenizer, policy.model), pad=policy.tokenizer.pad_token_id)

    at_once = max(1, sampling.batch_size // sampling.completions)
    return Engine(name="transformers", tokenizer=policy.tokenizer, policy_id=policy.id, prompts_at_once=at_once, answer=ask)


def answers(engine: Engine, prompts: Sequence[Prompt], sampling: SamplingConfig, seed: int, *, max_length: int | None = None,
            finished: Path | None = None) -> list[Completion]:
    """K answers to each prompt, in the prompts' order.

    With `finished`, each batch is appended to that file, and batches found there are taken from it."""
    decoding = Decoding(temperature=sampling.temperature, top_p=sampling.top_p, max_new_tokens=sampling.max_new_tokens,
                        seed=seed, engine=engine.name)
    done = _read_finished(finished)
    made: dict[str, list[Completion]] = {}
    with progress("sampling", total=len(prompts) * sampling.completions) as advance:
        for number, batch in enumerate(in_batches(engine, prompts, max_length=max_length)):
            rows = done[number] if number < len(done) else _completions(engine, batch, decoding)
            if finished and number >= len(done):
                _append(finished, rows)
            for row in rows:
                made.setdefault(row.prompt_id, []).append(row)
            advance(len(rows))
    return [row for prompt in prompts for row in made[prompt.id]]


def in_batches(engine: Engine, prompts: Sequence[Prompt], *, max_length: int | None) -> list[Batch]:
    """The prompts by length, longest first so that a batch too big for the memory shows at once, fixed by the list alone.

    Raises InvalidInput listing every prompt that leaves no room for an answer within `max_length`.
    """
    encoded = [(encode_prompt(engine.tokenizer, prompt.messages), prompt) for prompt in {p.id: p for p in prompts}.values()]
    problems = [f"prompt {prompt.id} ({prompt.text[:60]!r}) has {len(ids)} tokens; model.max_length is {max_length} and the "
                "answer needs room too: shorten the prompt or raise model.max_length"
                for ids, prompt in encoded if max_length is not None and len(ids) >= max_length]
    if problems:
        raise InvalidInput(problems)
    encoded.sort(key=lambda pair: (-len(pair[0]), pair[1].id))
    parts = [encoded[start:start + engine.prompts_at_once] for start in range(0, len(encoded), engine.prompts_at_once)]
    return [Batch(prompts=tuple(prompt for _, prompt in part), ids=tuple(ids for ids, _ in part)) for part in parts]


def _completions(engine: Engine, batch: Batch, decoding: Decoding) -> list[Completion]:
    found = engine.answer(batch)
    copies = len(found) // len(batch.prompts)
    asked = [(prompt, index) for prompt in batch.prompts for index in range(copies)]
    return [Completion.of(prompt_id=prompt.id, policy_id=engine.policy_id, index=index, text=to_text(engine.tokenizer, row.ids),
                          decoding=decoding, finished=row.finished)
            for (prompt, index), row in zip(asked, found, strict=True)]


def _read_finished(path: Path | None) -> list[list[Completion]]:
    """The batches that an earlier run finished, in order; a line that a kill cut short is dropped from the file."""
    if path is None or not path.exists():
        return []
    text = path.read_text(encoding="ascii", errors="replace")
    whole = text[: text.rfind("\n") + 1]
    path.write_text(whole, encoding="ascii")
    return [[Completion.model_validate(row) for row in json.loads(line)] for line in whole.splitlines()]


def _append(path: Path, rows: Sequence[Completion]) -> None:
    with path.open("a", encoding="ascii") as file:
        file.write(json.dumps([row.model_dump(mode="json") for row in rows]) + "\n")
        file.flush()
        os.fsync(file.fileno())
