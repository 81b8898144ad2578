"""Preferences -> reward model: an ensemble of adapters and heads on one base, whose disagreement is kept and used.

Each member has a seed, an order and weights of its own, and leaves out other prompt families, on which it is measured.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, pstdev, stdev
from typing import Any

from alignment.config import RewardConfig
from alignment.curves.apart import without_families
from alignment.curves.watch import watch_rewards
from alignment.ensemble import (
    METRICS,
    EnsembleScore,
    MemberMetrics,
    RewardEnsemble,
    RewardMetrics,
    member_folder,
    raw_rewards,
    read_metrics,
)
from alignment.pairs import read_pairs
from alignment.rankings import read_ranked_sets
from alignment.reward_members import (
    Member,
    MemberDraft,
    head_weights,
    members_of,
    ranked_trainer,
    refuse_untrained_head,
    rows_of,
    seeded_base,
    stock_trainer,
)
from feedback.errors import NothingToDo
from feedback.ids import FamilyId
from feedback.intervals import mean_interval
from feedback.lineage import Draft, Manifest, read_manifest
from feedback.measures import Figure, Unscored
from feedback.schemas import Prompt
from feedback.terminal import note
from feedback.training_sets.rows import PreferencePair, RankedSet
from sft.adapters import save_adapter
from sft.chat import Encoded, encoder
from sft.config import ModelConfig
from sft.model import set_threads
from sft.trainer_args import is_main_process
from sft.training import StageConfig, sets_hash, start_adapter, train, writing_together

__all__ = ["RewardEnsemble", "RewardMetrics", "RewardStage", "read_metrics", "run", "score", "score_ensemble"]


class RewardStage(StageConfig):
    """Everything that decides a reward model, beside its training sets."""

    reward: RewardConfig = RewardConfig()


@dataclass(frozen=True)
class Compared:
    """The different answers of all rows, and who was preferred to whom."""

    answers: list[Encoded]
    pairs: list[tuple[int, int, FamilyId]]
    """(better, worse) as places in `answers`, and the family."""


def run(config: RewardStage, *, training_sets: Path, out: Path) -> Manifest:
    """Train a reward model on `training_sets`/rankings.jsonl (engine `trl`: pairs.jsonl).

    Writes the first member to `out`/adapter, the others to `out`/members/N, and `out`/metrics.json. Raises NothingToDo without
    a pair that fits, InvalidInput for rows that prefer nothing, StageRefused when training came to nothing or a head was
    never trained.
    """
    rows = read_ranked_sets(training_sets) if config.reward.engine == "ranked" else read_pairs(training_sets)
    sets = sets_hash(training_sets)
    with writing_together(out, stage="reward", inputs={"training_sets": sets}, config=config) as draft:
        draft.threads = set_threads(config.model)
        members = members_of(config.reward, [row.family for row in rows], seed=config.seed)
        rewards = [_member(config, member, rows, draft, sets) for member in members]
        if is_main_process():
            metrics = _metrics(config, members, rewards, _compared_of(config, rows))
            (draft.folder / METRICS).write_text(json.dumps(metrics.model_dump(), indent=1) + "\n", encoding="utf-8")
    return read_manifest(out)


def _member(config: RewardStage, member: Member, rows: Sequence[Any], draft: Draft, sets: str) -> list[float]:
    """Train one member and write its adapter; returns its raw reward of every answer. What a killed run finished is kept."""
    finished = draft.scratch / f"member_{member.number}.json"
    if finished.exists():
        done = json.loads(finished.read_text(encoding="utf-8"))
        draft.counts |= done["counts"]
        return list(done["rewards"])
    base = seeded_base(config.model, member)
    model = start_adapter(base, None, config.lora, seed=member.seed, task="reward")
    own = MemberDraft(draft, member.number)
    make = ranked_trainer if config.reward.engine == "ranked" else stock_trainer
    trainer = make(rows_of(member, rows, alone=config.reward.ensemble == 1), config.reward, config.model, base, model,
                   seed=member.seed, scratch=own.scratch, counts=own.counts)
    before = head_weights(model)
    # The first member stands for all in the report.
    watch = None if member.number else watch_rewards(
        trainer, without_families(rows, member.unseen), tokenizer=base.tokenizer, max_length=config.model.max_length,
        rewards=lambda answers: raw_rewards(model, base.tokenizer, answers, batch=16, told=False))
    train(trainer, own, title=_title(config, member))
    refuse_untrained_head(before, head_weights(model))
    if not is_main_process():
        return []
    save_adapter(model, member_folder(draft.folder, member.number), base=base, parent=None, stage="reward", training_sets=sets)
    rewards = raw_rewards(model, base.tokenizer, compared(rows, base.tokenizer, max_length=config.model.max_length).answers,
                          batch=2 * trainer.args.per_device_train_batch_size)
    if watch is not None:
        watch.write(draft)
        draft.counts |= own.counts
    _publish(finished, {"rewards": rewards, "counts": draft.counts})
    return rewards


def _title(config: RewardStage, member: Member) -> str:
    return "reward" if config.reward.ensemble == 1 else f"reward {member.number + 1}/{config.reward.ensemble}"


def _publish(path: Path, content: dict[str, Any]) -> None:
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(content), encoding="utf-8")
    os.replace(partial, path)


def _compared_of(config: RewardStage, rows: Sequence[Any]) -> Compared:
    from sft.model import base_folder, load_tokenizer

    tokenizer, _ = load_tokenizer(config.model, base_folder(config.model.base))
    return compared(rows, tokenizer, max_length=config.model.max_length)


def compared(rows: Sequence[RankedSet | PreferencePair], tokenizer: Any, *, max_length: int) -> Compared:
    """What the rows compare, of the answers that fit, each once. Raises NothingToDo when no pair fits."""
    encode, answers, made = encoder(tokenizer), {}, []
    for row in rows:
        for better, worse in _texts(row):
            both = [encode(row.messages, text) for text in (better, worse)]
            if max(map(len, both)) <= max_length:
                keys = [(tuple(one.prompt), tuple(one.completion)) for one in both]
                for key, one in zip(keys, both, strict=True):
                    answers.setdefault(key, (len(answers), one))
                made.append((answers[keys[0]][0], answers[keys[1]][0], row.family))
    if not made:
        raise NothingToDo(f"all pairs have a side of more than {max_length} tokens; raise model.max_length")
    return Compared(answers=[one for _, one in answers.values()], pairs=made)


def _texts(row: RankedSet | PreferencePair) -> list[tuple[str, str]]:
    if isinstance(row, PreferencePair):
        return [(row.chosen, row.rejected)]
    return [(row.completions[pair.better], row.completions[pair.worse]) for pair in row.pairs]


def _metrics(config: RewardStage, members: Sequence[Member], rewards: Sequence[Sequence[float]], made: Compared) -> RewardMetrics:
    scales = [(fmean(own), pstdev(own) or 1.0) for own in rewards]
    margins = [[(own[better] - own[worse]) / scale for better, worse, _ in made.pairs]
               for own, (_, scale) in zip(rewards, scales, strict=True)]
    together = [fmean(values) for values in zip(*margins, strict=True)]
    right = sum(margin > 0 for margin in together)
    unseen = families_right(members, margins, made)
    warning = chance_warning(sum(share > 0.5 for share in unseen), len(unseen), "families it never saw") if unseen else (
        chance_warning(right, len(together), "its own training pairs"))
    if warning:
        note(f"reward: {warning}")
    several = len(members) > 1
    return RewardMetrics(
        pairs=len(made.pairs), train_accuracy=right / len(together), held_out_accuracy=_held_out(unseen), warning=warning,
        disagreement=fmean(map(stdev, zip(*margins, strict=True))) if several else None,
        split_pairs=fmean(len({value > 0 for value in own}) > 1 for own in zip(*margins, strict=True)) if several else None,
        caution=config.reward.caution,
        members=tuple(MemberMetrics(center=center, scale=scale, train_accuracy=fmean(value > 0 for value in own),
                                    families_unseen=len(member.unseen))
                      for member, own, (center, scale) in zip(members, margins, scales, strict=True)))


def families_right(members: Sequence[Member], margins: Sequence[Sequence[float]], made: Compared) -> list[float]:
    """For each family, the share of its pairs that members which never saw it order as people did; equal rewards count half."""
    found: dict[FamilyId, list[float]] = {}
    for member, own in zip(members, margins, strict=True):
        for margin, (_, _, family) in zip(own, made.pairs, strict=True):
            if family in member.unseen:
                found.setdefault(family, []).append(1.0 if margin > 0 else 0.5 if margin == 0 else 0.0)
    return [fmean(own) for own in found.values()]


def _held_out(shares: Sequence[float]) -> Figure:
    if not shares:
        return Unscored(reason="no family was held out: there are fewer than ten, or reward.held_out is 0")
    return mean_interval(shares, bounds=(0.0, 1.0))


def chance_warning(right: int, count: int, what: str) -> str | None:
    """Says so when ordering `right` of `count` as people did could be luck: one-sided exact test against 0.5 at 5 %."""
    from scipy.stats import binomtest

    luck = binomtest(right, count, 0.5, alternative="greater").pvalue
    if luck <= 0.05:
        return None
    return (f"orders {right} of {count} {what} as people did, which luck does with probability {luck:.2f}; "
            "collect more rankings, or train longer, before its rewards choose anything")


def score(out: Path, model: ModelConfig, rows: Sequence[tuple[Prompt, str]], *, batch_size: int = 16) -> list[float]:
    """The ensemble's mean reward of each (prompt, answer), in order; see `score_ensemble`."""
    return [each.mean for each in score_ensemble(out, model, rows, batch_size=batch_size)]


def score_ensemble(out: Path, model: ModelConfig, rows: Sequence[tuple[Prompt, str]], *, caution: float | None = None,
                   relative: bool = False, batch_size: int = 16) -> list[EnsembleScore]:
    """Mean, spread and lower bound of each (prompt, answer), in order; higher is better.

    `out` is the folder of a finished reward stage (it holds metrics.json, adapter/ and members/). The unit is one standard
    deviation of reward over the training answers, by each member's own measure, so that members can be averaged. `lower`
    is mean - caution * spread; `caution` is what the stage was configured with unless it is given. Only differences within one
    prompt mean anything: with `relative`, each member's mean over the rows of the same prompt is subtracted first, so
    that the spread is about the answers and not about how good the prompt's answers are at large (best-of-n, selection).
    Answers longer than the model's `max_length` are scored on their beginning. Raises BaseMismatch on another base. For many
    calls keep the members in memory: `RewardEnsemble.load(out, model).score(rows, ...)`.
    """
    if not rows:
        return []
    return RewardEnsemble.load(out, model).score(rows, caution=caution, relative=relative, batch_size=batch_size)
