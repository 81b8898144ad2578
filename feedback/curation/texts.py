"""One text after the other on its way into training: repaired, masked, in the house's words, and checked.

The order matters: Unicode first, since the others read letters; personal data before anything is shown to anybody; control tokens
last, so that nothing can put one together again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from feedback.config import CurationConfig
from feedback.curation.control_tokens import neutralise
from feedback.curation.language import language_of
from feedback.curation.ledger import Kind, Ledger
from feedback.curation.quality import Flaw, flaw, repeated_share
from feedback.curation.terminology import Terminology
from feedback.curation.unicode_repair import can_repair, repaired
from feedback.guardrails.moderation import hints
from feedback.guardrails.pii import Masker, first_placeholder, kinds_masked_in

AROUND = 60
"""Characters before and after a change that an example shows."""


@dataclass
class Texts:
    """Cleans the texts of one snapshot, with an entry for everything that it does."""

    config: CurationConfig
    ledger: Ledger
    masker: Masker | None = None
    terminology: Terminology | None = None
    masked: Counter[str] = field(default_factory=Counter)
    """Kind of personal data -> texts with a placeholder for it, whoever put it there."""

    def clean(self, kind: Kind, id: str, text: str) -> str:
        """`text` in the form in which it may train."""
        if self.config.repair_unicode and can_repair():
            text = self._did("unicode", kind, id, text, repaired(text), lambda old, new: _letters(old, new))
        self.note_sealed(kind, id, text)
        if self.masker:
            text = self._mask(self.masker, kind, id, text)
        self.masked.update(kinds_masked_in(text))
        if self.terminology and kind != "prompt":
            text = self._in_house_words(self.terminology, kind, id, text)
        cleaned = neutralise(text)
        return self._did("control tokens", kind, id, text, cleaned.text, lambda *_: " ".join(cleaned.tokens))

    def note_sealed(self, kind: Kind, id: str, text: str) -> None:
        """Enter what was masked when the snapshot was sealed."""
        if kinds := kinds_masked_in(text):
            self.ledger.change(kind, id, step="pii", detail=f"{', '.join(sorted(kinds))}; masked when it was sealed")
            self._show_mask(kind, id, text)

    def only_masked(self, kind: Kind, id: str, text: str | None) -> str | None:
        """What trains nothing, such as a reviewer's comment, without personal data and otherwise as it was written."""
        if text is None:
            return None
        self.note_sealed(kind, id, text)
        if self.masker:
            text = self._mask(self.masker, kind, id, text)
        self.masked.update(kinds_masked_in(text))
        return text

    def _did(self, step: str, kind: Kind, id: str, old: str, new: str, told: Callable[[str, str], str]) -> str:
        if new != old:
            self.ledger.change(kind, id, step=step, detail=told(old, new))
            before, after = _around(old, new)
            self.ledger.show(kind, id, step=step, before=self._shown(before), after=self._shown(after))
        return new

    def _shown(self, text: str) -> str:
        return self.masker(text).text if self.masker else text

    def _mask(self, masker: Masker, kind: Kind, id: str, text: str) -> str:
        masked = masker(text)
        if masked.flagged:
            self.ledger.flag(kind, id, step="pii", reason=_counted(masked.flagged))
        if masked.masked:
            self.ledger.change(kind, id, step="pii", detail=_counted(masked.masked))
            self._show_mask(kind, id, masked.text)
        return masked.text

    def _show_mask(self, kind: Kind, id: str, text: str) -> None:
        at = first_placeholder(text)
        self.ledger.show(kind, id, step="pii", before="(not shown: it is masked)",
                         after=text[max(0, at - AROUND):at + 2 * AROUND])

    def _in_house_words(self, terminology: Terminology, kind: Kind, id: str, text: str) -> str:
        termed = terminology(text)
        if termed.flagged:
            self.ledger.flag(kind, id, step="terminology", reason=_counted(termed.flagged))
        return self._did("terminology", kind, id, text, termed.text, lambda *_: _counted(termed.replaced))

    def flaw(self, kind: Kind, id: str, text: str) -> Flaw | None:
        """Why `text` is of no use; what is only doubtful is pointed out."""
        config, is_prompt = self.config, kind == "prompt"
        longest = config.max_prompt_characters if is_prompt else config.max_completion_characters
        shortest = config.min_prompt_characters if is_prompt else config.min_completion_characters
        if found := flaw(text, longest=longest, shortest=shortest):
            return found
        doubts = ((self._foreign(text), config.language), (None if is_prompt else self._repetitive(text), config.repetition))
        for found, act in doubts:
            if found and act == "drop":
                return found
            if found and act == "flag":
                self.ledger.flag(kind, id, step=found.step, reason=found.reason)
        if config.moderation == "flag" and (topics := hints(text)):
            self.ledger.flag(kind, id, step="moderation", reason=", ".join(topics))
        return None

    def _foreign(self, text: str) -> Flaw | None:
        wanted = self.config.languages
        if not wanted or self.config.language == "off":
            return None
        found = language_of(text)
        return Flaw("language", f"in {found}, wanted {' or '.join(wanted)}") if found and found not in wanted else None

    def _repetitive(self, text: str) -> Flaw | None:
        if self.config.repetition == "off":
            return None
        share = repeated_share(text)
        return Flaw("repetition", f"{share:.0%} of it repeats what stands before, allowed {self.config.max_repetition:.0%}") \
            if share > self.config.max_repetition else None


def _counted(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} ({count})" if count > 1 else name for name, count in counts.items())


def _letters(old: str, new: str) -> str:
    return f"{len(old)} characters became {len(new)}"


def _around(old: str, new: str) -> tuple[str, str]:
    """The first change in both texts, with what stands around it."""
    shorter = min(len(old), len(new))
    at = next((place for place in range(shorter) if old[place] != new[place]), shorter)
    start = max(0, at - AROUND)
    return old[start:at + AROUND], new[start:at + AROUND]
