"""The glossary as types: what flows from a prompt to a rating.

    Prompt -> Completion -> ReviewItem -> Rating -> Verdict | PairVerdict -> SftExample | PreferencePair | RankedSet

What is concluded from ratings is in `aggregation/conclusions.py`, the training rows in `training_sets/rows.py`.

Ids are content hashes made by the `of` constructors, so equal content is one thing everywhere.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Annotated, Any, Literal, Self

from pydantic import AwareDatetime, Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from feedback.config import Strict
from feedback.ids import (
    CompletionId,
    FamilyId,
    ItemId,
    PolicyId,
    PromptId,
    RatingId,
    ReviewerId,
    content_hash,
)


def _without(dumped: dict[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    """Without fields at their defaults that came to a value later: what was stored before them keeps its id and its bytes."""
    return {name: value for name, value in dumped.items() if name not in defaults or value != defaults[name]}


class Message(Strict):
    """One turn of a conversation."""

    role: Literal["system", "user", "assistant"]
    content: str


class Prompt(Strict):
    """What the model is asked: one or more messages, the last one the user's."""

    id: PromptId
    messages: tuple[Message, ...] = Field(min_length=1)
    family: FamilyId
    """Prompts of one family are paraphrases of one question: all of them train, or none."""
    topic: str | None = None
    reference: str | None = None
    """The known answer. Required for critical questions."""
    answerable: bool = True
    """False where the right answer is that it cannot be known."""
    critical: bool = False
    """True for questions of `critical.jsonl`: always held out, and what the ship gate counts."""
    synthetic: bool = False
    """True for questions that a model or a template wrote: they may train, and judge nothing. Never critical, never audited."""

    @classmethod
    def of(cls, messages: Sequence[Message], *, family: str | None = None, topic: str | None = None,
           reference: str | None = None, answerable: bool = True, critical: bool = False, synthetic: bool = False) -> Self:
        """A prompt whose id is the hash of its messages; without a family it is a family of its own."""
        made = PromptId(content_hash("prompt", [m.model_dump() for m in messages]))
        return cls(id=made, messages=tuple(messages), family=FamilyId(family or made), topic=topic, reference=reference,
                   answerable=answerable, critical=critical, synthetic=synthetic)

    @model_validator(mode="after")
    def _judges_nothing_when_synthetic(self) -> Self:
        if self.critical and self.synthetic:
            raise ValueError("a synthetic question cannot be critical: what nobody asked judges nothing")
        return self

    @property
    def text(self) -> str:
        """The last message's content: the question itself."""
        return self.messages[-1].content


class Decoding(Strict):
    """How an answer was sampled: enough to sample it again."""

    temperature: float = Field(default=1.0, ge=0)
    """0 takes the likeliest token each time."""
    top_p: float = Field(default=1.0, gt=0, le=1)
    max_new_tokens: int = Field(default=256, ge=1)
    seed: int = 0
    engine: str = "transformers"


class Choice(Strict):
    """How an answer was chosen among several samples to one prompt, by a reward model's lower bound."""

    best_of: int = Field(ge=1)
    """Samples it was chosen from."""
    reward: str
    """Policy id of the reward model."""
    mean: float
    """The ensemble's mean reward of the answer. Only differences within one prompt mean anything."""
    spread: float = Field(ge=0)
    """How far its members lie apart on it: their standard deviation."""
    lower: float
    """The bound that decided; the highest of its prompt."""
    scores: str
    """The file of the stage's folder that holds the same of every candidate."""


class Completion(Strict):
    """One answer of one policy to one prompt."""

    id: CompletionId
    prompt_id: PromptId
    policy_id: PolicyId
    index: int = Field(ge=0)
    """Which of the samples for this prompt, from 0."""
    text: str
    decoding: Decoding
    finished: bool = True
    """False when `max_new_tokens` cut it off."""
    choice: Choice | None = None
    """None for an answer that was sampled and not chosen."""

    @classmethod
    def of(cls, *, prompt_id: PromptId, policy_id: PolicyId, index: int, text: str, decoding: Decoding,
           finished: bool = True) -> Self:
        """A completion whose id is the hash of what was sampled and how; being chosen makes it no other answer."""
        content = {"prompt": prompt_id, "policy": policy_id, "index": index, "text": text, "decoding": decoding.model_dump()}
        return cls(id=CompletionId(content_hash("completion", content)), prompt_id=prompt_id, policy_id=policy_id,
                   index=index, text=text, decoding=decoding, finished=finished)


class Queue(StrEnum):
    """Which form a reviewer sees."""

    RATE = "rate"
    """One answer: criteria, verdict, spans, rewrite."""
    RANK = "rank"
    """Several answers to one prompt side by side: a ranking with ties, a rewrite of the best."""


class Purpose(StrEnum):
    """What the ratings of an item may be used for."""

    TRAIN = "train"
    AUDIT = "audit"
    """Judges a candidate. Never trained on."""
    TEXTS = "texts"
    """A user's own text that experts label. No model wrote it, and none is trained on what is said of it."""
    GOLD = "gold"
    """Its answer is known: it shows how reliable its reviewers are. Never trained on, and no part of any audit figure."""


class ReviewItem(Strict):
    """What one reviewer sees at once."""

    id: ItemId
    queue: Queue
    purpose: Purpose
    round: int = Field(ge=0)
    prompt_id: PromptId
    completion_ids: tuple[CompletionId, ...] = Field(min_length=1)
    """In display order, which is a hash of the item: a reviewer cannot learn which model stands where."""
    reviews: int = Field(default=1, ge=1)
    """Reviewers asked for."""
    settles: ItemId | None = None
    """The item on which people disagreed and that this one settles: its ratings count in the place of theirs."""
    again: int = Field(default=0, ge=0)
    """Reviews that the same answers had when one more was asked for in an item of its own; 0 for the first."""
    beside: Purpose | None = None
    """Of a gold item: the purpose of the items that it is mixed into, whose place in the reviewers' queue it takes."""

    @classmethod
    def of(cls, *, queue: Queue, purpose: Purpose, round: int, prompt_id: PromptId, completion_ids: Sequence[CompletionId],
           reviews: int = 1, settles: ItemId | None = None, again: int = 0, beside: Purpose | None = None) -> Self:
        """An item whose id ignores the order given, and whose display order comes from a hash of that id."""
        content = {"queue": queue, "purpose": purpose, "round": round, "prompt": prompt_id, "completions": sorted(completion_ids)}
        later = _without({"settles": settles, "again": again}, {"settles": None, "again": 0})
        made = ItemId(content_hash("item", content | later))
        shown = sorted(completion_ids, key=lambda completion: content_hash("order", [made, completion]))
        return cls(id=made, queue=queue, purpose=purpose, round=round, prompt_id=prompt_id, completion_ids=tuple(shown),
                   reviews=reviews, settles=settles, again=again, beside=beside)

    @model_serializer(mode="wrap")
    def _as_before(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return _without(dump(self), {"settles": None, "again": 0, "beside": None})

    @model_validator(mode="after")
    def _sizes_fit_the_queue(self) -> Self:
        if self.queue is Queue.RATE and len(self.completion_ids) != 1:
            raise ValueError(f"a rate item shows 1 completion, found {len(self.completion_ids)}")
        if self.queue is Queue.RANK and len(set(self.completion_ids)) < 2:
            raise ValueError("a rank item shows at least 2 different completions")
        return self


class Reviewer(Strict):
    """A person who rates."""

    id: ReviewerId
    """The Argilla user's id: it survives a renaming."""
    name: str
    simulated: bool = False
    """True for `sim-...` reviewers."""

    @property
    def called(self) -> str:
        """The name as people read it: of a program it is said that it is one."""
        return f"{self.name} (simulated)" if self.simulated else self.name


class VerdictValue(StrEnum):
    """What a reviewer concludes about one answer."""

    CORRECT = "correct"
    PARTIALLY_CORRECT = "partially correct"
    INCORRECT = "incorrect"
    CANNOT_TELL = "cannot tell"


class Flag(StrEnum):
    """Facts about an answer that the verdict does not carry."""

    HALLUCINATED = "states something false or unsupported"
    ABSTAINS = "says it does not know"


class Quarantine(Strict):
    """A reviewer whose ratings count for nothing until the quarantine is lifted. They stay where they are."""

    reviewer_id: ReviewerId
    reason: str
    actor: str
    """The lead who approved it."""
    at: AwareDatetime


class GoldAnswer(Strict):
    """What is known about the completion of a gold item."""

    item_id: ItemId
    completion_id: CompletionId
    verdict: VerdictValue
    hallucinated: bool | None
    """Whether it states something false or unsupported; None when that is not known."""
    criteria: dict[str, int]
    """The right rating by criterion, where there is one."""


class SpanType(StrEnum):
    """How marked words are wrong."""

    CONTRADICTED = "contradicted"
    """The source says otherwise."""
    NOT_IN_SOURCE = "not in source"
    """The source does not say it."""


class Severity(StrEnum):
    """How much harm marked words do."""

    MINOR = "minor"
    MAJOR = "major"


class Span(Strict):
    """A marked part of an answer, in characters: `text[start:end]`."""

    start: int = Field(ge=0)
    end: int = Field(ge=1)
    label: str = "hallucinated"
    type: SpanType | None = None
    severity: Severity | None = None
    entity: bool = False
    """True when the mark says what the words are about and finds no error."""

    @model_serializer(mode="wrap")
    def _as_before(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return _without(dump(self), {"type": None, "severity": None, "entity": False})

    @model_validator(mode="after")
    def _is_not_empty(self) -> Self:
        if self.end <= self.start:
            raise ValueError(f"span ends at {self.end}, before or at its start {self.start}")
        return self


class RateAnswer(Strict):
    """A submitted rate form."""

    kind: Literal["rate"] = "rate"
    criteria: dict[str, int]
    """Rating by criterion, on the rubric's scale; higher is better."""
    verdict: VerdictValue
    flags: tuple[Flag, ...] = ()
    spans: tuple[Span, ...] = ()
    rewrite: str | None = None
    comment: str | None = None
    choices: dict[str, str | tuple[str, ...]] = {}
    """What was chosen, by question of the rubric: one option, or all that were ticked."""

    @model_serializer(mode="wrap")
    def _as_before(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return _without(dump(self), {"choices": {}})

    @property
    def hallucinated(self) -> bool:
        """The reviewer found something false or unsupported, by the flag or by marking it."""
        return Flag.HALLUCINATED in self.flags or not all(span.entity for span in self.spans)

    @property
    def abstains(self) -> bool:
        """The answer says that it does not know."""
        return Flag.ABSTAINS in self.flags


class RankAnswer(Strict):
    """A submitted rank form."""

    kind: Literal["rank"] = "rank"
    tiers: tuple[tuple[CompletionId, ...], ...] = Field(min_length=1)
    """Best first; completions in one tier are tied."""
    rewrite: str | None = None
    comment: str | None = None


class Deleted(Strict):
    """The answer was deleted or withdrawn in Argilla: a tombstone that replaces the versions before it."""

    kind: Literal["deleted"] = "deleted"


Answer = Annotated[RateAnswer | RankAnswer | Deleted, Field(discriminator="kind")]


class Rating(Strict):
    """One reviewer's answer to one item, in one version. Never changed: a new answer is a new version."""

    id: RatingId
    item_id: ItemId
    reviewer_id: ReviewerId
    version: int = Field(ge=1)
    """From 1; the highest version of an (item, reviewer) is the one that counts."""
    answer: Answer
    rubric: str
    """Hash of the rubric it was given under."""
    submitted_at: AwareDatetime
    """When Argilla last took the answer."""
    source: str
    """Where it was read: the Argilla record's id and the response's."""

    @classmethod
    def of(cls, *, item_id: ItemId, reviewer_id: ReviewerId, version: int, answer: RateAnswer | RankAnswer | Deleted,
           rubric: str, submitted_at: Any, source: str) -> Self:
        """A rating whose id is the hash of everything else in it, so that it cannot be altered unseen."""
        draft = cls(id=RatingId(""), item_id=item_id, reviewer_id=reviewer_id, version=version, answer=answer, rubric=rubric,
                    submitted_at=submitted_at, source=source)
        return draft.model_copy(update={"id": draft.content_id()})

    def content_id(self) -> RatingId:
        """The id that this content must have."""
        return RatingId(content_hash("rating", self.model_dump(mode="json", exclude={"id"})))
