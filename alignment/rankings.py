"""Rankings on their way into the ranked trainers: read, and refused when a pair of them prefers nothing."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from feedback.errors import InvalidInput, NothingToDo
from feedback.jsonl import read_rows
from feedback.training_sets.rows import RankedSet
from sft.train import raise_unusable, turn_problem

ROWS = "rankings.jsonl"


def read_ranked_sets(training_sets: Path) -> list[RankedSet]:
    """The rankings of a training-sets folder.

    Raises NothingToDo when none holds a preference, InvalidInput naming every ranking of fewer than two answers, with an
    empty answer, or with a preference between equal ones.
    """
    path = training_sets / ROWS
    if not path.exists():
        raise InvalidInput(f"{path}: not there; `redpen feedback build` writes it. For pairs.jsonl alone use engine=trl")
    rankings = read_rows(path, RankedSet)
    if not any(ranking.pairs for ranking in rankings):
        raise NothingToDo(f"{path}: no preferences to train on in {len(rankings)} rankings; ties and undecided sets make none, "
                          "so review more")
    raise_unusable(path, rankings, _problem)
    return rankings


def pairs_per_ranking(rankings: Sequence[RankedSet]) -> float:
    """The mean over rankings that have any; 1 when none has."""
    sizes = [len(ranking.pairs) for ranking in rankings if ranking.pairs] or [1]
    return sum(sizes) / len(sizes)


def _problem(ranking: RankedSet) -> str | None:
    texts = [text.strip() for text in ranking.completions]
    for pair in ranking.pairs:
        if max(pair.better, pair.worse) >= len(texts):
            return f"a pair names answer {max(pair.better, pair.worse)}; it has {len(texts)}, counted from 0"
        for place in (pair.better, pair.worse):
            if not texts[place]:
                return f"answer {place} is empty; a preference needs two answers"
        if texts[pair.better] == texts[pair.worse]:
            return (f"answers {pair.better} and {pair.worse} are both {texts[pair.better][:40]!r}; a tie is never "
                    "trained on as a preference")
    return turn_problem(ranking.messages)
