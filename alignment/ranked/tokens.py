"""Rankings as trees: each text tokenised once, cut where all completions still agree with the prompt."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import takewhile
from typing import Any

from alignment.ranked.trees import Evidence, Pair, Tree, is_cyclic, share_branches
from feedback.errors import InvalidInput, NothingToDo
from feedback.schemas import RankedSet, Span
from sft.chat import FIXED_DATE, ensure_template


@dataclass
class Reading:
    """The trees of some rankings, and what became of the rest."""

    trees: list[Tree] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    """How many rankings were read, kept, left out and why; `cyclic` ones are kept as pairs."""

    def count(self, what: str, by: int = 1) -> None:
        """Add to a count."""
        self.counts[what] = self.counts.get(what, 0) + by


def read_rankings(rankings: Sequence[RankedSet], tokenizer: Any, *, max_length: int | None,
                  evidence: Mapping[str, Evidence] | None = None, whole: bool = False) -> Reading:
    """Every usable ranking as a tree, weights scaled to mean 1.

    A completion is cut at `max_length` together with its prompt; a ranking whose prompt fills `max_length` by itself is
    left out, and so is one without any preference. With `whole` a completion that does not fit is left out rather than
    cut, since a reward model scores an answer by its end. Raises NothingToDo when none is left.
    """
    ensure_template(tokenizer)
    problems = _problems(rankings, evidence or {})
    if problems:
        raise InvalidInput(problems)
    reading = Reading()
    for ranking in rankings:
        reading.count("rankings")
        known = (evidence or {}).get(ranking.id) or _recorded(ranking)
        tree = _tree(ranking, tokenizer, max_length, known, reading, whole=whole)
        if tree is not None:
            reading.trees.append(tree)
            reading.count("kept")
            reading.count("cyclic", int(is_cyclic(tree.pairs)))
    if not reading.trees:
        raise NothingToDo(f"no ranking can be trained on: {reading.counts}; rank more answers, or raise model.max_length")
    reading.trees = _scaled(reading.trees)
    return reading


def _problems(rankings: Sequence[RankedSet], evidence: Mapping[str, Evidence]) -> list[str]:
    found = []
    for ranking in rankings:
        size, own = len(ranking.completions), evidence.get(ranking.id, Evidence())
        found += [f"ranking {ranking.id}: pair {(pair.better, pair.worse)} names a completion that is not there; "
                  f"it has {size}, counted from 0" for pair in ranking.pairs if max(pair.better, pair.worse) >= size]
        for name, given, expected in (("weights", own.weights, len(ranking.pairs)), ("margins", own.margins, len(ranking.pairs)),
                                      ("hallucinated", own.hallucinated, size), ("spans", own.spans, size)):
            if given and len(given) != expected:
                found.append(f"ranking {ranking.id}: evidence has {len(given)} {name}, expected {expected}")
    return found


def _recorded(ranking: RankedSet) -> Evidence:
    """What the row itself says beside its pairs."""
    return Evidence(weights=tuple(pair.weight for pair in ranking.pairs), margins=tuple(pair.margin for pair in ranking.pairs),
                    hallucinated=ranking.hallucinated, spans=ranking.spans)


def _tree(ranking: RankedSet, tokenizer: Any, max_length: int | None, evidence: Evidence, reading: Reading, *,
          whole: bool) -> Tree | None:
    if not ranking.pairs:
        reading.count("only ties")
        return None
    prompt, completions, marked = _encode(ranking, tokenizer, evidence)
    room = None if max_length is None else max_length - len(prompt)
    if not prompt or (room is not None and room <= 0):
        reading.count("prompt fills max_length" if prompt else "prompt is empty")
        return None
    cut = [ids[:room] for ids in completions]
    kept = [place for place, ids in enumerate(cut) if ids and not (whole and len(ids) < len(completions[place]))]
    if not whole:
        reading.count("completions cut", sum(len(short) < len(ids) for short, ids in zip(cut, completions, strict=True)))
    reading.count("completions left out", len(cut) - len(kept))
    pairs = _pairs(ranking, evidence, kept)
    if not pairs:
        reading.count("no pair fits max_length")
        return None
    branches, branch_of = share_branches([tuple(cut[place]) for place in kept])
    return Tree(ranking.id, tuple(prompt), branches, branch_of, pairs,
                tuple(evidence.hallucinated[place] for place in kept) if evidence.hallucinated else (),
                tuple(tuple(marked[place][:len(cut[place])]) for place in kept) if evidence.spans else ())


def _pairs(ranking: RankedSet, evidence: Evidence, kept: list[int]) -> tuple[Pair, ...]:
    weights = evidence.weights or (1.0,) * len(ranking.pairs)
    margins = evidence.margins or (0.0,) * len(ranking.pairs)
    place = {completion: index for index, completion in enumerate(kept)}
    return tuple(Pair(place[pair.better], place[pair.worse], pair.reversed_probability, weight, margin)
                 for pair, weight, margin in zip(ranking.pairs, weights, margins, strict=True)
                 if pair.better in place and pair.worse in place)


def _scaled(trees: list[Tree]) -> list[Tree]:
    """The trees with weights of mean 1, so that weights change what counts and not the step's size."""
    weights = [pair.weight for tree in trees for pair in tree.pairs]
    mean = sum(weights) / len(weights)
    if mean == 1:
        return trees
    return [Tree(tree.name, tree.prompt, tree.branches, tree.branch_of,
                 tuple(replace(pair, weight=pair.weight / mean) for pair in tree.pairs), tree.hallucinated, tree.marked)
            for tree in trees]


def _encode(ranking: RankedSet, tokenizer: Any, evidence: Evidence) -> tuple[list[int], list[list[int]], list[list[bool]]]:
    """(prompt ids, completion ids, marked tokens). The prompt ends where the first completion parts from it.

    A template may write the end of a prompt otherwise when an answer follows, or merge tokens across the boundary: what
    differs belongs to the completions, of all of them as soon as of one.
    """
    turns = [{"role": m.role, "content": m.content} for m in ranking.messages]
    prompt_text = _render(tokenizer, turns, answering=True)
    texts = [_render(tokenizer, [*turns, {"role": "assistant", "content": text}], answering=False)
             for text in ranking.completions]
    encoded = tokenizer([prompt_text, *texts], add_special_tokens=False, return_offsets_mapping=bool(evidence.spans))
    prompt, *full = encoded["input_ids"]
    boundary = min(_agreement(prompt, ids) for ids in full)
    marked: list[list[bool]] = [[] for _ in full]
    if evidence.spans:
        for place, (text, spans) in enumerate(zip(texts, evidence.spans, strict=True)):
            start = text.rindex(ranking.completions[place].strip()) - _leading_spaces(ranking.completions[place])
            marked[place] = [_touches(offsets, spans, start) for offsets in encoded["offset_mapping"][place + 1][boundary:]]
    return prompt[:boundary], [ids[boundary:] for ids in full], marked


def _agreement(first: Sequence[int], second: Sequence[int]) -> int:
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(first, second, strict=False)))


def _render(tokenizer: Any, turns: list[dict[str, str]], *, answering: bool) -> str:
    return str(tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=answering, date_string=FIXED_DATE))


def _leading_spaces(text: str) -> int:
    return len(text) - len(text.lstrip())


def _touches(offsets: tuple[int, int], spans: Sequence[Span], start: int) -> bool:
    """True when a token covers any character of a span; spans count from `start`."""
    return any(offsets[0] < start + span.end and start + span.start < offsets[1] for span in spans)
