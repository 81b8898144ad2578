"""Augmentation: the model itself writes other ways to ask a question, and rare questions beside it.

All of it is marked as synthetic. Held-out and critical questions are never its material, and what happens to ask one of
them is dropped: otherwise a policy would be judged on what it was trained on in other words.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import Field

from feedback.config import SplitConfig, Strict
from feedback.curation.duplicates import conversation
from feedback.curation.families import merged_families
from feedback.errors import NothingToDo
from feedback.ids import FamilyId, PromptId, content_hash
from feedback.jsonl import write_rows
from feedback.lineage import Draft, Manifest, read_manifest, writing
from feedback.prompts import PromptLine
from feedback.schemas import Completion, Message, Prompt
from feedback.training_sets.split import held_out_families
from sft.generate import Engine, GenerateStage, answers, engine_of, inputs_of, write
from sft.model import set_threads

QUESTIONS = "questions.jsonl"
Kind = Literal["variations", "rare"]

REQUESTS: dict[Kind, str] = {
    "variations": "Ask the following question in other words. It must ask for exactly the same thing. "
                  "Write the new question and nothing else.\n\nQuestion: {question}",
    "rare": "Here is a question that users ask.\n\nQuestion: {question}\n\nWrite another question on the same subject that is "
            "rarely asked and easily answered wrongly. Write the new question and nothing else.",
}
"""What the model is asked to write."""
LONGEST = 4
"""A variation may be this many times as long as its question; longer ones have begun to answer it."""
LEADS = ("question:", "new question:", "q:")


class AugmentConfig(Strict):
    """What the model writes."""

    kind: Kind = "variations"
    """`variations`: other words for the same question, in the same family; `rare`: other questions on the subject."""
    per_prompt: int = Field(default=3, ge=1)
    """Questions sampled from each prompt; equal and unusable ones are dropped and counted."""
    answers: bool = True
    """Answer the new questions as well, `sampling.completions` times each."""


class AugmentStage(GenerateStage):
    """Everything that decides the new questions, beside the prompts and the adapter."""

    split: SplitConfig = SplitConfig()
    augment: AugmentConfig = AugmentConfig()


@dataclass(frozen=True)
class Written:
    """The new questions, and what became of the others."""

    prompts: tuple[Prompt, ...]
    refused: dict[str, int]
    """Reason -> texts."""


def run(config: AugmentStage, *, prompts: Sequence[Prompt], adapter: Path | None, out: Path,
        known: Sequence[Prompt] = ()) -> Manifest:
    """Write synthetic questions into `out`: questions.jsonl in the form of a prompts file, prompts.jsonl, completions.jsonl.

    `known`: the project's other prompts, critical ones above all; they say what else is held out and asked already. Raises
    NothingToDo when every prompt is held out, critical or synthetic, or when no text of the model was a new question.
    """
    sources = material(prompts, config.split, known)
    if not sources:
        raise NothingToDo(f"{out}: none of the {len(prompts)} prompts may be varied: held-out, critical and synthetic ones are "
                          "no material. Give prompts of families that train")
    with writing(out, stage="augment", inputs=inputs_of(config, prompts, adapter) | _known_inputs(known), config=config) as draft:
        draft.threads = set_threads(config.model)
        engine = engine_of(_with_copies(config, config.augment.per_prompt), adapter)
        found = _questions(config, engine, sources, known=[*prompts, *known], draft=draft)
        answered = _answers(config, adapter, found, draft) if config.augment.answers else []
        write(draft, found, answered)
        write_rows(draft.folder / QUESTIONS, [_line(prompt) for prompt in found])
    return read_manifest(out)


def _known_inputs(known: Sequence[Prompt]) -> dict[str, str]:
    rows = sorted({(prompt.id, prompt.family, prompt.critical) for prompt in known})
    return {"known": content_hash("prompts", rows)} if rows else {}


def material(prompts: Sequence[Prompt], split: SplitConfig, known: Sequence[Prompt] = ()) -> list[Prompt]:
    """The prompts that may be varied: people's own, of families that train."""
    held_out = held_out_families([*prompts, *known], split)
    return [prompt for prompt in prompts if prompt.family not in held_out and not prompt.synthetic]


def _with_copies(config: AugmentStage, copies: int) -> GenerateStage:
    sampling = config.sampling.model_copy(update={"completions": copies})
    return GenerateStage(model=config.model, sampling=sampling, seed=config.seed)


def _questions(config: AugmentStage, engine: Engine, sources: Sequence[Prompt], *, known: Sequence[Prompt],
               draft: Draft) -> list[Prompt]:
    requests = [_request(prompt, config.augment.kind) for prompt in sources]
    stage = _with_copies(config, config.augment.per_prompt)
    texts = answers(engine, requests, stage.sampling, config.seed, max_length=config.model.max_length,
                    finished=draft.scratch / "questions.jsonl")
    of_request = {request.id: source for request, source in zip(requests, sources, strict=True)}
    written = read_questions([(of_request[row.prompt_id], row) for row in texts], kind=config.augment.kind, known=known,
                             held_out=held_out_families(known, config.split))
    draft.counts |= {"sources": len(sources), "written": len(texts)}
    draft.counts |= {f"refused, {reason}": count for reason, count in written.refused.items()}
    if not written.prompts:
        told = ", ".join(f"{count} {why}" for why, count in written.refused.items())
        raise NothingToDo(f"none of the {len(texts)} texts that the model wrote is a new question ({told}); use a model that "
                          "follows instructions, or raise sampling.max_new_tokens")
    return list(written.prompts)


def _request(prompt: Prompt, kind: Kind) -> Prompt:
    return Prompt.of([Message(role="user", content=REQUESTS[kind].format(question=prompt.text))])


def read_questions(texts: Sequence[tuple[Prompt, Completion]], *, kind: Kind, known: Sequence[Prompt],
                   held_out: frozenset[FamilyId] = frozenset()) -> Written:
    """The new questions among (the prompt that they come from, what the model wrote), each once.

    What asks nearly what a prompt of a `held_out` family asks is refused: it would take the family that it was made for out of
    training.
    """
    asked = {conversation(prompt.messages) for prompt in known}
    refused: Counter[str] = Counter()
    made: dict[object, Prompt] = {}
    for source, row in texts:
        text = _cleaned(row.text)
        prompt = _synthetic(source, text or "-", kind)
        key = conversation(prompt.messages)
        if reason := _refusal(source, row, text, kind):
            refused[reason] += 1
        elif key in asked or key in made:
            refused["asked already"] += 1
        else:
            made[key] = prompt
    near = _near([*made.values()], known, held_out)
    if near:
        refused["nearly a held-out question"] = len(near)
    return Written(prompts=tuple(prompt for prompt in made.values() if prompt.id not in near),
                   refused=dict(sorted(refused.items())))


def _near(made: Sequence[Prompt], known: Sequence[Prompt], held_out: frozenset[FamilyId]) -> frozenset[PromptId]:
    """Those that ask nearly what a held-out prompt asks, each looked at as if it were a family of its own."""
    apart = [prompt.model_copy(update={"family": FamilyId(f"synthetic {prompt.id}")}) for prompt in made]
    leader = merged_families([*(prompt for prompt in known if prompt.family in held_out), *apart])
    taken = {leader[prompt.family] for prompt in known if prompt.family in held_out}
    return frozenset(prompt.id for prompt in apart if leader[prompt.family] in taken)


def _cleaned(text: str) -> str:
    """The first line with something on it, without the quotes and the label that models put around a question."""
    line = next((line.strip() for line in text.splitlines() if line.strip()), "")
    for lead in LEADS:
        if line.lower().startswith(lead):
            line = line[len(lead):].strip()
    return line.strip("\"'\u201c\u201d* ").strip()


def _refusal(source: Prompt, row: Completion, text: str, kind: Kind) -> str | None:
    if not text:
        return "empty"
    if not row.finished and "\n" not in row.text.strip():
        return "cut off before its end"
    if kind == "variations" and len(text) > LONGEST * max(len(source.text), 20):
        return "too long for the same question"
    return None


def _synthetic(source: Prompt, text: str, kind: Kind) -> Prompt:
    """Without the reference: nobody has checked that it still answers what the model made of the question."""
    messages = [*source.messages[:-1], Message(role="user", content=text)]
    same = kind == "variations"
    return Prompt.of(messages, family=source.family if same else None, topic=source.topic,
                     answerable=source.answerable if same else True, synthetic=True)


def _answers(config: AugmentStage, adapter: Path | None, prompts: Sequence[Prompt], draft: Draft) -> list[Completion]:
    stage = _with_copies(config, config.sampling.completions)
    return answers(engine_of(stage, adapter), prompts, stage.sampling, config.seed, max_length=config.model.max_length,
                   finished=draft.scratch / "answers.jsonl")


def _line(prompt: Prompt) -> PromptLine:
    asked: str | tuple[Message, ...] = prompt.text if len(prompt.messages) == 1 else prompt.messages
    return PromptLine(prompt=asked, family=prompt.family, topic=prompt.topic, answerable=prompt.answerable, synthetic=True)
