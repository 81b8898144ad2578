"""The report on a candidate: its figures, the champion's, and the two on the same prompts, from reviewed audit answers alone."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal

from alignment.evaluation.figures import PolicyFigures, policy_figures
from alignment.evaluation.markdown import as_markdown
from alignment.evaluation.outcomes import AuditOutcome, merged, outcomes_in, unreviewed
from alignment.evaluation.win_rate import Comparison, compare
from feedback.config import Strict, validate
from feedback.errors import InvalidInput
from feedback.ids import CompletionId, PolicyId
from feedback.jsonl import read_rows, write_rows
from feedback.lineage import Manifest, manifest_hash, read_manifest, writing
from feedback.measures import Figure, Unscored
from feedback.schemas import Completion, Prompt, Reviewer
from feedback.store.snapshot import Snapshot, read_snapshot

REPORT, OUTCOMES, MARKDOWN = "report.json", "outcomes.jsonl", "report.md"


class EvaluationStage(Strict):
    """Whom the report is about."""

    candidate: PolicyId
    champion: PolicyId | None = None
    """None where there is nobody to compare with: round 0 judges the base alone."""


class Reviewers(Strict):
    """Who judged the answers."""

    people: int
    simulated: int
    """`sim-...` reviewers. Figures that rest on them say nothing about what people think."""


class Report(Strict):
    """What the gates, the console and a lead read."""

    kind: Literal["report"] = "report"
    candidate: PolicyFigures
    champion: PolicyFigures | None
    comparison: Comparison | None
    """None without a champion."""
    win_rate: Figure
    """Share of prompts answered by both on which the candidate's outcome is better; ties are half. Above 0.5 it is ahead."""
    reviewers: Reviewers


def run(config: EvaluationStage, *, audit_snapshots: Sequence[Path], out: Path, asked: Sequence[Path] = ()) -> Manifest:
    """Write report.json, outcomes.jsonl and report.md into `out`.

    `audit_snapshots`: sealed audits, oldest first; the champion's reviewed answers usually stand in an earlier round's.
    `asked`: folders of sampled audit answers (07_samples); those without a review are then known, and count against.
    Raises InvalidInput when a policy has no answer in any of them.
    """
    snapshots = [read_snapshot(folder) for folder in audit_snapshots]
    outcomes = gather(snapshots, asked)
    _check_policies(config, outcomes, audit_snapshots)
    report = build(config, outcomes, snapshots)
    inputs = {f"{number:02d} {folder.parent.name}/{folder.name}": manifest_hash(folder)
              for number, folder in enumerate([*audit_snapshots, *asked])}
    with writing(out, stage="evaluation", inputs=inputs, config=config) as draft:
        (draft.folder / REPORT).write_text(report.model_dump_json(indent=1) + "\n", encoding="utf-8")
        (draft.folder / MARKDOWN).write_text(_markdown(report), encoding="utf-8")
        draft.counts["outcomes"] = write_rows(draft.folder / OUTCOMES, outcomes)
        draft.counts |= {f"candidate_{name}": count for name, count in report.candidate.answers.model_dump().items()}
    return read_manifest(out)


def _markdown(report: Report) -> str:
    columns = [("candidate", report.candidate), *([("champion", report.champion)] if report.champion else [])]
    return as_markdown(columns, report.comparison, people=report.reviewers.people, simulated=report.reviewers.simulated)


def read_report(folder: Path) -> Report:
    """The report in a finished evaluation folder. Raises InvalidInput when it cannot be read."""
    path = folder / REPORT
    try:
        return validate(json.loads(path.read_text(encoding="utf-8")), Report, source=str(path))
    except FileNotFoundError:
        raise InvalidInput(f"{path}: no such file; `redpen align evaluate` writes it") from None
    except ValueError as error:
        raise InvalidInput(f"{path}: not JSON ({error}); run the evaluation again") from None


def gather(snapshots: Sequence[Snapshot], asked: Sequence[Path] = ()) -> list[AuditOutcome]:
    """One outcome for each audited answer of all policies, reviewed or not."""
    reviewed = [outcome for snapshot in snapshots for outcome in outcomes_in(snapshot)]
    return merged([*reviewed, *(outcome for folder in asked for outcome in _asked(folder))])


def _asked(folder: Path) -> Iterable[AuditOutcome]:
    prompts = {prompt.id: prompt for prompt in read_rows(folder / "prompts.jsonl", Prompt)}
    for completion in read_rows(folder / "completions.jsonl", Completion):
        yield unreviewed(prompts[completion.prompt_id], completion, round=0)


def build(config: EvaluationStage, outcomes: Sequence[AuditOutcome], snapshots: Sequence[Snapshot]) -> Report:
    """The report that the outcomes amount to. The snapshots tell scales, texts and who the reviewers are."""
    scales, texts = scales_of(outcomes, snapshots), _texts(snapshots)
    candidate = policy_figures(outcomes, config.candidate, scales=scales, texts=texts)
    reviewers = _reviewers(config, outcomes, snapshots)
    if config.champion is None:
        alone = Unscored(reason="there is no champion to compare with")
        return Report(candidate=candidate, champion=None, comparison=None, win_rate=alone, reviewers=reviewers)
    comparison = compare(outcomes, candidate=config.candidate, champion=config.champion, scales=scales)
    return Report(candidate=candidate, champion=policy_figures(outcomes, config.champion, scales=scales, texts=texts),
                  comparison=comparison, win_rate=comparison.win_rate, reviewers=reviewers)


def scales_of(outcomes: Sequence[AuditOutcome], snapshots: Sequence[Snapshot]) -> dict[str, tuple[float, float]]:
    """The scale of each criterion that any rubric asked for, widened to what was rated under an older rubric."""
    ends: dict[str, list[float]] = {}
    for snapshot in snapshots:
        for criterion in snapshot.rubric.criteria:
            ends.setdefault(criterion.name, []).extend((criterion.scale[0], criterion.scale[-1]))
    for outcome in outcomes:
        for name, value in outcome.criteria.items():
            ends.setdefault(name, []).append(value)
    return {name: (min(values), max(values)) for name, values in ends.items() if len(set(values)) > 1}


def _texts(snapshots: Sequence[Snapshot]) -> dict[CompletionId, tuple[str, str]]:
    """Answer and reference, of answers whose prompt has a reference."""
    return {completion.id: (completion.text, reference) for snapshot in snapshots for completion in snapshot.completions
            if (reference := snapshot.prompt(completion.prompt_id).reference)}


def _reviewers(config: EvaluationStage, outcomes: Sequence[AuditOutcome], snapshots: Sequence[Snapshot]) -> Reviewers:
    rated = {reviewer for outcome in outcomes if outcome.policy_id in (config.candidate, config.champion)
             for reviewer in outcome.reviewers}
    known: dict[str, Reviewer] = {reviewer.id: reviewer for snapshot in snapshots for reviewer in snapshot.reviewers}
    simulated = sum(known[reviewer].simulated for reviewer in rated)
    return Reviewers(people=len(rated) - simulated, simulated=simulated)


def _check_policies(config: EvaluationStage, outcomes: Sequence[AuditOutcome], folders: Sequence[Path]) -> None:
    known = sorted({outcome.policy_id for outcome in outcomes})
    wanted = [("candidate", config.candidate), *([("champion", config.champion)] if config.champion else [])]
    places = ", ".join(str(folder) for folder in folders) or "no snapshot"
    if problems := [f"{places}: no audited answer of the {role} {policy}; policies there: {', '.join(known) or 'none'}"
                    for role, policy in wanted if policy not in known]:
        raise InvalidInput(problems)


