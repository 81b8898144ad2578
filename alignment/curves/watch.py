"""Watching a policy or a reward model while it trains, and the report at its end."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from alignment.curves.apart import Parted
from alignment.curves.judged import judge_preferences
from alignment.curves.pairs import APART, TRAINED, JudgedPair, PairReadings, WatchedPair, judged_pairs
from alignment.ranked.trees import Tree, share_branches
from feedback.ids import unit_interval
from feedback.terminal import note
from feedback.training_sets.rows import PreferencePair, RankedSet
from sft.chat import Encoded, encoder
from sft.curves.curve import history_of
from sft.curves.readings import reader, readings_of
from sft.curves.report import write_report

if TYPE_CHECKING:
    from feedback.lineage import Draft

MOST_TRAINED = 96
"""Pairs of those trained on that are watched beside the ones set apart: enough for the figures by origin and by length."""

Rows = Parted[RankedSet] | Parted[PreferencePair]
"""What is trained on and what is set apart, of either engine."""


@dataclass(frozen=True)
class Watched:
    """A pair with its answers as tokens."""

    pair: WatchedPair
    chosen: Encoded
    rejected: Encoded


@dataclass(frozen=True)
class Watch:
    """What is watched in a run, and how its margins enter the loss."""

    stage: str
    parted: Parted[JudgedPair]
    rows: tuple[Watched, ...]
    scale: float
    moved: bool
    start: float | None
    trainer: Any

    def write(self, draft: Draft) -> None:
        """Read the finished run, write the report into the stage's folder and say it in a paragraph."""
        logged = self.trainer.state.log_history
        pairs = {group: [row.pair for row in self.rows if row.pair.apart == (group == APART)] for group in (APART, TRAINED)}
        readings = PairReadings.of(pairs[APART], pairs[TRAINED], readings_of(logged), scale=self.scale)
        judged = judge_preferences(self.stage, self.parted, history_of(logged), readings, moved=self.moved, start=self.start)
        write_report(draft.folder, judged.report, title=judged.title, charts=judged.charts)
        note(judged.report.paragraph)


def watch_policy(trainer: Any, parted: Rows, *, tokenizer: Any, max_length: int, beta: float,
                 moved: bool, start: float | None) -> Watch:
    """Have a DPO trainer read the log-ratios of the watched pairs on its way.

    `moved`: the reference is not its start. `start`: the loss of a policy that equals its reference, where there is one.
    """
    pairs = _pairs_of(parted)
    rows = _watched(pairs, tokenizer, max_length=max_length)
    reference: dict[int, float] = {}

    def measure(chosen_rows: Sequence[Watched]) -> list[float]:
        from trl.trainer.utils import use_adapter

        encoded = [side for row in chosen_rows for side in (row.chosen, row.rejected)]
        missing = [row for row in encoded if id(row) not in reference]
        with use_adapter(trainer.model, "ref"):
            reference.update(zip(map(id, missing), _logps(trainer.model, missing), strict=True))
        return [now - reference[id(row)] for now, row in zip(_logps(trainer.model, encoded), encoded, strict=True)]

    trainer.add_callback(reader(lambda whole: _by_group(rows, measure, whole=whole)))
    return Watch("dpo", pairs, rows, beta, moved, start, trainer)


def watch_rewards(trainer: Any, parted: Rows, *, tokenizer: Any, max_length: int,
                  rewards: Callable[[Sequence[Encoded]], Sequence[float]]) -> Watch:
    """Have a reward trainer read the rewards of the watched pairs on its way; `rewards` scores rows by the model as it is."""
    pairs = _pairs_of(parted)
    rows = _watched(pairs, tokenizer, max_length=max_length)

    def measure(chosen_rows: Sequence[Watched]) -> Sequence[float]:
        return rewards([side for row in chosen_rows for side in (row.chosen, row.rejected)])

    trainer.add_callback(reader(lambda whole: _by_group(rows, measure, whole=whole)))
    return Watch("reward", pairs, rows, 1.0, False, None, trainer)


def _pairs_of(parted: Rows) -> Parted[JudgedPair]:
    return Parted(tuple(judged_pairs(parted.trained)), tuple(judged_pairs(parted.apart)), parted.why_none)


def _watched(parted: Parted[JudgedPair], tokenizer: Any, *, max_length: int) -> tuple[Watched, ...]:
    """The pairs set apart and a sample of the others, whole families by hash; those too long for the model are not watched."""
    encode = encoder(tokenizer)
    sample = sorted(parted.trained, key=lambda pair: (unit_interval(f"sample:{pair.family}"), pair.family))[:MOST_TRAINED]
    made = [_encoded(pair, encode, apart=apart) for apart, pairs in ((True, parted.apart), (False, sample)) for pair in pairs]
    return tuple(row for row in made if max(len(row.chosen), len(row.rejected)) <= max_length)


def _encoded(pair: JudgedPair, encode: Callable[..., Encoded], *, apart: bool) -> Watched:
    chosen, rejected = encode(pair.messages, pair.chosen), encode(pair.messages, pair.rejected)
    known = WatchedPair.of(pair, chosen_tokens=len(chosen.completion), rejected_tokens=len(rejected.completion), apart=apart)
    return Watched(known, chosen, rejected)


def _by_group(rows: Sequence[Watched], measure: Callable[[Sequence[Watched]], Sequence[float]], *,
              whole: bool) -> Mapping[str, Sequence[float]]:
    """Readings by name. Those of pairs trained on are read at the beginning and at the end alone."""
    read = [row for row in rows if whole or row.pair.apart]
    if not read:
        return {}
    values = list(measure(read))
    sides = {"chosen": values[::2], "rejected": values[1::2]}
    return {f"{group}/{side}": [value for row, value in zip(read, own, strict=True) if row.pair.apart == (group == APART)]
            for group in (APART, TRAINED) for side, own in sides.items()
            if any(row.pair.apart == (group == APART) for row in read)}


def _logps(model: Any, rows: Sequence[Encoded]) -> list[float]:
    """The log-probability of each row's completion; rows of one prompt share its forward."""
    from alignment.ranked.log_probs import completion_logps

    of_prompt: dict[tuple[int, ...], list[int]] = {}
    for place, row in enumerate(rows):
        of_prompt.setdefault(tuple(row.prompt), []).append(place)
    trees, places = [], []
    for prompt, own in of_prompt.items():
        branches, branch_of = share_branches([tuple(rows[place].completion) for place in own])
        trees.append(Tree("watched", prompt, branches, branch_of, ()))
        places.append(own)
    found = [0.0] * len(rows)
    for tree, own, values in zip(trees, places, completion_logps(model, trees), strict=True):
        for place, branch in zip(own, tree.branch_of, strict=True):
            found[place] = values[branch]
    return found
