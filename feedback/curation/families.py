"""Prompt families that ask the same question in nearly the same words, joined before anything is split.

Two prompts are near duplicates when the words that decide what is asked (see `wording`) are the same, in any order, but for
one slip: a plain word of at least 6 letters with one letter wrong, missing, added or swapped after its first; or, from 10 words
on, one plain word more. Numbers, signs, code and negations have to agree.

The rule looks at two prompts and at nothing else. So questions that fill the slots of one template stay apart however many there
are; a prompt that is added later can join families and never part them; and the order of prompts does not matter.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache

from feedback.curation.wording import is_plain, words
from feedback.ids import FamilyId
from feedback.schemas import Message, Prompt

SHORTEST_SLIP = 6
"""Letters from which a word may be misspelt: in shorter ones a letter makes another word."""
SHORTEST_EXTRA = 10
"""Words from which a question may have one more."""
_HASHES = 1 << 64


def merged_families(prompts: Iterable[Prompt]) -> Mapping[FamilyId, FamilyId]:
    """Each family of `prompts` -> the family that stands for all joined with it: the one whose id comes first.

    A family that nothing is near to stands for itself. Whether a joined family trains is not decided here: who splits must hold
    it out when any prompt of any member is critical or held out, so that what was held out once stays held out.
    """
    joined = _Joined()
    keyed: dict[object, FamilyId] = {}
    extras: list[tuple[FamilyId, int]] = []
    for prompt in prompts:
        joined.add(prompt.family)
        counts = _counts(prompt.messages)
        for key in _keys(prompt.messages, counts):
            joined.join(prompt.family, keyed.setdefault(key, prompt.family))
        extras += [(prompt.family, shorter) for shorter in _without_one(counts)]
    for family, shorter in extras:
        if (near := keyed.get(shorter)) is not None:
            joined.join(family, near)
    return joined.leaders()


class _Joined:
    """Union-find over families."""

    def __init__(self) -> None:
        self._above: dict[FamilyId, FamilyId] = {}

    def add(self, family: FamilyId) -> None:
        self._above.setdefault(family, family)

    def join(self, one: FamilyId, other: FamilyId) -> None:
        first, second = sorted((self._lead(one), self._lead(other)))
        self._above[second] = first

    def _lead(self, family: FamilyId) -> FamilyId:
        while self._above[family] != family:
            self._above[family] = self._above[self._above[family]]
            family = self._above[family]
        return family

    def leaders(self) -> dict[FamilyId, FamilyId]:
        return {family: self._lead(family) for family in self._above}


def _counts(messages: Sequence[Message]) -> Counter[str]:
    return Counter(word for message in messages for word in words(message.content))


def _keys(messages: Sequence[Message], counts: Counter[str]) -> Iterator[object]:
    """What two prompts share when they differ by nothing, or by one misspelt word."""
    if not counts:
        yield tuple((message.role, message.content.strip()) for message in messages)
        return
    whole = _sum(counts)
    yield whole
    for word in counts:
        if len(word) >= SHORTEST_SLIP - 1 and is_plain(word):
            rest = (whole - _hash(word)) % _HASHES
            yield from ((rest, form) for form in _forms(word))


def _forms(word: str) -> set[str]:
    """The word, and it with one letter after its first left out. Two words of a slip share one of these."""
    shorter = {word[:at] + word[at + 1:] for at in range(1, len(word))} if len(word) >= SHORTEST_SLIP else set()
    return {word} | shorter


def _without_one(counts: Counter[str]) -> Iterator[int]:
    """The sums of the same words but one, where one may be too many."""
    if counts.total() <= SHORTEST_EXTRA:
        return
    whole = _sum(counts)
    yield from ((whole - _hash(word)) % _HASHES for word in counts if is_plain(word))


def _sum(counts: Counter[str]) -> int:
    """A 64-bit hash of a bag of words from which a word can be taken out again."""
    return sum(_hash(word) * count for word, count in counts.items()) % _HASHES


@lru_cache(maxsize=1 << 18)
def _hash(word: str) -> int:
    return int.from_bytes(hashlib.blake2b(word.encode("utf-8", "surrogatepass"), digest_size=8).digest())
