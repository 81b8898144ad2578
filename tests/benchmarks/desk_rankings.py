"""Rankings of the demo's help desk with known truth: the corpus's voices answer, an oracle that asks `inspect` judges."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

import numpy as np

from feedback.aggregation.panel import Panel
from feedback.aggregation.reliability import weigh
from feedback.ids import ExampleId, FamilyId, PromptId
from feedback.schemas import Message
from feedback.training_sets.rows import RankedPair, RankedSet
from review_ui.demo.facts import facts
from review_ui.demo.oracle import judge
from review_ui.demo.voices import VOICES, Corpus
from tests.rows import SOURCES


@dataclass(frozen=True)
class Labelled:
    """What the reviewers made of the true rankings."""

    by_majority: list[RankedSet]
    """As most of them said, each pair certain."""
    by_model: list[RankedSet]
    """As the reliability model concludes, with its doubt as each pair's posterior."""
    wrong_by_majority: float
    """Share of pairs that are the wrong way round, 0 to 1."""
    wrong_by_model: float


def true_rankings(count: int, *, size: int, seed: int) -> list[RankedSet]:
    """Questions with `size` different answers in the order of their true merit; equal merit is no pair."""
    chance, corpus, made = Random(f"rankings:{seed}"), Corpus(), []
    for fact in chance.sample(facts(), len(facts())):
        question = chance.choice(fact.questions)
        answers = list(dict.fromkeys(corpus.say(fact, voice, chance) for voice in chance.sample(VOICES, len(VOICES))))[:size]
        merits = [judge(question, answer).merit for answer in answers]
        pairs = tuple(RankedPair(better=i, worse=j, origin="ranking") for i, better in enumerate(merits)
                      for j, worse in enumerate(merits) if better > worse)
        if len(answers) == size and pairs:
            number = len(made)
            made.append(RankedSet(id=ExampleId(f"r{number}"), prompt_id=PromptId(f"p{number}"), family=FamilyId(fact.family),
                                  topic=fact.topic, messages=(Message(role="user", content=question),),
                                  completions=tuple(answers), pairs=pairs, sources=SOURCES))
        if len(made) == count:
            break
    return made


def reviewed(rankings: Sequence[RankedSet], *, seed: int, reviewers: int = 9, votes: int = 3) -> Labelled:
    """Every pair judged by `votes` of the simulated reviewers, who are right in 50 to 95 of 100: together wrong in about a fifth.

    The model (`feedback.aggregation.reliability`) sees the votes alone; nobody tells it who is reliable or what is true.
    """
    chance = np.random.default_rng(seed)
    reliability = np.linspace(0.5, 0.95, reviewers)
    pairs = sum(len(ranking.pairs) for ranking in rankings)
    item = np.repeat(np.arange(pairs), votes)
    reviewer = np.concatenate([chance.permutation(reviewers)[:votes] for _ in range(pairs)])
    # Which side stands first is chance, so that nobody learns that the first is right.
    truth = chance.integers(0, 2, pairs)
    right = chance.random(len(item)) < reliability[reviewer]
    label = np.where(right, truth[item], 1 - truth[item])
    counted = np.bincount(item, weights=label, minlength=pairs) / votes
    weighed = weigh(Panel(item=item, reviewer=reviewer, label=label, items=pairs, reviewers=reviewers, labels=2, ordered=False))
    by_model = np.where(truth == 1, weighed.truth[:, 1], weighed.truth[:, 0])
    by_majority = np.where(truth == 1, counted, 1 - counted)
    return Labelled(_turned(rankings, by_majority, certain=True), _turned(rankings, by_model, certain=False),
                    float((by_majority < 0.5).mean()), float((by_model < 0.5).mean()))


def _turned(rankings: Sequence[RankedSet], agreement: np.ndarray, *, certain: bool) -> list[RankedSet]:
    """The rankings as recorded: a pair with which less than half agrees is recorded the other way round."""
    values = iter(agreement.tolist())
    return [ranking.model_copy(update={"pairs": tuple(_recorded(pair, next(values), certain=certain) for pair in ranking.pairs)})
            for ranking in rankings]


def _recorded(pair: RankedPair, agreement: float, *, certain: bool) -> RankedPair:
    turned = agreement < 0.5
    doubt = 0.0 if certain else min(0.5, min(agreement, 1 - agreement))
    better, worse = (pair.worse, pair.better) if turned else (pair.better, pair.worse)
    return pair.model_copy(update={"better": better, "worse": worse, "reversed_probability": doubt})


def with_doubt(rankings: Sequence[RankedSet], doubt: float) -> list[RankedSet]:
    """The same rankings with one posterior for all pairs."""
    return [ranking.model_copy(update={"pairs": tuple(pair.model_copy(update={"reversed_probability": doubt})
                                                      for pair in ranking.pairs)}) for ranking in rankings]
