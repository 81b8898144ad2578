"""What reviewers are asked, on which scale, and what a tie, a skip and "cannot tell" mean."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from feedback.config import Strict, read_yaml
from feedback.ids import content_hash
from feedback.schemas import Flag, Severity, SpanType, VerdictValue

NAME = r"^[a-z][a-z0-9_]{0,39}$"


class Criterion(Strict):
    """One question with a rising scale."""

    name: str = Field(pattern=NAME)
    """Lower-case name, used in files and figures."""
    title: str
    """What the reviewer reads."""
    scale: tuple[int, ...] = (1, 2, 3, 4, 5)
    """Rising whole numbers; the highest is best."""
    required: bool = True

    @property
    def step(self) -> float:
        """What one step of a five-point scale is on this one: 1 from 1 to 5, 0.5 from 1 to 3."""
        return (self.scale[-1] - self.scale[0]) / 4

    def at(self, grade: float) -> float:
        """Where a grade of a scale from 1 to 5 lies on this one."""
        return self.scale[0] + (grade - 1) * self.step

    @model_validator(mode="after")
    def _scale_rises(self) -> Self:
        if len(self.scale) < 2 or list(self.scale) != sorted(set(self.scale)):
            raise ValueError(f"scale is {list(self.scale)}; use two or more rising integers, such as [1, 2, 3, 4, 5]")
        return self


class Option(Strict):
    """One answer that a choice offers."""

    value: str = Field(min_length=1, max_length=80)
    """As it stands in files."""
    title: str = ""
    """What the reviewer reads; the value when it is empty."""
    verdict: VerdictValue | None = None
    """What choosing it says about the answer, in a form that does not ask for the verdict itself."""
    means: Literal["hallucinated", "abstains"] | None = None
    """The flag that choosing it stands for."""

    @property
    def flag(self) -> Flag | None:
        """The flag that choosing it stands for."""
        return None if self.means is None else Flag[self.means.upper()]


class Choice(Strict):
    """A question with named answers."""

    name: str = Field(pattern=NAME)
    """Lower-case name, used in files and figures."""
    title: str
    """What the reviewer reads."""
    many: bool = False
    """Several may be ticked, or none."""
    required: bool = True
    """Must be answered. Always false for `many`, where ticking nothing is an answer."""
    options: tuple[Option, ...] = Field(min_length=2)

    @model_validator(mode="before")
    @classmethod
    def _plain_names_are_options(cls, data: Any) -> Any:
        if isinstance(data, Mapping) and isinstance(data.get("options"), list | tuple):
            return {**data, "options": [{"value": one} if isinstance(one, str) else one for one in data["options"]]}
        return data

    @model_validator(mode="after")
    def _options_differ(self) -> Self:
        values = [option.value for option in self.options]
        if len(set(values)) != len(values):
            raise ValueError(f"two options share a value in {values}; give each its own")
        return self


class Mark(Strict):
    """Something that can be marked inside an answer."""

    value: str = Field(min_length=1, max_length=80)
    """As it stands in files."""
    title: str = ""
    """What the reviewer reads; the value when it is empty."""
    type: SpanType | None = None
    """How the marked words are wrong."""
    severity: Severity | None = None
    entity: bool = False
    """True when it names what the words are about, such as a product: then marking it finds no error."""


class Rubric(Strict):
    """The review form. Ratings keep the hash of the rubric they were given under.

    A tie is a judgement ("equally good") and never trains a preference. A skip (discard) is no judgement and is not
    stored. "cannot tell" is a judgement about the reviewer's own knowledge: it is counted, and decides nothing.
    """

    kind: Literal["rubric"] = "rubric"
    title: str = "Answers"
    guidelines: str = ""
    """Markdown, shown to reviewers beside the form."""
    criteria: tuple[Criterion, ...] = ()
    choices: tuple[Choice, ...] = ()
    """Questions with named answers, asked before the criteria."""
    verdict: bool = True
    """Ask for the verdict. When not, it follows from the options chosen: the worst of their verdicts, else `cannot tell`."""
    flags: bool = True
    """Ask whether the answer states something false, and whether it says that it does not know."""
    spans: tuple[str | Mark, ...] = ("hallucinated",)
    """What can be marked inside an answer; a plain name marks something hallucinated. Empty: nothing."""
    suggestions: bool = False
    """Show marks on figures and names of the answer that its source does not hold. Reviewers accept or remove them; they see
    them before they judge, so leave this off where their own eyes are wanted."""
    markdown: bool = False
    """Show texts as Markdown with code highlighted. Off, the very characters are shown. An answer in which words are marked
    always shows its characters."""
    fields: dict[str, str] = {}
    """Titles above the texts `prompt`, `reference` and `answer`, where they are no question, reference and answer."""
    rewrite: bool = True
    """Ask for a better answer (optional for the reviewer)."""
    rewrite_starts: Literal["empty", "answer"] = "empty"
    """`answer`: a rewrite begins as the answer itself; left as it is, it is none."""
    comment: bool = True
    priorities: tuple[str, ...] = ()
    """Criteria that decide between two answers rated apart, the most important first: the next one counts only where the one
    before does not tell them apart. Empty: criteria alone make no pair."""

    @model_validator(mode="after")
    def _names_differ(self) -> Self:
        names = [*(choice.name for choice in self.choices), *(criterion.name for criterion in self.criteria)]
        if unknown := sorted(self.fields.keys() - {"prompt", "reference", "answer"}):
            raise ValueError(f"fields names {unknown}; the texts are prompt, reference and answer")
        if len(set(names)) != len(names):
            raise ValueError(f"two criteria share a name in {names}; give each its own")
        if not names and not self.verdict and not self.spans:
            raise ValueError("the form asks nothing; give it criteria, choices, marks or the verdict")
        return self

    @model_validator(mode="after")
    def _priorities_are_criteria(self) -> Self:
        names = [criterion.name for criterion in self.criteria]
        if unknown := [name for name in self.priorities if name not in names]:
            raise ValueError(f"priorities names {unknown}, which are no criteria; use some of {names}")
        if len(set(self.priorities)) != len(self.priorities):
            raise ValueError(f"priorities is {list(self.priorities)}; name each criterion once")
        return self

    @property
    def marks(self) -> tuple[Mark, ...]:
        """What can be marked, plain names filled out."""
        return tuple(Mark(value=one) if isinstance(one, str) else one for one in self.spans)

    @property
    def judges(self) -> bool:
        """Whether anything it asks says how good an answer is; not so where experts only label texts."""
        options = [option for choice in self.choices for option in choice.options]
        return (self.verdict or self.flags or bool(self.criteria) or any(option.verdict or option.means for option in options)
                or any(not mark.entity for mark in self.marks))

    @property
    def hash(self) -> str:
        """Names this rubric's questions; what is not asked is left out (guidelines, title, priorities), so a typo mended
        keeps the ratings.

        What stands at its default is left out as well where it came to rubrics later, so that old ones keep their names.
        """
        said = self.model_dump(mode="json", exclude={"guidelines", "title", "priorities"})
        later = {name: type(self).model_fields[name].default for name in LATER}
        return content_hash("rubric", {name: value for name, value in said.items() if self._is_said(name, later)})

    def _is_said(self, name: str, later: Mapping[str, Any]) -> bool:
        return name not in later or getattr(self, name) != later[name]


LATER = ("choices", "verdict", "flags", "suggestions", "markdown", "fields", "rewrite_starts")
"""Keys that the first rubrics did not have."""


def read_rubric(path: Path) -> Rubric:
    """The rubric in a YAML file. Raises InvalidInput with every problem."""
    return read_yaml(path, Rubric)


def incompatible(old: Rubric, new: Rubric) -> Iterator[str]:
    """Why ratings under `old` cannot stand beside ratings under `new`, one line for each reason.

    Wording may change, and optional questions may be added. A question that goes, becomes required or has other answers
    makes the ratings of before and after answers to different questions.
    """
    before, after = _questions(old), _questions(new)
    for name in sorted(before.keys() - after.keys()):
        yield f"the question {name!r} is gone"
    for name in sorted(after.keys() & before.keys()):
        if before[name].answers != after[name].answers:
            yield f"{name!r} has the answers {list(after[name].answers)}, had {list(before[name].answers)}"
        elif after[name].required and not before[name].required:
            yield f"{name!r} became required"
    for name in sorted(after.keys() - before.keys()):
        if after[name].required:
            yield f"the question {name!r} is new and required"


class _Asked(Strict):
    answers: tuple[str, ...]
    required: bool


def _questions(rubric: Rubric) -> dict[str, _Asked]:
    asked = {one.name: _Asked(answers=tuple(map(str, one.scale)), required=one.required) for one in rubric.criteria}
    asked |= {one.name: _Asked(answers=tuple(option.value for option in one.options), required=one.required and not one.many)
              for one in rubric.choices}
    if rubric.spans:
        asked["spans"] = _Asked(answers=tuple(mark.value for mark in rubric.marks), required=False)
    fixed = {"verdict": (rubric.verdict, True), "flags": (rubric.flags, False), "rewrite": (rubric.rewrite, False),
             "comment": (rubric.comment, False)}
    return asked | {name: _Asked(answers=(), required=required) for name, (there, required) in fixed.items() if there}
