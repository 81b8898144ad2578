"""A snapshot's contents with all personal data masked: questions, references, answers, rewrites and comments.

Ids stay: they name the rows of the store, where the originals are. Marks follow the text that they mark.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, get_args

from feedback.config import PiiConfig
from feedback.errors import MissingPart
from feedback.guardrails.pii import Masked, Masker, make_masker, project_key, unnumbered, why_none
from feedback.guardrails.recognizers import PiiKind, require
from feedback.ids import CompletionId, ItemId
from feedback.schemas import Completion, Deleted, Message, Prompt, RateAnswer, Rating
from feedback.spans import carried
from feedback.store.snapshot import Contents
from feedback.terminal import note


@dataclass(frozen=True)
class MaskedContents:
    """The masked rows, and what was found in which."""

    contents: Contents
    found: Mapping[tuple[str, str], Masked]
    """(kind of row, id) -> what was masked or pointed out in it; rows without any are left out."""


class Masking:
    """Masks the rows of one snapshot. Each text is looked at once."""

    def __init__(self, masker: Masker, contents: Contents) -> None:
        self._masker = masker
        self._contents = contents
        self._seen: dict[str, Masked] = {}
        self._found: dict[tuple[str, str], Masked] = {}

    @cached_property
    def result(self) -> MaskedContents:
        """Every row masked."""
        contents = self._contents
        masked = replace(_plain(contents), prompts=tuple(map(self.prompt, contents.prompts)),
                         completions=tuple(map(self.completion, contents.completions)),
                         ratings=tuple(map(self.rating, contents.ratings)))
        return MaskedContents(contents=masked, found=self._found)

    def prompt(self, prompt: Prompt) -> Prompt:
        """The question and its reference."""
        self._note("prompt", prompt.id, [*(message.content for message in prompt.messages), prompt.reference or ""])
        return masked_prompt(prompt, self._text)

    def completion(self, row: Completion) -> Completion:
        """The answer."""
        self._note("completion", row.id, [row.text])
        return row.model_copy(update={"text": self._text(row.text)})

    def rating(self, rating: Rating) -> Rating:
        """The rewrite, the comment and the marks."""
        answer = rating.answer
        if isinstance(answer, Deleted):
            return rating
        self._note("rating", rating.id, [answer.rewrite or "", answer.comment or ""])
        return _masked(rating, shown=lambda: self._answers[self._shown[rating.item_id]].text, mask=self._text)

    @cached_property
    def _answers(self) -> dict[CompletionId, Completion]:
        return {row.id: row for row in self._contents.completions}

    @cached_property
    def _shown(self) -> dict[ItemId, CompletionId]:
        return {item.id: item.completion_ids[0] for item in self._contents.items}

    def _text(self, text: str) -> str:
        return self._look(text).text

    def _look(self, text: str) -> Masked:
        if text not in self._seen:
            self._seen[text] = self._masker(text)
        return self._seen[text]

    def _note(self, kind: str, id: str, texts: list[str]) -> None:
        looked = [self._look(text) for text in texts if text]
        masked = sum((Counter(each.masked) for each in looked), Counter[str]())
        flagged = sum((Counter(each.flagged) for each in looked), Counter[str]())
        if masked or flagged:
            self._found[kind, id] = Masked(text="", masked=dict(sorted(masked.items())), flagged=dict(sorted(flagged.items())))


@dataclass(frozen=True)
class SnapshotMask:
    """Masks what is sealed: the store's originals stay in the store."""

    masker: Masker

    @property
    def name(self) -> str:
        """Of the masker."""
        return self.masker.name

    def __call__(self, contents: Contents) -> Contents:
        """The masked rows, under the same ids."""
        return Masking(self.masker, contents).result.contents


def masked_prompt(prompt: Prompt, mask: Callable[[str], str]) -> Prompt:
    """A question with its reference, masked, under the same id."""
    messages = tuple(Message(role=message.role, content=mask(message.content)) for message in prompt.messages)
    reference = None if prompt.reference is None else mask(prompt.reference)
    return prompt.model_copy(update={"messages": messages, "reference": reference})


def project_mask(project: Path, config: PiiConfig) -> SnapshotMask | None:
    """What masks a project's snapshots; None when nothing is masked there, which is said on stderr where packages are missing."""
    if reason := why_none(config):
        note(reason)
        return None
    if config.look == "off" or not config.mask:
        return None
    # What is only pointed out is looked for in curation; here it would cost a language model's time for nothing.
    masker = make_masker(config.model_copy(update={"flag": ()}), project_key(project))
    return SnapshotMask(masker) if masker else None


def is_masked_form(rating: Rating, original: Rating, *, shown: str, masker: Masker) -> bool:
    """`rating` is what masking makes of `original`, which is about the answer `shown`.

    Numbers of placeholders are not compared, nor where a mark begins: they follow from a key, which may be gone by now.
    """
    masked = _masked(original, shown=lambda: shown, mask=lambda text: masker(text).text)
    return _without_numbers(rating) == _without_numbers(masked)


def masker_again(name: str) -> Masker | None:
    """What masks as the masker of that name did, whatever is configured now; None, said on stderr, where it cannot be had."""
    kinds = name.removeprefix("masks ").partition(";")[0].split(", ")
    masker = Masker(key=b"", mask=frozenset(kind for kind in get_args(PiiKind) if kind in kinds), flag=frozenset())
    if masker.name != name:
        note(f"masked texts were not compared with the store's: {name!r} is another Redpen's way to mask")
        return None
    try:
        require(masker.mask)
    except MissingPart as error:
        note(f"masked texts were not compared with the store's: {error}")
        return None
    return masker


def _masked(rating: Rating, *, shown: Callable[[], str], mask: Callable[[str], str]) -> Rating:
    """The rewrite and the comment masked, the marks where their words stand in the masked answer."""
    answer = rating.answer
    if isinstance(answer, Deleted):
        return rating
    changes: dict[str, object] = {name: None if text is None else mask(text)
                                  for name, text in (("rewrite", answer.rewrite), ("comment", answer.comment))}
    if isinstance(answer, RateAnswer) and answer.spans:
        changes["spans"] = carried(answer.spans, shown(), mask(shown()))
    return rating.model_copy(update={"answer": answer.model_copy(update=changes)})


def _without_numbers(rating: Rating) -> dict[str, Any]:
    dumped = rating.model_dump()
    answer = dumped["answer"]
    for name in ("rewrite", "comment"):
        answer[name] = unnumbered(answer[name]) if answer.get(name) else None
    for span in answer.get("spans", ()):
        del span["start"], span["end"]
    return dumped


def _plain(contents: Contents) -> Contents:
    return Contents(**{name: getattr(contents, name) for name in Contents.__dataclass_fields__})
