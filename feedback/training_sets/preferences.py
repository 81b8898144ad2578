"""Preference pairs: from rankings, from rewrites and from verdicts. A tie is never one.

* A ranking says which of two answers is better; ties and undecided pairs are counted and stay out.
* A rewrite is better than the answer that it improves.
* Of two answers rated apart the correct one is better than the incorrect, the safe one than the unsafe, the one without a
  marked falsehood than the one with it; and where the rubric says which criteria come first, the better rated one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import assert_never, get_args

from feedback.aggregation.conclusions import Outcome, PairVerdict, RankVerdict, Sources
from feedback.aggregation.ranking import margin, reversed_probability
from feedback.config import SetsConfig
from feedback.curation.quality import shows_nothing
from feedback.ids import ExampleId, PromptId, content_hash
from feedback.schemas import RankAnswer
from feedback.training_sets.judged_apart import judged_apart
from feedback.training_sets.material import Material, TextKey, united
from feedback.training_sets.rewrites import Rewrite
from feedback.training_sets.rows import PairOrigin, PreferencePair

ORIGINS: tuple[PairOrigin, ...] = get_args(PairOrigin)
"""What somebody said about two answers side by side comes before what follows from separate judgements."""

USUALLY_RIGHT = 0.75
"""How often a reviewer of whom nothing is known is right."""


@dataclass(frozen=True)
class Tie:
    """Two answers to one question that reviewers found equally good side by side."""

    prompt_id: PromptId
    texts: tuple[str, str]
    sources: Sources


@dataclass(frozen=True)
class Preferences:
    """The pairs, sorted by id, and the account of the comparisons that gave none."""

    pairs: tuple[PreferencePair, ...]
    ties: tuple[Tie, ...]
    """Sorted by texts; none is of the texts of a pair."""
    judged: Mapping[str, int]
    """Pairs of different texts that rankings compared: `decided`, `ties` and `undecided` add up to `judged`."""
    left_out: Mapping[str, int]
    """Reason -> preferences that gave no pair of their own."""


@dataclass(frozen=True)
class Preference:
    """One judgement that one answer is better than another to the same question."""

    chosen: TextKey
    rejected: TextKey
    origin: PairOrigin
    sources: Sources
    doubt: float
    """Probability that it is the other way round."""
    margin: float = 1.0
    criterion: str | None = None
    """What told answers apart that were rated by themselves."""


@dataclass
class Compared:
    """What rankings say, pair by pair."""

    preferences: list[Preference] = field(default_factory=list)
    equal: dict[frozenset[TextKey], list[Sources]] = field(default_factory=dict)
    judged: Counter[str] = field(default_factory=lambda: Counter(judged=0, decided=0, ties=0, undecided=0, equal_texts=0))


def preferences(material: Material, rewrites: Iterable[Rewrite], sets: SetsConfig) -> Preferences:
    """Every pair that the material supports, one for each question and two texts."""
    compared = _from_rankings(material)
    found = [*compared.preferences, *(made for rewrite in rewrites for made in _from_rewrite(rewrite, material)),
             *_from_verdicts(material, sets)]
    shown = [each for each in found if not shows_nothing(each.chosen[1]) and not shows_nothing(each.rejected[1])]
    agreed = _agreed(shown)
    standing = [group for group in agreed if frozenset((group[0].chosen, group[0].rejected)) not in compared.equal]
    pairs = sorted((_pair(group, material) for group in standing), key=lambda pair: pair.id)
    kept = sum(map(len, standing))
    left_out = {"an empty text": len(found) - len(shown),
                "contradicted by another judgement of the same texts": len(shown) - sum(map(len, agreed)),
                "tied in a ranking of the same texts": sum(map(len, agreed)) - kept,
                "merged into a pair of the same texts": kept - len(pairs)}
    return Preferences(pairs=tuple(pairs), ties=_ties(compared, material), judged=dict(compared.judged), left_out=left_out)


def _agreed(found: Iterable[Preference]) -> list[list[Preference]]:
    """Those of the same two texts together, unless another one prefers them the other way round."""
    groups: dict[tuple[TextKey, TextKey], list[Preference]] = {}
    for each in found:
        groups.setdefault((each.chosen, each.rejected), []).append(each)
    return [group for (chosen, rejected), group in groups.items() if (rejected, chosen) not in groups]


def _ties(compared: Compared, material: Material) -> tuple[Tie, ...]:
    made = []
    for keys, found in compared.equal.items():
        first, second = sorted(keys)
        if not shows_nothing(first[1]) and not shows_nothing(second[1]):
            texts = material.spelling[first], material.spelling[second]
            made.append(Tie(prompt_id=first[0], texts=texts, sources=united(found)))
    return tuple(sorted(made, key=lambda tie: (tie.prompt_id, tie.texts)))


def _from_rankings(material: Material) -> Compared:
    """Every pair of every ranking, counted. A text that was sampled twice is not compared with itself."""
    compared = Compared()
    for verdict in material.verdicts.rank:
        for pair in verdict.pairs:
            if material.key_of(pair.first) == material.key_of(pair.second):
                compared.judged["equal_texts"] += 1
            else:
                compared.judged["judged"] += 1
                _count(pair, verdict, material, compared)
    return compared


def _count(pair: PairVerdict, verdict: RankVerdict, material: Material, compared: Compared) -> None:
    match pair.outcome:
        case Outcome.FIRST | Outcome.SECOND:
            compared.judged["decided"] += 1
            compared.preferences.append(_ranked(pair, verdict, material))
        case Outcome.TIE:
            compared.judged["ties"] += 1
            keys = frozenset((material.key_of(pair.first), material.key_of(pair.second)))
            compared.equal.setdefault(keys, []).append(_sources_of(pair, verdict))
        case Outcome.UNDECIDED:
            compared.judged["undecided"] += 1
        case _:
            assert_never(pair.outcome)


def _sources_of(pair: PairVerdict, verdict: RankVerdict) -> Sources:
    return verdict.sources.model_copy(update={"completions": tuple(sorted((pair.first, pair.second)))})


def _ranked(pair: PairVerdict, verdict: RankVerdict, material: Material) -> Preference:
    better, worse = (pair.first, pair.second) if pair.outcome is Outcome.FIRST else (pair.second, pair.first)
    answers = [answer for id in verdict.sources.ratings if isinstance(answer := material.ratings[id].answer, RankAnswer)]
    return Preference(chosen=material.key_of(better), rejected=material.key_of(worse), origin="ranking",
                      sources=_sources_of(pair, verdict), doubt=pair.reversed_probability,
                      margin=margin(answers, better=better, worse=worse))


def _from_rewrite(rewrite: Rewrite, material: Material) -> list[Preference]:
    return [Preference(chosen=material.text_key(rewrite.item.prompt_id, rewrite.text), rejected=material.key_of(original),
                       origin="rewrite", sources=rewrite.sources.model_copy(update={"completions": (original,)}),
                       doubt=_doubt_of_its_writer(rewrite, material))
            for original in rewrite.originals]


def _doubt_of_its_writer(rewrite: Rewrite, material: Material) -> float:
    """Probability that what a rewrite improves was better.

    That of one vote of somebody unknown, as many times as its writer errs more often than they do.
    """
    right = [material.verdicts.right.get(reviewer, USUALLY_RIGHT) for reviewer in rewrite.sources.reviewers]
    return min(0.5, reversed_probability(1, 0) * (1 - max(right)) / (1 - USUALLY_RIGHT))


def _from_verdicts(material: Material, sets: SetsConfig) -> list[Preference]:
    return [Preference(chosen=material.key_of(apart.better.completion_id), rejected=material.key_of(apart.worse.completion_id),
                       origin=apart.origin, sources=united([apart.better.sources, apart.worse.sources]), doubt=apart.doubt,
                       margin=apart.margin, criterion=apart.criterion) for apart in judged_apart(material, sets)]


def _pair(group: list[Preference], material: Material) -> PreferencePair:
    """One pair for all judgements that agree: the first origin's, with the least doubt and everybody's sources."""
    first = min(group, key=lambda each: (ORIGINS.index(each.origin), -each.margin))
    prompt = material.prompts[first.chosen[0]]
    chosen, rejected = material.spelling[first.chosen], material.spelling[first.rejected]
    made = content_hash("pair", [prompt.id, [message.model_dump() for message in prompt.messages], chosen, rejected])
    return PreferencePair(id=ExampleId(made), prompt_id=prompt.id, family=prompt.family, topic=prompt.topic,
                          synthetic=prompt.synthetic, messages=prompt.messages, chosen=chosen, rejected=rejected,
                          margin=first.margin, reversed_probability=min(0.5, *(each.doubt for each in group)),
                          origin=first.origin, criterion=first.criterion, sources=united(each.sources for each in group))
