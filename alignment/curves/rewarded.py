"""The report of a run against a reward model: what rose beside the reward, and how near each limit came."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from alignment.rl_limits import NEARING, Figures, Limits, ways_gone
from feedback.measures import Unscored
from feedback.terminal import note
from sft.curves.chart import Chart, Series, chart
from sft.curves.curve import History, history_of
from sft.curves.finding import Finding, Outcome
from sft.curves.report import CurvesReport, line, run_charts, sorted_outcomes, write_report

REWARD, LENGTH, KL, SAME = "rewards/lower_bound/mean", "completions/mean_length", "kl", "frac_reward_zero_std"
SHOWN = (REWARD, LENGTH, KL, SAME, "spread", "repetition", "entropy", "loss", "grad_norm", "learning_rate")
"""What of TRL's log is kept: the rest are seconds, which differ from run to run, or say the same again."""
MOSTLY = 0.5
"""Share of prompts whose answers all got the same reward, above which most of a batch teaches nothing."""
DISEASES = {
    "rl.max_kl": ("far_from_reference", "It has gone far from its reference",
                  ("Raise rl.beta, which holds it back.", "Make fewer steps, or lower rl.trainer.learning_rate.",
                   "Have people review its answers before it goes further.")),
    "rl.max_disagreement": ("reward_unsure", "The reward model does not know such answers",
                            ("Review answers of this policy and train the reward model again.",
                             "Raise reward.caution: the lower bound then counts disagreement for more.", "Raise rl.beta.")),
    "rl.max_length_growth": ("length_exploitation", "Answers grow longer",
                             ("Look at the reward model's report: does length raise its reward?",
                              "Lower sampling.max_new_tokens, or rl.max_length_growth to stop earlier.",
                              "Rank answers of like length, so that length tells nothing.")),
    "rl.max_repetition": ("repetition", "Answers repeat themselves",
                          ("Raise rl.beta.", "Rank some repeating answers last and train the reward model again."))}
"""Limit -> the name of what shows, its title, and what to try."""


@dataclass(frozen=True)
class Rewarded:
    """How a run against a reward model began and ended."""

    before: Figures
    after: Figures
    """Of the adapter written, on the same prompts."""
    trained_spread: float
    limits: Limits
    stopped: str | None
    prompts: int


def report_rewarded(folder: Path, log_history: Sequence[Mapping[str, Any]], run: Rewarded) -> CurvesReport:
    """Write the report of a finished RL run into `folder`, and say it in a paragraph."""
    everything = history_of([row for row in log_history if not any(name.startswith("eval_") for name in row)])
    history = History({name: everything.get(name) for name in SHOWN if everything.get(name).values}, everything.epochs)
    findings, unsaid = sorted_outcomes(outcomes(history, run))
    report = CurvesReport(stage="rl", steps=history.steps, counts={"prompts": run.prompts}, findings=findings, unsaid=unsaid,
                          figures=_ended(run), curves=dict(history.curves), notes=(
                              "Before and after are of the watched prompts; curves are of each step's own batch. Divergence is "
                              "in nats per answer: the mean log-ratio of a token times the mean length.",))
    write_report(folder, report, title="RL: how the training went", charts=charts(history, run))
    note(report.paragraph)
    return report


def outcomes(history: History, run: Rewarded) -> dict[str, Outcome]:
    """Every check by name, the gravest first."""
    ways = ways_gone(run.after, before=run.before, trained_spread=run.trained_spread, limits=run.limits)
    found: dict[str, Outcome] = {"stopped": _stopped(run), "reward_did_not_rise": _risen(run)}
    found |= {name: _neared(limit, *ways[limit]) if limit in ways else
              Unscored(reason="the reward model is a single one; an ensemble shows where it does not know")
              for limit, (name, _, _) in DISEASES.items()}
    return found | {"nothing_to_choose": _same(history)}


def _stopped(run: Rewarded) -> Outcome:
    if run.stopped is None:
        return None
    return Finding(name="stopped", title="A limit ended it", evidence=f"{run.stopped}. The adapter is the last one that kept it.",
                   advice=("Read some answers of this adapter before anything else.", "Lower rl.trainer.learning_rate or raise "
                           "rl.beta to come further before the limit.", "Raise the limit only when people like the answers."))


def _risen(run: Rewarded) -> Outcome:
    if run.after.reward > run.before.reward:
        return None
    return Finding(name="reward_did_not_rise", title="The reward did not rise",
                   evidence=f"{run.before.reward:.3f} before and {run.after.reward:.3f} after, on the same watched prompts.",
                   advice=("Train longer (rl.trainer.max_steps) or raise rl.trainer.learning_rate.",
                           "Draw more answers to a prompt (rl.samples), so that some are better than others.", "Lower rl.beta."))


def _neared(limit: str, gone: float, evidence: str) -> Outcome:
    if gone < NEARING:
        return None
    name, title, advice = DISEASES[limit]
    return Finding(name=name, title=title, advice=advice,
                   evidence=f"{evidence}: {gone:.0%} of the way to {limit}; {NEARING:.0%} is worth a word.")


def _same(history: History) -> Outcome:
    share = history.get(SAME)
    if not share.values:
        return Unscored(reason="the trainer logged no share of prompts with equal rewards")
    if (mean := share.mean(0.75, 1)) <= MOSTLY:
        return None
    return Finding(name="nothing_to_choose", title="Most prompts got answers of one reward",
                   evidence=f"On {mean:.0%} of the prompts of the last quarter all answers had the same reward, so none was "
                            f"better; above {MOSTLY:.0%} most of a batch teaches nothing.",
                   advice=("Raise sampling.temperature or rl.samples.", "Leave out prompts that are always answered alike.",
                           "Stop earlier: it may have learned what there was."))


def _ended(run: Rewarded) -> dict[str, float]:
    return {"reward_before": run.before.reward, "reward": run.after.reward, "KL_to_the_reference": run.after.kl,
            "tokens_before": run.before.length, "tokens": run.after.length, "spread": run.after.spread}


def charts(history: History, run: Rewarded) -> list[Chart | None]:
    """The pictures of an RL run."""
    return [
        chart("Reward", [line(history, REWARD, "lower bound")], hint="should rise; the dashed line is before training",
              compare=run.before.reward),
        chart("KL to the reference", [_per_answer(history)], hint="nats per answer; the dashed line is the limit",
              compare=run.limits.max_kl),
        chart("Length", [line(history, LENGTH, "tokens")], hint="tokens an answer; the dashed line is before training",
              compare=run.before.length),
        chart("Disagreement", [line(history, "spread", "spread")], compare=run.trained_spread or None,
              hint="of the reward models; the dashed line is on what they learned from"),
        chart("Repetition", [line(history, "repetition", "share")], hint="of four-word sequences", compare=run.before.repetition),
        chart("Nothing to choose", [line(history, SAME, "share", ink="soft")], hint="prompts whose answers got one reward"),
        chart("Entropy", [line(history, "entropy", "entropy", ink="third")], hint="nats per token; 0 is one answer only"),
        *run_charts(history)]


def _per_answer(history: History) -> Series:
    kl, length = history.get(KL), history.get(LENGTH)
    tokens = dict(zip(length.steps, length.values, strict=True))
    return Series("KL", tuple((float(step), value * tokens[step]) for step, value in zip(kl.steps, kl.values, strict=True)
                              if step in tokens))
