"""The language of a text, by py3langid: an n-gram model inside its package, 97 languages, no network.

Short texts have no reliable language, nor has code, so both are told apart from an answer in the wrong language.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Any

SHORTEST = 40
"""Letters from which a language is named at all."""
SUREST = 0.95
"""Probability from which it is; mixed texts often stay below."""
LONGEST = 4_000
"""Characters looked at, from the start."""
_CODE = re.compile(r"```.*?(?:```|\Z)|`[^`\n]*`|https?://\S+|<[A-Z_]+_\d+>", re.DOTALL)


def language_of(text: str) -> str | None:
    """ISO 639-1 code, or None for a text that is too short, mixed or mostly code."""
    prose = _CODE.sub(" ", text[:LONGEST])
    if sum(character.isalpha() for character in prose) < SHORTEST:
        return None
    language, probability = _identifier().classify(prose)
    return str(language) if probability >= SUREST else None


@cache
def _identifier() -> Any:
    from py3langid.langid import MODEL_DIR, MODEL_FILE, LanguageIdentifier

    return LanguageIdentifier.from_model_file(MODEL_DIR / MODEL_FILE, norm_probs=True)
