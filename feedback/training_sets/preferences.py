"""Preference pairs: from rankings, from rewrites and from verdicts. A tie is never one.

* A ranking says which of two answers is better; ties and undecided pairs are counted and stay out.
* A rewrite is better than the answer that it improves.
* An answer good enough to be a demonstration is better than one to the same question that is incorrect, states
  something false, or is unsafe.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import cycle, islice
from typing import Literal, assert_never

from feedback.aggregation.ranking import margin, reversed_probability
from feedback.config import SetsConfig
from feedback.curation.quality import shows_nothing
from feedback.ids import CompletionId, ExampleId, PromptId, content_hash
from feedback.schemas import Outcome, PreferencePair, RankAnswer, RankVerdict, Sources, Verdict, VerdictValue
from feedback.training_sets.material import Material, TextKey, united
from feedback.training_sets.rewrites import Rewrite

Origin = Literal["ranking", "rewrite", "verdict"]
ORIGINS: tuple[Origin, ...] = ("ranking", "rewrite", "verdict")
"""What somebody said about two answers side by side comes before what follows from separate judgements."""


@dataclass(frozen=True)
class Preferences:
    """The pairs, sorted by id, and the account of the comparisons that gave none."""

    pairs: tuple[PreferencePair, ...]
    judged: Mapping[str, int]
    """Pairs of different texts that rankings compared: `decided`, `ties` and `undecided` add up to `judged`."""
    left_out: Mapping[str, int]
    """Reason -> preferences that gave no pair of their own."""


@dataclass(frozen=True)
class Preference:
    """One judgement that one text is better than another."""

    prompt_id: PromptId
    chosen: str
    rejected: str
    origin: Origin
    sources: Sources
    doubt: float
    """Probability that it is the other way round."""
    margin: float = 1.0


def preferences(material: Material, rewrites: Iterable[Rewrite], accepted: frozenset[CompletionId],
                sets: SetsConfig) -> Preferences:
    """Every pair that the material supports, one for each question and two texts."""
    judged: Counter[str] = Counter(judged=0, decided=0, ties=0, undecided=0, equal_texts=0)
    found = [made for verdict in material.verdicts.rank for made in _from_ranking(verdict, material, judged)]
    found += [made for rewrite in rewrites for made in _from_rewrite(rewrite, material)]
    found += _from_verdicts(material, accepted, sets)
    shown = [each for each in found if not shows_nothing(each.chosen) and not shows_nothing(each.rejected)]
    agreed = _agreed(shown, material)
    pairs = sorted((_pair(group, material) for group in agreed), key=lambda pair: pair.id)
    kept = sum(len(group) for group in agreed)
    left_out = {"an empty text": len(found) - len(shown),
                "contradicted by another judgement of the same texts": len(shown) - kept,
                "merged into a pair of the same texts": kept - len(pairs)}
    return Preferences(pairs=tuple(pairs), judged=dict(judged), left_out=left_out)


def _agreed(found: Iterable[Preference], material: Material) -> list[list[Preference]]:
    """Those of the same two texts together, unless another one prefers them the other way round."""
    groups: dict[tuple[TextKey, TextKey], list[Preference]] = {}
    for each in found:
        chosen, rejected = (material.text_key(each.prompt_id, text) for text in (each.chosen, each.rejected))
        groups.setdefault((chosen, rejected), []).append(each)
    return [group for (chosen, rejected), group in groups.items() if (rejected, chosen) not in groups]


def _from_ranking(verdict: RankVerdict, material: Material, judged: Counter[str]) -> list[Preference]:
    made = []
    for pair in verdict.pairs:
        keys = {material.text_key(verdict.prompt_id, material.completions[id].text) for id in (pair.first, pair.second)}
        if len(keys) == 1:
            judged["equal_texts"] += 1
            continue
        judged["judged"] += 1
        match pair.outcome:
            case Outcome.FIRST:
                made.append(_ranked(verdict, material, better=pair.first, worse=pair.second, doubt=pair.reversed_probability))
            case Outcome.SECOND:
                made.append(_ranked(verdict, material, better=pair.second, worse=pair.first, doubt=pair.reversed_probability))
            case Outcome.TIE:
                judged["ties"] += 1
            case Outcome.UNDECIDED:
                judged["undecided"] += 1
            case _:
                assert_never(pair.outcome)
    judged["decided"] += len(made)
    return made


def _ranked(verdict: RankVerdict, material: Material, *, better: CompletionId, worse: CompletionId, doubt: float) -> Preference:
    answers = [answer for id in verdict.sources.ratings if isinstance(answer := material.ratings[id].answer, RankAnswer)]
    return Preference(prompt_id=verdict.prompt_id, chosen=material.completions[better].text,
                      rejected=material.completions[worse].text, origin="ranking",
                      sources=verdict.sources.model_copy(update={"completions": tuple(sorted((better, worse)))}),
                      doubt=doubt, margin=margin(answers, better=better, worse=worse))


def _from_rewrite(rewrite: Rewrite, material: Material) -> list[Preference]:
    return [Preference(prompt_id=rewrite.item.prompt_id, chosen=rewrite.text, rejected=material.completions[original].text,
                       origin="rewrite", sources=rewrite.sources.model_copy(update={"completions": (original,)}),
                       doubt=reversed_probability(1, 0))
            for original in rewrite.originals]


def _from_verdicts(material: Material, accepted: frozenset[CompletionId], sets: SetsConfig) -> list[Preference]:
    """Each good and each bad answer to a question at least once: as many pairs as the larger side has answers, so that
    a question with many answers does not drown the others."""
    good: dict[PromptId, list[Verdict]] = {}
    bad: dict[PromptId, list[Verdict]] = {}
    for verdict in material.verdicts.rate:
        if verdict.completion_id in accepted:
            good.setdefault(verdict.prompt_id, []).append(verdict)
        elif _is_bad(verdict, sets):
            bad.setdefault(verdict.prompt_id, []).append(verdict)
    made = []
    for prompt_id in sorted(good.keys() & bad.keys()):
        count = max(len(good[prompt_id]), len(bad[prompt_id]))
        both = zip(islice(cycle(good[prompt_id]), count), islice(cycle(bad[prompt_id]), count), strict=True)
        made += [_judged_apart(better, worse, material) for better, worse in both]
    return made


def _is_bad(verdict: Verdict, sets: SetsConfig) -> bool:
    unsafe = verdict.criteria.get("safety", sets.accept_safety) < sets.accept_safety
    return verdict.outcome is VerdictValue.INCORRECT or verdict.hallucinated is True or unsafe


def _judged_apart(better: Verdict, worse: Verdict, material: Material) -> Preference:
    """The doubt is that both verdicts are wrong, given that both are right or both are wrong."""
    both_wrong = (1 - better.probability) * (1 - worse.probability)
    both_right = better.probability * worse.probability
    return Preference(prompt_id=better.prompt_id, chosen=material.completions[better.completion_id].text,
                      rejected=material.completions[worse.completion_id].text, origin="verdict",
                      sources=united([better.sources, worse.sources]), doubt=both_wrong / (both_wrong + both_right))


def _pair(group: list[Preference], material: Material) -> PreferencePair:
    """One pair for all judgements that agree: the first origin's, with the least doubt and everybody's sources."""
    first = min(group, key=lambda each: (ORIGINS.index(each.origin), each.prompt_id, each.chosen, each.rejected, -each.margin))
    prompt = material.prompts[first.prompt_id]
    made = content_hash("pair", [prompt.id, [message.model_dump() for message in prompt.messages], first.chosen, first.rejected])
    return PreferencePair(id=ExampleId(made), prompt_id=prompt.id, family=prompt.family, topic=prompt.topic,
                          messages=prompt.messages, chosen=first.chosen, rejected=first.rejected, margin=first.margin,
                          reversed_probability=min(0.5, *(each.doubt for each in group)), origin=first.origin,
                          sources=united(each.sources for each in group))
