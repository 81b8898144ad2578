"""Reviewers whose preferences lift something other than quality: length, a phrase, a topic.

Each reviewer is compared with all others on the same kind of pairs, by Fisher's exact test; looking at many phrases costs
accordingly (Bonferroni). A lift is a reason to look, and no proof: some phrases do make an answer better.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from feedback.ids import ReviewerId

Kind: TypeAlias = Literal["length", "phrase", "topic"]

ALPHA = 0.001
"""Chance of one false alarm for a reviewer and kind, before the looks are counted."""
FEWEST = 12
"""Comparisons below which nothing is said."""
LARGE = 0.2
"""Difference from the others' share below which a lift is too small to matter."""
LONGEST_PHRASE = 3


@dataclass(frozen=True, slots=True)
class Preferred:
    """One reviewer's preference for one text over another."""

    reviewer: ReviewerId
    better: str
    worse: str


@dataclass(frozen=True, slots=True)
class Approved:
    """One reviewer's verdict on an answer of a topic."""

    reviewer: ReviewerId
    topic: str
    approved: bool


@dataclass(frozen=True, slots=True)
class Lift:
    """What a reviewer prefers more often than the others do."""

    reviewer: ReviewerId
    kind: Kind
    what: str
    share: float
    """Of this reviewer's comparisons."""
    others: float
    """Of everybody else's."""
    n: int
    p_value: float
    """After the number of looks is counted."""


def lifts(preferences: Sequence[Preferred], verdicts: Sequence[Approved]) -> list[Lift]:
    """Every lift, sorted by reviewer, kind and subject."""
    cells = _Cells()
    for row in preferences:
        longer = len(row.better) - len(row.worse)
        if longer:
            cells.count("length", "longer answers", row.reviewer, longer > 0)
        ours, theirs = _phrases(row.better), _phrases(row.worse)
        for phrase in ours ^ theirs:
            cells.count("phrase", phrase, row.reviewer, phrase in ours)
    for verdict in verdicts:
        cells.count("topic", verdict.topic, verdict.reviewer, verdict.approved)
    return sorted(cells.lifted(), key=lambda lift: (lift.reviewer, lift.kind, lift.p_value, lift.what))


def _phrases(text: str) -> set[str]:
    words = re.findall(r"\w+", text.lower())
    return {" ".join(words[at:at + size]) for size in range(1, LONGEST_PHRASE + 1) for at in range(len(words) - size + 1)}


class _Cells:
    """How often each reviewer preferred what has a feature, and how often it was there to prefer."""

    def __init__(self) -> None:
        self.n: Counter[tuple[Kind, str, ReviewerId]] = Counter()
        self.hits: Counter[tuple[Kind, str, ReviewerId]] = Counter()
        self.all_n: Counter[tuple[Kind, str]] = Counter()
        self.all_hits: Counter[tuple[Kind, str]] = Counter()

    def count(self, kind: Kind, what: str, reviewer: ReviewerId, hit: bool) -> None:
        self.n[kind, what, reviewer] += 1
        self.all_n[kind, what] += 1
        if hit:
            self.hits[kind, what, reviewer] += 1
            self.all_hits[kind, what] += 1

    def lifted(self) -> Iterator[Lift]:
        tried = {key: n for key, n in self.n.items() if n >= FEWEST and self.all_n[key[0], key[1]] - n >= FEWEST}
        looks = Counter((kind, reviewer) for kind, _, reviewer in tried)
        for kind, what, reviewer in tried:
            found = self._lift(kind, what, reviewer, looks[kind, reviewer])
            if found is not None:
                yield found

    def _lift(self, kind: Kind, what: str, reviewer: ReviewerId, looks: int) -> Lift | None:
        from scipy.stats import fisher_exact

        n, hits = self.n[kind, what, reviewer], self.hits[kind, what, reviewer]
        rest, rest_hits = self.all_n[kind, what] - n, self.all_hits[kind, what] - hits
        if hits / n - rest_hits / rest < LARGE:
            return None
        p_value = float(fisher_exact([[hits, n - hits], [rest_hits, rest - rest_hits]], alternative="greater").pvalue) * looks
        return None if p_value > ALPHA else Lift(reviewer=reviewer, kind=kind, what=what, share=hits / n, others=rest_hits / rest,
                                                 n=n, p_value=p_value)


def strongest(found: Iterable[Lift]) -> Mapping[ReviewerId, list[Lift]]:
    """By reviewer, of each kind the surest lift: the words of one phrase lift together."""
    best: dict[tuple[ReviewerId, Kind], Lift] = {}
    for lift in sorted(found, key=lambda row: (row.p_value, -len(row.what), row.what)):
        best.setdefault((lift.reviewer, lift.kind), lift)
    by: dict[ReviewerId, list[Lift]] = {}
    for (reviewer, _), lift in sorted(best.items()):
        by.setdefault(reviewer, []).append(lift)
    return by
