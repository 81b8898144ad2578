"""A user's own texts with what experts chose and marked in them: the labelled set, one row a text.

What is chosen is concluded as verdicts are (`reliability.py`): each expert weighed by how they choose throughout, the plain
majority beside it. A mark counts with those who set the very same one, beside all who read the text.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence, Set

from feedback.aggregation.conclusions import Sources
from feedback.aggregation.questions import Asked, Value, ask, choice_questions, latest_answers
from feedback.aggregation.verdicts import one_each, sources
from feedback.aggregation.votes import tally
from feedback.config import Strict
from feedback.ids import CompletionId, ReviewerId
from feedback.schemas import Purpose, RateAnswer, Rating
from feedback.store.snapshot import Contents


class Chosen(Strict):
    """What is concluded on one question of the form, or on one option where several may be ticked."""

    outcome: str | bool | None
    """None when two values are about as probable."""
    most_likely: str | bool
    probability: float
    """Of `most_likely`, given everybody's choices."""
    majority: str | bool | None
    """What most chose, everybody counted alike; None when two or more share the lead."""
    n: int
    """Experts who answered it."""


class Marked(Strict):
    """Words that somebody marked: `text[start:end]`."""

    start: int
    end: int
    label: str
    words: str
    marked_by: int
    """Experts who set this very mark."""
    agreed: bool
    """More than half of those who read the text set it."""


class LabelledText(Strict):
    """One text."""

    text: str
    source: str | None
    """What stood above it; None where that was only the form's title."""
    choices: dict[str, Chosen]
    marks: tuple[Marked, ...]
    """In the order in which they stand in the text."""
    read_by: int
    """Experts who submitted it."""
    simulated: int
    """Of them, those who are programs."""
    comments: tuple[str, ...]
    sources: Sources


def labelled_texts(contents: Contents) -> tuple[LabelledText, ...]:
    """Every text that somebody submitted, in the order of their text. Experts in quarantine count for nothing."""
    texts = {item.id: item.completion_ids[0] for item in contents.items if item.purpose is Purpose.TEXTS}
    out = {row.reviewer_id for row in contents.quarantined}
    counted = [row for row in contents.ratings if row.item_id in texts and row.reviewer_id not in out]
    given: dict[CompletionId, list[Rating]] = {}
    for rating in counted:
        if isinstance(rating.answer, RateAnswer):
            given.setdefault(texts[rating.item_id], []).append(rating)
    latest = {completion: one_each(ratings) for completion, ratings in given.items()}
    answers = latest_answers(contents, counted)
    asked = {question.name: ask(question, answers, ()) for question in choice_questions(contents.rubric)}
    prompts = {prompt.id: prompt.text for prompt in contents.prompts}
    programs = {reviewer.id for reviewer in contents.reviewers if reviewer.simulated}
    rows = [_row(row.text, prompts[row.prompt_id], row.id, latest[row.id], asked, contents.rubric.title, programs)
            for row in contents.completions if row.id in latest]
    return tuple(sorted(rows, key=lambda row: (row.text, row.source or "")))


def _row(text: str, prompt: str, completion: CompletionId, ratings: Sequence[Rating], asked: Mapping[str, Asked],
         title: str, programs: Set[ReviewerId]) -> LabelledText:
    answers = [rating.answer for rating in ratings if isinstance(rating.answer, RateAnswer)]
    return LabelledText(
        text=text, source=None if prompt == title else prompt, read_by=len(answers), marks=_marks(text, answers),
        choices={name: _chosen(one, completion) for name, one in asked.items() if completion in one.by},
        simulated=len({rating.reviewer_id for rating in ratings} & programs),
        comments=tuple(sorted({answer.comment for answer in answers if answer.comment})), sources=sources(ratings, [completion]))


def _chosen(asked: Asked, completion: CompletionId) -> Chosen:
    said = list(asked.by[completion].values())
    outcome, likeliest, probability = asked.concluded(completion)
    return Chosen(outcome=None if outcome is None else _plain(outcome), most_likely=_plain(likeliest), n=len(said),
                  probability=probability, majority=_majority(said, asked))


def _majority(said: Sequence[Value], asked: Asked) -> str | bool | None:
    found = tally(said, labels=asked.question.scale).outcome
    return None if found is None else _plain(found)


def _plain(value: Value) -> str | bool:
    return value if isinstance(value, bool) else str(value)


def _marks(text: str, answers: Sequence[RateAnswer]) -> tuple[Marked, ...]:
    counts = Counter((span.start, span.end, span.label) for answer in answers for span in set(answer.spans))
    return tuple(Marked(start=start, end=end, label=label, words=text[start:end], marked_by=count,
                        agreed=2 * count > len(answers)) for (start, end, label), count in sorted(counts.items()))
