"""Hints that a text deserves a second look: a list of English patterns, and no more than that.

It does not understand a sentence: "kill the process" passes because only people are named in the pattern, and a threat in other
words is not found. Nothing here is ever a gate; people judge safety.
"""

from __future__ import annotations

import re
from typing import Literal

Topic = Literal["self-harm", "violence", "sexual content about minors", "weapons and explosives", "illegal drugs", "credentials",
                "hate"]

_PATTERNS: dict[Topic, str] = {
    "self-harm": r"\b(?:kill|hurt|harm|cut|hang) (?:my|your)self\b|\bsuicid(?:e|al)\b|\bend (?:my|your) (?:own )?life\b"
                 r"|\bself[- ]harm",
    "violence": r"\b(?:kill|murder|stab|shoot|strangle|torture|behead)(?:ing|ed|s)? (?:him|her|them|people|someone|somebody|"
                r"(?:my|your|his|her) (?:wife|husband|boss|neighbou?r|ex|mother|father|child(?:ren)?))\b"
                r"|\b(?:kill|murder|stab|strangle|torture|behead)(?:ing|ed|s)? (?:you|everyone|everybody)\b"
                r"|\bhurt(?:ing|s)? (?:him|her|them|people|someone|somebody)\b|\bbeat (?:him|her|them|you) up\b",
    "sexual content about minors": r"\b(?:sex|sexual|nude|naked|porn\w*)\b.{0,40}\b(?:minor|child|children|kids?|underage|teen)\b"
                                   r"|\b(?:minor|child|children|kids?|underage)\b.{0,40}\b(?:sex|sexual|nude|naked|porn\w*)\b",
    "weapons and explosives": r"\b(?:build|make|assemble|construct)\w* (?:a |an )?(?:\w+ )?"
                              r"(?:bomb|explosives?|grenade|nerve agent|molotov|silencer)\b",
    "illegal drugs": r"\b(?:cook|synthesi[sz]e|make|buy|smuggle)\w* (?:\w+ )?"
                     r"(?:meth|methamphetamine|heroin|cocaine|fentanyl|crack)\b",
    "credentials": r"\b(?:password|passwd|api[_ ]?key|secret[_ ]?key|access token)\b\s*(?:is|=|:)\s*[\"']?(?=\S*\d)[^\s\"']{8,64}"
                   r"|-----BEGIN [A-Z ]{0,20}PRIVATE KEY-----|\bAKIA[0-9A-Z]{16}\b|\bghp_[A-Za-z0-9]{36}\b",
    "hate": r"\b(?:all|those|these|you) (?:jews|muslims|christians|blacks|whites|gays|immigrants|foreigners|women|men) "
            r"(?:are|should|must|deserve)\b|\b(?:subhuman|vermin|go back to (?:your|their) (?:own )?country)\b",
}
_COMPILED = {topic: re.compile(pattern, re.IGNORECASE) for topic, pattern in _PATTERNS.items()}
LONGEST = 100_000
"""Characters that are looked at."""


def hints(text: str) -> tuple[Topic, ...]:
    """The topics that `text` may touch in a way that somebody should look at; empty for nearly all texts."""
    return tuple(topic for topic, pattern in _COMPILED.items() if pattern.search(text[:LONGEST]))
