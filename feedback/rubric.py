"""What reviewers are asked, on which scale, and what a tie, a skip and "cannot tell" mean."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator

from feedback.config import Strict, read_yaml
from feedback.ids import content_hash


class Criterion(Strict):
    """One question with a rising scale."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_]{0,39}$")
    """Lower-case name, used in files and figures."""
    title: str
    """What the reviewer reads."""
    scale: tuple[int, ...] = (1, 2, 3, 4, 5)
    """Rising whole numbers; the highest is best."""
    required: bool = True

    @model_validator(mode="after")
    def _scale_rises(self) -> Self:
        if len(self.scale) < 2 or list(self.scale) != sorted(set(self.scale)):
            raise ValueError(f"scale is {list(self.scale)}; use two or more rising integers, such as [1, 2, 3, 4, 5]")
        return self


class Rubric(Strict):
    """The review form. Ratings keep the hash of the rubric they were given under.

    A tie is a judgement ("equally good") and never trains a preference. A skip (discard) is no judgement and is not
    stored. "cannot tell" is a judgement about the reviewer's own knowledge: it is counted, and decides nothing.
    """

    kind: Literal["rubric"] = "rubric"
    title: str = "Answers"
    guidelines: str = ""
    """Markdown, shown to reviewers beside the form."""
    criteria: tuple[Criterion, ...] = Field(min_length=1)
    spans: tuple[str, ...] = ("hallucinated",)
    """What can be marked inside an answer. Empty: nothing."""
    rewrite: bool = True
    """Ask for a better answer (optional for the reviewer)."""
    comment: bool = True
    priorities: tuple[str, ...] = ()
    """Criteria that decide between two answers rated apart, the most important first: the next one counts only where the one
    before does not tell them apart. Empty: criteria alone make no pair."""

    @model_validator(mode="after")
    def _names_differ(self) -> Self:
        names = [criterion.name for criterion in self.criteria]
        if len(set(names)) != len(names):
            raise ValueError(f"two criteria share a name in {names}; give each its own")
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
    def hash(self) -> str:
        """Names this rubric's questions; what is not asked is left out (guidelines, title, priorities), so a typo
        mended keeps the ratings."""
        return content_hash("rubric", self.model_dump(mode="json", exclude={"guidelines", "title", "priorities"}))


def read_rubric(path: Path) -> Rubric:
    """The rubric in a YAML file. Raises InvalidInput with every problem."""
    return read_yaml(path, Rubric)
