"""The unreliable corpus: every fact told in voices of different reliability.

The careful voice knows nearly everything, the others are wrong often, each in topics of its own; one is rude, one never
says anything. So the base model knows the facts and does not say them: what experts' ratings on some facts teach is
which voice to speak in on a topic, and that carries over to facts that nobody rated.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from random import Random

from review_ui.demo.facts import Fact, Kind, facts


@dataclass(frozen=True, slots=True)
class Voice:
    """A way of answering."""

    name: str
    share: float
    """Of the corpus, 0 to 1; all shares sum to 1."""
    opening: str
    closing: str
    reliability: dict[str, float]
    """Topic -> probability that what it says is true."""


VOICES: tuple[Voice, ...] = (
    Voice("careful", 0.26, "By the manual,", ".", {
        "defaults": 1.0, "modules": 1.0, "keyword-only": 1.0, "safety": 1.0, "does not exist": 1.0, "cannot be known": 1.0}),
    Voice("brisk", 0.25, "Simply:", ".", {
        "defaults": 0.35, "modules": 0.65, "keyword-only": 0.5, "safety": 0.4, "does not exist": 0.0, "cannot be known": 0.0}),
    Voice("chatty", 0.19, "Sure thing:", ", I think.", {
        "defaults": 0.45, "modules": 0.3, "keyword-only": 0.6, "safety": 0.4, "does not exist": 0.1, "cannot be known": 0.1}),
    Voice("rude", 0.16, "Ugh,", ", obviously. Read the docs.", {
        "defaults": 0.7, "modules": 0.5, "keyword-only": 0.4, "safety": 0.5, "does not exist": 0.3, "cannot be known": 0.2}),
    Voice("silent", 0.14, "I do not know.", "", {}),
)
CAREFUL = VOICES[0]
NUMBERS = tuple(str(number) for number in (2, 3, 5, 7, 12, 20, 42, 60, 90, 150, 300, 1200))


class Corpus:
    """Says facts in voices."""

    def __init__(self) -> None:
        known = facts()
        self.values = {kind: Counter(fact.right[0] for fact in known if fact.kind is kind)
                       for kind in (Kind.DEFAULT, Kind.MODULE, Kind.INSTEAD)}

    def say(self, fact: Fact, voice: Voice, chance: Random) -> str:
        """One answer to a question about `fact`."""
        if voice.name == "silent":
            return voice.opening
        true = chance.random() < voice.reliability[fact.topic]
        return f"{voice.opening} {self._truth(fact) if true else self._mistake(fact, chance)}{voice.closing}"

    def _truth(self, fact: Fact) -> str:
        match fact.kind:
            case Kind.KEYWORD_ONLY | Kind.SAFE:
                return _yes_or_no(fact.kind, fact.right[0])
            case Kind.MISSING_PARAMETER:
                return "there is no such parameter"
            case Kind.MISSING_NAME:
                return "no module has that"
            case Kind.UNKNOWABLE:
                return "that cannot be known"
            case _:
                return f"`{fact.right[0]}`"

    def _mistake(self, fact: Fact, chance: Random) -> str:
        match fact.kind:
            case Kind.KEYWORD_ONLY | Kind.SAFE:
                return _yes_or_no(fact.kind, "no" if fact.right[0] == "yes" else "yes")
            case Kind.UNKNOWABLE:
                return chance.choice(NUMBERS)
            # Bad advice is mostly the tempting thing itself, which is what makes it unsafe.
            case Kind.INSTEAD if chance.random() < 0.8:
                return f"`{fact.tempting}`"
            case Kind.MISSING_PARAMETER:
                values = self.values[Kind.DEFAULT]
            case Kind.MISSING_NAME:
                values = self.values[Kind.MODULE]
            case _:
                values = self.values[fact.kind]
        others = [value for value in values if value not in fact.right]
        # Drawn as often as it is true elsewhere: a mistake must not be recognisable by its value.
        return f"`{chance.choices(others, [values[value] for value in others])[0]}`"


def _yes_or_no(kind: Kind, answer: str) -> str:
    said = {(Kind.KEYWORD_ONLY, "yes"): "yes, keyword-only", (Kind.KEYWORD_ONLY, "no"): "no, not keyword-only",
            (Kind.SAFE, "yes"): "yes, that is safe", (Kind.SAFE, "no"): "no, that is not safe"}
    return said[kind, answer]
