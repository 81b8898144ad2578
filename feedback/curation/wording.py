"""The words of a text, as far as they decide what it asks or says.

Case, punctuation, spacing, compatibility forms and a few words that only carry politeness or grammar are left out. Numbers,
signs, negations and whatever stands in backticks stay exactly as they are: `json.load` is not `json.loads`.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter

_TOKEN = re.compile(
    r"`([^`\n]{1,200})`"                          # code, kept as one word
    r"|<[a-z]+(?:_[a-z]+)*_\d{1,6}>"              # personal data, masked
    r"|(?<!\w)-(?=\d)"                            # a minus sign
    r"|[+*/=<>%#&@$\u20ac\u00a3^~|]"              # signs that change what is asked
    r"|\w+(?:\.\w+)*"                            # words, numbers, dotted and underscored names
)
_EAST_ASIAN = re.compile("[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\u0e00-\u0e7f]")
"""Scripts without spaces between words: each character counts as a word."""
_ALPHABETIC = re.compile("[a-z\u00df-\u024f\u0370-\u03ff\u0400-\u04ff]+")
"""Scripts in which one wrong letter is a slip and not another word."""
_LITTLE = frozenset({"a", "an", "the", "of", "in", "on", "at", "for", "is", "are", "was", "were", "be", "do", "does", "did",
                     "please", "kindly", "hi", "hello", "hey", "thanks", "thank"})
NEGATIONS = frozenset({
    "not", "no", "never", "none", "nor", "neither", "cannot", "without", "except",
    "nicht", "kein", "keine", "keinen", "nie", "ohne", "pas", "non", "jamais", "sans", "sin", "nunca", "ni",
    "niet", "geen", "nooit",
    "\u043d\u0435", "\u043d\u0435\u0442", "\u0431\u0435\u0437",
    "\u4e0d", "\u6ca1", "\u6c92", "\u672a", "\u7121", "\u65e0", "\u975e", "\u522b", "\u5225"})
"""Words that turn a statement around."""
_SHORTENED = ((re.compile(r"\bcan[\u2019']t\b"), "can not"), (re.compile(r"n[\u2019']t\b"), " not"),
              (re.compile(r"[\u2019'](?:s|re|ve|ll|m|d)\b"), ""))


def words(text: str) -> list[str]:
    """The words of `text` that decide what it says, in order; code is marked by backticks. Empty for punctuation alone."""
    plain = unicodedata.normalize("NFKC", text).casefold()
    for pattern, long in _SHORTENED:
        plain = pattern.sub(long, plain)
    found: list[str] = []
    for match in _TOKEN.finditer(plain):
        token = match.group()
        if match.group(1) is not None:
            found.append(f"`{match.group(1).strip()}`")
        elif _EAST_ASIAN.search(token):
            found.extend(token)
        elif token not in _LITTLE:
            found.append(token)
    return found


def word_counts(text: str) -> Counter[str]:
    """How often each word occurs."""
    return Counter(words(text))


def is_plain(word: str) -> bool:
    """True for a word of an alphabet, without digits, signs or code, that is no negation."""
    return bool(_ALPHABETIC.fullmatch(word)) and word not in NEGATIONS


def exact_words(text: str) -> Counter[str]:
    """The words that have to agree for two texts to say the same: numbers, signs, names with dots, code, negations."""
    return Counter(word for word in words(text) if (not is_plain(word) and not _EAST_ASIAN.match(word)) or word in NEGATIONS)
