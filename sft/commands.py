"""`redpen sft train`: one SFT stage on folders. `sft generate` is mounted beside it from `alignment`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from feedback.terminal import print_json

app = typer.Typer(help="Train on demonstrations, and sample answers.", no_args_is_help=True)

Sets = Annotated[Path, typer.Option("--training-sets", help="Folder with sft.jsonl.")]
BaseModel = Annotated[str | None, typer.Option("--base", help="Folder, hub id or `smollm2`; instead of the configured one.")]
Out = Annotated[Path, typer.Option("--out", help="Folder to write. The same command resumes what was interrupted.")]
Config = Annotated[Path | None, typer.Option("--config", help="A project's redpen.yaml; its sections for this stage count.")]
Overrides = Annotated[list[str] | None, typer.Argument(help="Such as sft.trainer.learning_rate=1e-4 or model.threads=1.")]
Json = Annotated[bool, typer.Option("--json", help="Print the manifest as JSON.")]


@app.command("train")
def train_adapter(
    training_sets: Sets,
    out: Out,
    base: BaseModel = None,
    parent: Annotated[Path | None, typer.Option(help="Adapter folder whose training goes on.")] = None,
    replay: Annotated[list[Path] | None, typer.Option(help="Earlier training sets to mix in; may be given again.")] = None,
    config: Config = None,
    overrides: Overrides = None,
    as_json: Json = False,
) -> None:
    """Train an adapter on demonstrations."""
    from sft import train
    from sft.stage_config import stage_config

    stage = stage_config(train.SftStage, file=config, base=base, overrides=overrides or [])
    made = train.run(stage, training_sets=training_sets, parent=parent, replay=replay or [], out=out)
    if as_json:
        print_json(made)
    else:
        typer.echo(f"{out / 'adapter'}: {made.counts['steps']} steps on {made.counts['trained']} rows")
