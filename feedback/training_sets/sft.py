"""Demonstrations: the rewrites that reviewers wrote, and the answers that they accepted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, assert_never

from feedback.aggregation.conclusions import Sources, Verdict
from feedback.config import SetsConfig
from feedback.curation.quality import shows_nothing
from feedback.ids import CompletionId, ExampleId, PromptId, content_hash
from feedback.schemas import Completion, Prompt, VerdictValue
from feedback.training_sets.material import Material, TextKey, united
from feedback.training_sets.rewrites import Rewrite
from feedback.training_sets.rows import SftExample

FIRST = ("rewrite", "adjudicated", "accepted")
"""Which origin a demonstration is named by when it has several."""


@dataclass(frozen=True)
class Demonstrations:
    """The SFT examples, sorted by id, and the account of the verdicts that gave none."""

    examples: tuple[SftExample, ...]
    accepted: frozenset[CompletionId]
    """Completions good enough to be demonstrations, rewritten ones included."""
    refused: Mapping[str, int]
    """Reason -> verdicts."""
    merged: int
    """Demonstrations that had another's text for the same question, and whose sources it took over."""


@dataclass(frozen=True)
class _Candidate:
    prompt_id: PromptId
    text: str
    origin: Literal["accepted", "adjudicated", "rewrite"]
    sources: Sources


def demonstrations(material: Material, rewrites: Iterable[Rewrite], sets: SetsConfig) -> Demonstrations:
    """One example per question and text, rewrites first.

    An accepted answer that a reviewer rewrote gives way to the rewrite; other accepted answers to the question stay.
    """
    written = list(rewrites)
    rewritten = {completion for rewrite in written for completion in rewrite.originals}
    refused: Counter[str] = Counter()
    accepted: list[Verdict] = []
    for verdict in material.verdicts.rate:
        reason = refusal(verdict, material, sets)
        if reason is None:
            accepted.append(verdict)
        if reason or verdict.completion_id in rewritten:
            refused[reason or "accepted, and replaced by a reviewer's rewrite of it"] += 1
    candidates = [_Candidate(rewrite.item.prompt_id, rewrite.text, "rewrite", rewrite.sources) for rewrite in written]
    candidates += [_Candidate(verdict.prompt_id, material.completions[verdict.completion_id].text,
                              _accepted_how(verdict, material), verdict.sources)
                   for verdict in accepted if verdict.completion_id not in rewritten]
    examples = _merged(candidates, material)
    return Demonstrations(examples=examples, accepted=frozenset(verdict.completion_id for verdict in accepted),
                          refused=dict(sorted(refused.items())), merged=len(candidates) - len(examples))


def _accepted_how(verdict: Verdict, material: Material) -> Literal["accepted", "adjudicated"]:
    return "adjudicated" if any(material.items[item].settles for item in verdict.sources.items) else "accepted"


def refusal(verdict: Verdict, material: Material, sets: SetsConfig, *, whatever: Collection[str] = ()) -> str | None:
    """Why an answer is no demonstration, or None when it is one, `whatever` its ratings on some criteria.

    The verdict must be `correct`, nothing in the answer false, and the criteria at their thresholds. "I don't know" is
    right where the question cannot be answered, whatever its accuracy, and wrong elsewhere.
    """
    prompt = material.prompts[verdict.prompt_id]
    return (_by_outcome(verdict.outcome) or _by_flags(verdict, prompt) or _by_criteria(verdict, prompt, material, sets, whatever)
            or _by_text(material.completions[verdict.completion_id]))


def _by_text(shown: Completion) -> str | None:
    if shows_nothing(shown.text):
        return "an empty text"
    return None if shown.finished else "cut off before its end"


def _by_outcome(outcome: VerdictValue | None) -> str | None:
    match outcome:
        case VerdictValue.CORRECT:
            return None
        case VerdictValue.PARTIALLY_CORRECT | VerdictValue.INCORRECT | VerdictValue.CANNOT_TELL:
            return f"verdict: {outcome.value}"
        case None:
            return "undecided: reviewers are split on the verdict"
        case _:
            assert_never(outcome)


def _by_flags(verdict: Verdict, prompt: Prompt) -> str | None:
    if verdict.hallucinated is None:
        return "undecided: reviewers are split on whether it states something false"
    if verdict.hallucinated:
        return "states something false or unsupported"
    if prompt.answerable and verdict.abstains is not False:
        return "abstains, or may, where the answer is known"
    return None


def _by_criteria(verdict: Verdict, prompt: Prompt, material: Material, sets: SetsConfig,
                 whatever: Collection[str]) -> str | None:
    wanted = {"accuracy": sets.accept_accuracy, "tone": sets.accept_tone, "safety": sets.accept_safety}
    if verdict.abstains and not prompt.answerable:
        del wanted["accuracy"]
    for criterion in material.contents.rubric.criteria:
        threshold = None if criterion.name in whatever else wanted.get(criterion.name)
        if threshold is None:
            continue
        if criterion.name not in verdict.criteria:
            return f"nobody rated its {criterion.name}"
        if verdict.criteria[criterion.name] < criterion.at(threshold):
            return f"{criterion.name} below {criterion.at(threshold):g}"
    return None


def _merged(candidates: Iterable[_Candidate], material: Material) -> tuple[SftExample, ...]:
    groups: dict[TextKey, list[_Candidate]] = {}
    for candidate in candidates:
        groups.setdefault(material.text_key(candidate.prompt_id, candidate.text), []).append(candidate)
    examples = [_example(sorted(group, key=lambda c: (FIRST.index(c.origin), c.prompt_id, c.text)), material)
                for group in groups.values()]
    return tuple(sorted(examples, key=lambda example: example.id))


def _example(group: list[_Candidate], material: Material) -> SftExample:
    first = group[0]
    prompt = material.prompts[first.prompt_id]
    made = content_hash("sft", [prompt.id, [message.model_dump() for message in prompt.messages], first.text])
    return SftExample(id=ExampleId(made), prompt_id=prompt.id, family=prompt.family, topic=prompt.topic,
                      synthetic=prompt.synthetic, messages=prompt.messages, completion=first.text, origin=first.origin,
                      sources=united(candidate.sources for candidate in group))
