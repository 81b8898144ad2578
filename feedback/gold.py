"""Known answers as people write them: `gold.jsonl`, from which items of known truth are mixed into the queues."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import Field

from feedback.config import Strict
from feedback.errors import InvalidInput
from feedback.ids import CompletionId, PolicyId, PromptId, unit_interval
from feedback.jsonl import read_numbered
from feedback.rubric import Rubric
from feedback.schemas import Completion, Decoding, GoldAnswer, Message, Prompt, Purpose, Queue, ReviewItem, VerdictValue

POLICY = PolicyId("gold")
"""Stands for whoever wrote the answer: no policy is judged by it."""


class GoldLine(Strict):
    """One line of `gold.jsonl`."""

    prompt: str | tuple[Message, ...] = Field(min_length=1)
    """The question, or a conversation whose last message is the user's."""
    completion: str
    """The answer that reviewers will see."""
    verdict: VerdictValue
    """The right verdict on it."""
    hallucinated: bool | None = None
    """Whether it states something false or unsupported; left out when that does not matter."""
    criteria: dict[str, int] = {}
    """The right rating by criterion of the rubric, where there is one."""
    reference: str | None = None
    """Shown as evidence. A question that stands in `prompts.jsonl` or `critical.jsonl` is shown with the reference there."""
    topic: str | None = None


@dataclass(frozen=True)
class Gold:
    """One known answer."""

    prompt: Prompt
    completion: Completion
    line: GoldLine

    def item(self, *, round: int, reviews: int, beside: Purpose | None = None) -> ReviewItem:
        """The item that asks for it, mixed into items of that purpose."""
        return ReviewItem.of(queue=Queue.RATE, purpose=Purpose.GOLD, round=round, prompt_id=self.prompt.id,
                             completion_ids=[self.completion.id], reviews=reviews, beside=beside)

    def answer(self, item: ReviewItem) -> GoldAnswer:
        """What is known of that item."""
        return GoldAnswer(item_id=item.id, completion_id=self.completion.id, verdict=self.line.verdict,
                          hallucinated=self.line.hallucinated, criteria=self.line.criteria)


def read_gold(path: Path, *, prompts: Iterable[Prompt] = (), rubric: Rubric) -> list[Gold]:
    """The known answers of a file, in order; none when there is no such file.

    `prompts`: the project's own; a question among them keeps their particulars. Raises InvalidInput listing every line that
    is malformed, empty, repeated, without a verdict to compare with, or outside the rubric's scales.
    """
    if not path.exists():
        return []
    known = {prompt.id: prompt for prompt in prompts}
    scales = {criterion.name: criterion.scale for criterion in rubric.criteria}
    problems: list[str] = []
    found: dict[CompletionId, Gold] = {}
    for number, line in read_numbered(path, GoldLine):
        made = _gold(line, known)
        told = _problems(line, made, scales)
        if made.completion.id in found:
            told.append(f"{made.prompt.text[:60]!r} has this answer twice; remove one")
        problems += [f"{path}:{number}: {text}" for text in told]
        found[made.completion.id] = made
    if problems:
        raise InvalidInput(problems)
    return list(found.values())


def _gold(line: GoldLine, known: Mapping[PromptId, Prompt]) -> Gold:
    messages = (Message(role="user", content=line.prompt),) if isinstance(line.prompt, str) else line.prompt
    prompt = Prompt.of(messages, topic=line.topic, reference=line.reference)
    prompt = known.get(prompt.id, prompt)
    return Gold(prompt=prompt, line=line, completion=Completion.of(
        prompt_id=prompt.id, policy_id=POLICY, index=0, text=line.completion, decoding=Decoding(engine="a person")))


def _problems(line: GoldLine, made: Gold, scales: Mapping[str, tuple[int, ...]]) -> list[str]:
    problems = []
    if not made.prompt.text.strip() or made.prompt.messages[-1].role != "user":
        problems.append("prompt: it must end with a question of the user's that is not empty")
    if not line.completion.strip():
        problems.append("completion: it is empty; reviewers need an answer to judge")
    if line.verdict is VerdictValue.CANNOT_TELL:
        problems.append("verdict is 'cannot tell'; a known answer needs a verdict that can be right or wrong")
    for name, value in line.criteria.items():
        if value not in scales.get(name, ()):
            allowed = f"use one of {list(scales[name])}" if name in scales else f"the rubric's are {', '.join(scales)}"
            problems.append(f"criteria.{name} is {value}; {allowed}")
    return problems


def chosen(gold: Sequence[Gold], *, asked: Mapping[CompletionId, int], beside: int, share: float, salt: str) -> list[Gold]:
    """Known answers to mix into `beside` other items so that they are a `share` of all: least often asked first, then by hash.

    Fewer when there are fewer: nobody meets the same one twice in a round.
    """
    wanted = math.ceil(share * beside / (1 - share))
    order = sorted(gold, key=lambda one: (asked.get(one.completion.id, 0), unit_interval(f"gold:{salt}:{one.completion.id}")))
    return order[:wanted]


def corrections(gold: Sequence[Gold], items: Iterable[ReviewItem]) -> list[GoldAnswer]:
    """What the file says now of gold items made earlier; of those whose answer left the file, nothing."""
    by_completion = {one.completion.id: one for one in gold}
    return [by_completion[item.completion_ids[0]].answer(item) for item in items if item.completion_ids[0] in by_completion]
