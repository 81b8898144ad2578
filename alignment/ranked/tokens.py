"""Rankings as trees: each text tokenised once, cut where it exceeds the length, and a count of everything left out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from alignment.ranked.encoding import Encoded, Encoding, together
from alignment.ranked.trees import Pair, Tree, is_cyclic, share_branches
from feedback.errors import InvalidInput, NothingToDo
from feedback.training_sets.rows import RankedSet
from sft.chat import ensure_template


@dataclass
class Reading:
    """The trees of some rankings, and what became of the rest."""

    trees: list[Tree] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    """How many rankings and pairs were read, kept, left out and why; `cyclic` ones are kept as pairs."""

    def count(self, what: str, by: int = 1) -> None:
        """Add to a count."""
        self.counts[what] = self.counts.get(what, 0) + by


def read_rankings(rankings: Sequence[RankedSet], tokenizer: Any, *, max_length: int | None, whole: bool = False,
                  marks: bool = False, encode: Encoding = together) -> Reading:
    """Every usable ranking as a tree, weights scaled to mean 1.

    A completion is cut at `max_length` together with its prompt; a ranking whose prompt fills `max_length` by itself is
    left out, and so is one without any preference. With `whole` a completion that does not fit is left out rather than
    cut, since a reward model scores an answer by its end. `marks` reads the spans. Raises NothingToDo when none is left.
    """
    ensure_template(tokenizer)
    if problems := _problems(rankings):
        raise InvalidInput(problems)
    reading = Reading()
    for ranking in rankings:
        reading.count("rankings")
        reading.count("read", len(ranking.pairs))
        reading.count("ties", len(ranking.ties))
        tree = _tree(ranking, tokenizer, max_length, reading, whole=whole, marks=marks, encode=encode)
        if tree is not None:
            reading.trees.append(tree)
            _count_kept(tree, reading)
    if not reading.trees:
        raise NothingToDo(f"no ranking can be trained on: {reading.counts}; rank more answers, or raise model.max_length")
    reading.trees = _scaled(reading.trees)
    return reading


def _count_kept(tree: Tree, reading: Reading) -> None:
    reading.count("trained_rankings")
    reading.count("trained", len(tree.pairs))
    reading.count("cyclic", int(is_cyclic(tree.pairs)))
    reading.count("duplicates", tree.size - len(tree.branches))


def _problems(rankings: Sequence[RankedSet]) -> list[str]:
    found = []
    for ranking in rankings:
        size = len(ranking.completions)
        found += [f"ranking {ranking.id}: pair {(pair.better, pair.worse)} names a completion that is not there; it has {size}, "
                  "counted from 0" for pair in ranking.pairs if max(pair.better, pair.worse) >= size or pair.better == pair.worse]
        for name in ("hallucinated", "spans"):
            if (given := getattr(ranking, name)) and len(given) != size:
                found.append(f"ranking {ranking.id}: {name} has {len(given)} entries for {size} completions; give one for each")
    return found


def _tree(ranking: RankedSet, tokenizer: Any, max_length: int | None, reading: Reading, *, whole: bool, marks: bool,
          encode: Encoding) -> Tree | None:
    if not ranking.pairs:
        reading.count("only_ties")
        return None
    encoded = encode(ranking, tokenizer, marks=marks)
    room = None if max_length is None else max_length - len(encoded.prompt)
    if not encoded.prompt or (room is not None and room <= 0):
        reading.count("prompt_too_long" if encoded.prompt else "prompt_empty")
        reading.count("dropped_too_long", len(ranking.pairs))
        return None
    cut = [ids[:room] for ids in encoded.completions]
    compared = sorted({place for pair in ranking.pairs for place in (pair.better, pair.worse)})
    short = [place for place in compared if len(cut[place]) < len(encoded.completions[place])]
    kept = [place for place in compared if cut[place] and not (whole and place in short)]
    reading.count("dropped_completions" if whole else "truncated", len(short))
    pairs = _pairs(ranking, kept)
    if not pairs:
        reading.count("dropped_too_long", len(ranking.pairs))
        return None
    reading.count("dropped_too_long", len(ranking.pairs) - len(pairs))
    return _grown(ranking, encoded, cut, kept, pairs)


def _grown(ranking: RankedSet, encoded: Encoded, cut: list[list[int]], kept: list[int], pairs: tuple[Pair, ...]) -> Tree:
    branches, branch_of = share_branches([tuple(cut[place]) for place in kept])
    marked = tuple(tuple(encoded.marked[place][:len(cut[place])]) for place in kept) if any(map(any, encoded.marked)) else ()
    return Tree(ranking.id, tuple(encoded.prompt), branches, branch_of, pairs,
                tuple(ranking.hallucinated[place] for place in kept) if ranking.hallucinated else (), marked)


def _pairs(ranking: RankedSet, kept: list[int]) -> tuple[Pair, ...]:
    place = {completion: index for index, completion in enumerate(kept)}
    return tuple(Pair(place[pair.better], place[pair.worse], pair.reversed_probability, pair.weight, pair.margin)
                 for pair in ranking.pairs if pair.better in place and pair.worse in place)


def _scaled(trees: list[Tree]) -> list[Tree]:
    """The trees with weights of mean 1, so that weights change what counts and not the step's size."""
    weights = [pair.weight for tree in trees for pair in tree.pairs]
    mean = sum(weights) / len(weights)
    if mean == 1:
        return trees
    return [replace(tree, pairs=tuple(replace(pair, weight=pair.weight / mean) for pair in tree.pairs)) for tree in trees]
