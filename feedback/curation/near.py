"""Near duplicates in any number of texts: MinHash finds candidates, and each is then compared in full.

rensa (Rust) computes 128 minima over the character 4-grams of a text's words; two texts of similarity s share
each of 32 bands of 4 with probability s^4 (Leskovec, Rajaraman, Ullman, Mining of Massive Datasets, 3.4), and are candidates
when they share 4. A text leaves 32 numbers of 32 bits behind, so a million of them need 128 MB whatever their length.

Two texts are near duplicates when the Jaccard similarity of their 4-grams reaches the threshold and the words that decide
(numbers, signs, code, negations; see `wording`) are the same.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from feedback.curation.wording import exact_words, words
from feedback.errors import MissingPart

if TYPE_CHECKING:
    import numpy as np

GRAM, MINIMA, BANDS = 4, 128, 32
CHUNK = 20_000
"""Texts whose 4-grams are held in memory at once."""
NEIGHBOURS = 8
"""In a band that very many texts share (a template), each is compared with so many before it."""
FEWEST_BANDS = 4
"""Bands that a pair shares before it is compared. At similarity 0.8 a pair shares 13 of 32 on average, and fewer than 4 once in
ten thousand; at 0.5, where templates lie, it shares 2."""
REMEMBERED = 2_000_000
"""Pairs that were compared in vain and come again with each band they share; with more, they are compared again."""
BLOCK = 100_000
"""Pairs whose bands are compared at once."""
SEED = 1
LONGEST = 100_000
"""Characters of a text that are looked at."""


def near_duplicates(texts: Sequence[str], *, similarity: float = 0.8) -> dict[int, int]:
    """Index of each text that nearly repeats an earlier one -> index of the first of its group. Raises MissingPart without rensa.

    Groups are joined through their members: the first and the last need not be alike.
    """
    first: dict[bytes, int] = {}
    above: dict[int, int] = {}
    distinct: list[int] = []
    for at, text in enumerate(texts):
        told = hashlib.blake2b(_plain(text).encode(), digest_size=12).digest()
        if first.setdefault(told, at) == at:
            distinct.append(at)
        else:
            above[at] = first[told]
    del first
    unlike: set[int] = set()
    for one, other in _candidates(texts, distinct):
        leading, following = sorted((_lead(above, one), _lead(above, other)))
        pair = one * len(texts) + other
        if leading == following or pair in unlike:
            continue
        if alike(texts[one], texts[other], similarity=similarity):
            above[following] = leading
        else:
            if len(unlike) == REMEMBERED:
                unlike.clear()
            unlike.add(pair)
    return {at: _lead(above, at) for at in sorted(above)}


def alike(one: str, other: str, *, similarity: float) -> bool:
    """The 4-grams overlap by at least `similarity`, and nothing that decides differs."""
    first, second = grams(one), grams(other)
    if min(len(first), len(second)) < similarity * max(len(first), len(second)):
        return False
    shared = len(first & second)
    return shared >= similarity * (len(first) + len(second) - shared) and exact_words(one) == exact_words(other)


def grams(text: str) -> set[str]:
    """The character 4-grams of a text's words; a text without words is one gram."""
    plain = _plain(text)
    return {plain[at:at + GRAM] for at in range(max(1, len(plain) - GRAM + 1))}


def _plain(text: str) -> str:
    """A text's words; without any the text itself. Lone surrogates, which no library takes, become question marks."""
    plain = " ".join(words(text[:LONGEST])) or text[:LONGEST].strip()
    return plain.encode("utf-8", "replace").decode("utf-8")


def _lead(above: dict[int, int], at: int) -> int:
    while at in above:
        if above[at] in above:
            above[at] = above[above[at]]
        at = above[at]
    return at


def _candidates(texts: Sequence[str], distinct: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Pairs of texts that share a band, band by band."""
    import numpy as np

    if len(distinct) < 2:
        return
    bands = np.concatenate([_bands([texts[at] for at in distinct[start:start + CHUNK]])
                            for start in range(0, len(distinct), CHUNK)], axis=1)
    for band in bands:
        order = np.argsort(band, kind="stable")
        for one, other in _neighbours(band[order], order):
            chosen = (bands[:, one] == bands[:, other]).sum(axis=0) >= FEWEST_BANDS
            for first, second in zip(one[chosen].tolist(), other[chosen].tolist(), strict=True):
                yield distinct[first], distinct[second]


def _neighbours(band: np.ndarray[Any, Any], order: np.ndarray[Any, Any]) -> Iterator[tuple[np.ndarray[Any, Any], ...]]:
    """Members of equal number in a sorted band: each with the few before it, and with the first of all, in blocks."""
    import numpy as np

    places = np.arange(len(band))
    begins = np.maximum.accumulate(np.where(np.r_[True, band[1:] != band[:-1]], places, 0))
    for back in range(NEIGHBOURS + 1):
        earlier = begins if back == 0 else places - back
        found = np.flatnonzero((earlier >= begins) & (earlier < places))
        for start in range(0, len(found), BLOCK):
            some = found[start:start + BLOCK]
            yield order[earlier[some]], order[some]


def _bands(texts: Iterable[str]) -> np.ndarray[Any, Any]:
    """`BANDS` 32-bit numbers a text; axes: band, text."""
    import numpy as np

    matrix = _minhash().digest_matrix_from_token_sets([list(grams(text)) for text in texts], MINIMA, SEED)
    minima = np.asarray(matrix.to_rows(), dtype=np.uint64).reshape(-1, BANDS, MINIMA // BANDS)
    mixed = np.zeros(minima.shape[:2], dtype=np.uint64)
    for place in range(minima.shape[2]):
        mixed = (mixed ^ minima[:, :, place]) * np.uint64(0x9E3779B97F4A7C15)
        mixed ^= mixed >> np.uint64(29)
    return np.ascontiguousarray((mixed >> np.uint64(32)).astype(np.uint32).T)


def _minhash() -> Any:
    try:
        from rensa import RMinHash
    except ImportError:
        raise MissingPart("near duplicates among many texts: rensa is not installed; "
                          "pip install -c constraints.txt -e '.[curation]'") from None
    return RMinHash
