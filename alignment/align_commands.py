"""`redpen align`: one DPO, reward or evaluation stage on folders."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from feedback.terminal import print_json

align_app = typer.Typer(help="Train on preferences, and measure.", no_args_is_help=True)

Sets = Annotated[Path, typer.Option("--training-sets", help="Folder with rankings.jsonl and pairs.jsonl.")]
BaseModel = Annotated[str | None, typer.Option("--base", help="Folder, hub id or `smollm2`; instead of the configured one.")]
Out = Annotated[Path, typer.Option("--out", help="Folder to write. The same command resumes what was interrupted.")]
Config = Annotated[Path | None, typer.Option("--config", help="A project's redpen.yaml; its sections for this stage count.")]
Overrides = Annotated[list[str] | None, typer.Argument(help="Such as dpo.beta=0.2 or model.threads=1.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@align_app.command("dpo")
def train_dpo(
    training_sets: Sets,
    out: Out,
    base: BaseModel = None,
    parent: Annotated[Path | None, typer.Option(help="Adapter folder whose training goes on; usually the SFT stage's.")] = None,
    reference: Annotated[Path | None, typer.Option(help="Adapter folder of another reference than the parent.")] = None,
    replay: Annotated[list[Path] | None, typer.Option(help="Earlier training sets to mix in; may be given again.")] = None,
    config: Config = None,
    overrides: Overrides = None,
    as_json: Json = False,
) -> None:
    """Train an adapter on preferences."""
    from alignment import dpo
    from sft.stage_config import stage_config

    stage = stage_config(dpo.DpoStage, file=config, base=base, overrides=overrides or [])
    made = dpo.run(stage, training_sets=training_sets, parent=parent, reference=reference, replay=replay or [], out=out)
    if as_json:
        print_json(made)
    else:
        typer.echo(f"{out / 'adapter'}: {made.counts['steps']} steps on {made.counts['trained']} pairs")


@align_app.command("reward")
def train_reward(
    training_sets: Sets,
    out: Out,
    base: BaseModel = None,
    config: Config = None,
    overrides: Overrides = None,
    as_json: Json = False,
) -> None:
    """Train a reward model on preferences."""
    from alignment import reward
    from sft.stage_config import stage_config

    stage = stage_config(reward.RewardStage, file=config, base=base, overrides=overrides or [])
    made = reward.run(stage, training_sets=training_sets, out=out)
    metrics = reward.read_metrics(out)
    if as_json:
        print_json({"manifest": made, "metrics": metrics})
    else:
        typer.echo(f"{out}: {len(metrics.members)} members; ordered as people did: {metrics.train_accuracy:.0%} of "
                   f"{metrics.pairs} training pairs; on families not seen {metrics.held_out_accuracy}")


@align_app.command("rl")
def train_by_reward(
    prompts: Annotated[Path, typer.Option(help="A prompts file; held-out families are left out.")],
    reward: Annotated[Path, typer.Option(help="Folder of the reward model.")],
    training_sets: Annotated[Path, typer.Option("--training-sets", help="Folder with the pairs.jsonl that the reward model "
                                                "learned from.")],
    out: Out,
    base: BaseModel = None,
    parent: Annotated[Path | None, typer.Option(help="Adapter folder whose training goes on; it is the reference.")] = None,
    config: Config = None,
    overrides: Overrides = None,
    as_json: Json = False,
) -> None:
    """Train an adapter against a reward model, within limits on what it may change."""
    from alignment import rl
    from feedback.prompts import read_prompts
    from sft.stage_config import stage_config

    stage = stage_config(rl.RlStage, file=config, base=base, overrides=overrides or [])
    made = rl.run(stage, prompts=read_prompts(prompts), reward=reward, training_sets=training_sets, parent=parent, out=out)
    metrics = rl.read_metrics(out)
    if as_json:
        print_json({"manifest": made, "metrics": metrics})
    else:
        ended = f"; stopped: {metrics.stopped}" if metrics.stopped else ""
        typer.echo(f"{out / 'adapter'}: {metrics.adapter_step} steps on {metrics.prompts} prompts, reward "
                   f"{metrics.before.reward:.2f} to {metrics.after.reward:.2f}, {metrics.after.kl:.2f} nats from its "
                   f"reference{ended}")


@align_app.command()
def evaluate(
    snapshots: Annotated[list[Path], typer.Option("--snapshot", help="A sealed audit; may be given again, oldest first.")],
    candidate: Annotated[str, typer.Option(help="Policy id of the candidate.")],
    out: Out,
    champion: Annotated[str | None, typer.Option(help="Policy id to compare with.")] = None,
    asked: Annotated[list[Path] | None, typer.Option(help="Folder of sampled audit answers; may be given again.")] = None,
    as_json: Json = False,
) -> None:
    """Measure a policy on the audit answers that people have reviewed."""
    from alignment.evaluation import report
    from feedback.ids import PolicyId

    stage = report.EvaluationStage(candidate=PolicyId(candidate), champion=PolicyId(champion) if champion else None)
    report.run(stage, audit_snapshots=snapshots, out=out, asked=asked or [])
    if as_json:
        print_json(report.read_report(out))
    else:
        typer.echo((out / report.MARKDOWN).read_text(encoding="utf-8"))
