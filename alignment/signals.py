"""How much there is to learn from people's ranking of some answers: what one cheap forward of each model says."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from pathlib import Path
from statistics import fmean

from alignment.ranked.trees import Tree, share_branches
from alignment.selection import Judge, Signal
from feedback.schemas import Prompt
from sft.chat import encoder
from sft.config import ModelConfig

Sets = Sequence[tuple[Prompt, Sequence[str]]]


def judge_of(model: ModelConfig, *, policy: Path | None, parent: Path | None, reward: Path | None) -> Judge | None:
    """What judges sets of answers; None when there is neither a trained policy nor a reward model.

    `policy` and `parent` are adapter folders (no parent: the base), `reward` is the folder of a finished reward stage.
    """
    if policy is None and reward is None:
        return None

    def judge(sets: Sets) -> list[Signal]:
        margins = policy_margins(model, policy, parent, sets) if policy else [None] * len(sets)
        spreads = disagreements(model, reward, sets) if reward else [None] * len(sets)
        return [Signal(margin=margin, disagreement=spread) for margin, spread in zip(margins, spreads, strict=True)]

    return judge


def policy_margins(model: ModelConfig, policy: Path, parent: Path | None, sets: Sets) -> list[float]:
    """For each set, the mean distance of two of its answers in log-ratio of `policy` to `parent`, nats.

    The K answers of a set cost one forward of each policy.
    """
    after, before = (_log_probabilities(model, adapter, sets) for adapter in (policy, parent))
    ratios = [[new - old for new, old in zip(*both, strict=True)] for both in zip(after, before, strict=True)]
    return [fmean(abs(first - second) for first, second in combinations(own, 2)) for own in ratios]


def _log_probabilities(model: ModelConfig, adapter: Path | None, sets: Sets) -> list[list[float]]:
    """Of each answer of each set, by the base with `adapter`; answers too long for the model are cut."""
    from alignment.ranked.log_probs import completion_logps
    from sft.adapters import load_policy

    loaded = load_policy(model, adapter)
    encode = encoder(loaded.tokenizer)
    trees = []
    for prompt, texts in sets:
        rows = [encode(prompt.messages, text) for text in texts]
        room = max(1, model.max_length - len(rows[0].prompt))
        branches, branch_of = share_branches([tuple(row.completion[:room]) for row in rows])
        trees.append(Tree(prompt.id, tuple(rows[0].prompt), branches, branch_of, ()))
    found = completion_logps(loaded.model, trees)
    return [[values[branch] for branch in tree.branch_of] for tree, values in zip(trees, found, strict=True)]


def disagreements(model: ModelConfig, reward: Path, sets: Sets) -> list[float] | list[None]:
    """For each set, the mean spread of the ensemble's members over its answers, each prompt's mean taken out; None for each
    set when the reward model is a single one."""
    from alignment.reward import read_metrics, score_ensemble

    if len(read_metrics(reward).members) < 2:
        return [None] * len(sets)
    scores = iter(score_ensemble(reward, model, [(prompt, text) for prompt, texts in sets for text in texts], relative=True))
    return [fmean(next(scores).spread for _ in texts) for _, texts in sets]
