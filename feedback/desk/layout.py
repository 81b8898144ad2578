"""What the review pages ask, made from the rubric: one layout per dataset. Pure.

    rate, rate-2       one answer; the number is how many reviewers are asked, 1 when left out
    rank, rank-of-3    several answers side by side; 4 when left out
    settle-rate        what people disagreed on, with what they said, to be settled by one more
    rate-v2            the same after an optional question was added to the rubric

Argilla asks every reviewer of a dataset the same questions, and as many reviewers of each of its records, so items that
differ in either go into datasets of their own. Where the server routes records (routing.py) the number of reviewers is each
record's own, and there is no `rate-2`. What an item is used for does not decide where it goes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from feedback.config import QueueConfig
from feedback.errors import InvalidInput
from feedback.rubric import Choice, Mark, Option, Rubric
from feedback.schemas import Flag, Queue, ReviewItem, VerdictValue

PROMPT, REFERENCE, ANSWER, EARLIER = "prompt", "reference", "answer", "earlier"
"""Field names. Answers side by side are `answer_1`, `answer_2` and so on, in display order."""
VERDICT, FLAGS, SPANS, RANKING, REWRITE, COMMENT = "verdict", "flags", "spans", "ranking", "rewrite", "comment"
"""Question names, beside one for each criterion."""
TIE = "tie"
"""What is chosen where neither of two answers is better."""
ITEM = "redpen_item"
"""Metadata of each record, hidden from reviewers: the item's id."""

USUAL_RANK_SIZE = QueueConfig().rank_size
LARGEST_RATING, MOST_RATINGS, MOST_GUIDELINES = 10, 11, 10_000
"""What Argilla 2.x takes: ratings from 0 to 10, eleven of them, and so many characters of guidelines."""


@dataclass(frozen=True)
class Field:
    """A text that the reviewer reads."""

    name: str
    title: str
    required: bool = True
    markdown: bool = False
    """Rendered; otherwise its very characters are shown."""


@dataclass(frozen=True)
class Question:
    """Something that the reviewer fills in."""

    kind: Literal["rating", "label", "labels", "span", "text", "ranking"]
    name: str
    title: str
    description: str
    required: bool
    options: tuple[tuple[str, str], ...] = ()
    """(value, what the reviewer reads); ratings have their numbers as text."""


@dataclass(frozen=True)
class Layout:
    """One dataset: its fields, its questions in order, and how many reviewers each record waits for."""

    name: str
    guidelines: str
    fields: tuple[Field, ...]
    questions: tuple[Question, ...]
    reviews: int


@dataclass(frozen=True, order=True)
class Kind:
    """What decides an item's dataset."""

    queue: Queue
    size: int
    """Answers shown at once; 1 for rate items."""
    reviews: int
    settles: bool = False
    """What was said of the items before is shown."""

    @property
    def name(self) -> str:
        """The dataset's name."""
        size = "" if self.queue is Queue.RATE or self.size == USUAL_RANK_SIZE else f"-of-{self.size}"
        before = "settle-" if self.settles else ""
        return f"{before}{self.queue.value}{size}" + (f"-{self.reviews}" if self.reviews > 1 else "")


@dataclass(frozen=True)
class Asked:
    """What answers to one part of a page depend on: not titles, descriptions or guidelines."""

    required: bool
    answers: tuple[object, ...]


def asked(layout: Layout) -> dict[str, Asked]:
    """What answers to each part of a page depend on, in no order."""
    fields = {one.name: Asked(one.required, ()) for one in layout.fields}
    questions = {one.name: Asked(one.required, (one.kind, *(value for value, _ in one.options))) for one in layout.questions}
    return {**fields, **questions, "reviews": Asked(True, (layout.reviews,))}


def is_review_dataset(name: str) -> bool:
    """True for the names that `Kind` gives: the workspace may hold other datasets, which are left alone."""
    return re.fullmatch(r"(settle-)?(rate|rank(-of-\d+)?)(-\d+)?(-v\d+)?", name) is not None


def kind_named(name: str) -> Kind:
    """The kind of dataset that has this name."""
    found = re.fullmatch(r"(settle-)?(rate|rank)(?:-of-(\d+))?(?:-(\d+))?(?:-v\d+)?", name)
    if found is None:
        raise ValueError(f"{name!r} is no review dataset's name")
    usual = 1 if found[2] == Queue.RATE else USUAL_RANK_SIZE
    return Kind(Queue(found[2]), int(found[3] or usual), int(found[4] or 1), settles=found[1] is not None)


def version_of(name: str) -> tuple[str, int]:
    """A dataset's name without its version, and the version, from 1."""
    kind, _, number = name.partition("-v")
    return kind, int(number or 1)


def kind_of(item: ReviewItem, *, routed: bool = False) -> Kind:
    """The kind of dataset that an item belongs to. Where records are routed each says itself how many reviews it wants."""
    return Kind(queue=item.queue, size=len(item.completion_ids), reviews=1 if routed else item.reviews,
                settles=item.settles is not None)


def kinds_for(queues: QueueConfig, *, routed: bool = False, judged: bool = True) -> tuple[Kind, ...]:
    """The kinds that a project's queues need; `judged` is false where texts are labelled and no answers judged."""
    if not judged:
        return (Kind(Queue.RATE, 1, 1 if routed else queues.reviews),)
    if routed:
        queues = queues.model_copy(update={"reviews": 1, "audit_reviews": 1})
    wanted = {Kind(Queue.RATE, 1, queues.audit_reviews)}
    if queues.rate_items:
        wanted.add(Kind(Queue.RATE, 1, queues.reviews))
    if queues.rank_items:
        wanted.add(Kind(Queue.RANK, queues.rank_size, queues.reviews))
    return tuple(sorted(wanted))


def layouts(rubric: Rubric, kinds: Iterable[Kind]) -> tuple[Layout, ...]:
    """The layout of each kind. Raises InvalidInput with everything in the rubric that Argilla cannot show."""
    problems = _impossible(rubric)
    if problems:
        raise InvalidInput(problems)
    return tuple(_rate(rubric, kind) if kind.queue is Queue.RATE else _rank(rubric, kind) for kind in sorted(set(kinds)))


def _impossible(rubric: Rubric) -> list[str]:
    taken = {VERDICT, FLAGS, SPANS, RANKING, REWRITE, COMMENT}
    places = {"choices": [one.name for one in rubric.choices], "criteria": [one.name for one in rubric.criteria]}
    problems = [f"rubric.yaml: {key}[{number}].name is {name!r}, which the form uses itself; take another name"
                for key, names in places.items() for number, name in enumerate(names) if name in taken]
    for number, criterion in enumerate(rubric.criteria):
        where = f"rubric.yaml: criteria[{number}]"
        if not 0 <= criterion.scale[0] <= criterion.scale[-1] <= LARGEST_RATING or len(criterion.scale) > MOST_RATINGS:
            problems.append(f"{where}.scale is {list(criterion.scale)}; Argilla takes whole numbers from 0 to {LARGEST_RATING}")
    marks = [mark.value for mark in rubric.marks]
    if len(set(marks)) != len(marks):
        problems.append(f"rubric.yaml: spans is {marks}; use different names")
    if not (rubric.verdict or rubric.criteria or any(choice.required and not choice.many for choice in rubric.choices)):
        problems.append("rubric.yaml: every question of the form is optional; Argilla wants one that must be answered")
    if len(rubric.guidelines) > MOST_GUIDELINES:
        problems.append(f"rubric.yaml: guidelines has {len(rubric.guidelines)} characters; Argilla takes {MOST_GUIDELINES}")
    return problems


def answer_fields(size: int) -> tuple[str, ...]:
    """Names of the answer fields when `size` answers stand side by side; they are the ranking's options as well."""
    return (ANSWER,) if size == 1 else tuple(f"{ANSWER}_{number}" for number in range(1, size + 1))


def _rate(rubric: Rubric, kind: Kind) -> Layout:
    fields = (*_evidence(rubric), _field(rubric, ANSWER, "Answer", marked=bool(rubric.spans)), *_earlier(kind))
    questions = (*_judgements(rubric), *_texts(rubric, "Better answer (optional)"))
    return Layout(kind.name, _guidelines(rubric), fields, questions, kind.reviews)


def _evidence(rubric: Rubric) -> tuple[Field, Field]:
    return _field(rubric, PROMPT, "Question"), _field(rubric, REFERENCE, "Reference (evidence)", required=False)


def _earlier(kind: Kind) -> tuple[Field, ...]:
    return (Field(EARLIER, "What reviewers said of it", required=False),) if kind.settles else ()


def _field(rubric: Rubric, name: str, title: str, *, required: bool = True,
           marked: bool = False) -> Field:
    return Field(name, rubric.fields.get(name, title), required, markdown=rubric.markdown and not marked)


def _judgements(rubric: Rubric) -> Iterator[Question]:
    """Everything that is asked about one answer, but texts."""
    if rubric.verdict:
        yield Question("label", VERDICT, "Verdict", "Would you let this answer stand? "
                       "Cannot tell is honest: it is counted and decides nothing.", True,
                       tuple((value.value, value.value.capitalize()) for value in VerdictValue))
    if rubric.flags:
        yield Question("labels", FLAGS, "The answer...", "Tick what is so; leave both empty when neither is.", False,
                       tuple((value.value, value.value.capitalize()) for value in Flag))
    yield from map(_choice, rubric.choices)
    if rubric.spans:
        yield Question("span", SPANS, "Mark it: click a label, then drag over the words",
                       "Hold Shift to mark single characters. Click a mark's label to remove it.", False, _named(rubric.marks))
    for criterion in rubric.criteria:
        yield Question("rating", criterion.name, criterion.title, f"{criterion.scale[-1]} is best.", criterion.required,
                       tuple((str(value), str(value)) for value in criterion.scale))


def _choice(choice: Choice) -> Question:
    kind: Literal["label", "labels"] = "labels" if choice.many else "label"
    advice = "Tick all that apply, or none." if choice.many else "Choose one."
    return Question(kind, choice.name, choice.title, advice, choice.required and not choice.many, _named(choice.options))


def _named(options: Iterable[Option | Mark]) -> tuple[tuple[str, str], ...]:
    return tuple((one.value, one.title or one.value.capitalize()) for one in options)


def _rank(rubric: Rubric, kind: Kind) -> Layout:
    title = rubric.fields.get(ANSWER, "Answer")
    titles = {name: f"{title} {number}" for number, name in enumerate(answer_fields(kind.size), start=1)}
    answers = (Field(name, title, markdown=rubric.markdown) for name, title in titles.items())
    ranking = _better_of_two(titles) if kind.size == 2 else Question(
        "ranking", RANKING, "Rank the answers, best first; equal ones may share a rank",
        "Drag each answer into a rank, or type its rank. A tie is a judgement.", True, tuple(titles.items()))
    texts = _texts(rubric, "Better than the best of them (optional)")
    fields = (*_evidence(rubric), *answers, *_earlier(kind))
    return Layout(kind.name, _guidelines(rubric), fields, (ranking, *texts), kind.reviews)


def _better_of_two(titles: Mapping[str, str]) -> Question:
    """Of two answers one key says all: the first, the second, or neither."""
    options = (*((name, f"{title} is better") for name, title in titles.items()), (TIE, "They are equally good"))
    return Question("label", RANKING, "Which answer is better?", "A tie is a judgement.", True, options)


def _texts(rubric: Rubric, better: str) -> list[Question]:
    rewrite = Question("text", REWRITE, better, "The answer you would have given.", False)
    comment = Question("text", COMMENT, "Comment (optional)", "Anything the next reader should know.", False)
    return [question for question, wanted in ((rewrite, rubric.rewrite), (comment, rubric.comment)) if wanted]


def _guidelines(rubric: Rubric) -> str:
    return rubric.guidelines.strip() or f"# {rubric.title}\n\nRead the question, then the reference, then the answer."
