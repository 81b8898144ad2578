"""`redpen demo`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from feedback.terminal import note, print_table

if TYPE_CHECKING:
    from review_ui.demo.run import DemoResult

USUAL = "pocket"
"""The model of a demo that nobody said more about."""
TITLE = "Held-out families, judged by simulated reviewers and by inspect"


def demo(
    model: Annotated[str, typer.Option(help="pocket, smollm2, or any causal language model's id or folder.")] = USUAL,
    rounds: Annotated[int | None, typer.Option(min=1, help="Rounds after round 0, the base: 3 for pocket, else 2.")] = None,
    seed: Annotated[int, typer.Option(help="Another seed is another run of everything but the facts and the base.")] = 0,
    folder: Annotated[Path | None, typer.Option("--dir", help="The demo's project, new or begun; else redpen-demo.")] = None,
    serve: Annotated[bool, typer.Option(help="Leave the workspace running at the end, until Ctrl-C.")] = True,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the figures to this file as well.")] = None,
) -> None:
    """Watch a small model get less wrong: a help desk, five simulated experts, three rounds, all of it on this machine."""
    import json

    from review_ui.demo.run import DemoOptions, run

    if json_file is not None and not json_file.resolve().parent.is_dir():
        raise typer.BadParameter(f"{json_file.parent}: no such folder; make it first", param_hint="--json")
    wanted = rounds or (3 if model == USUAL else 2)
    options = DemoOptions(folder=folder or _usual_folder(model, seed), model=model, rounds=wanted, seed=seed)
    try:
        result = run(options)
    except KeyboardInterrupt:
        note(f"Stopped. The same command goes on where it was; delete {options.folder} to begin again.")
        raise
    _show(result)
    if json_file is not None:
        json_file.write_text(json.dumps(result.as_json(), indent=1) + "\n", encoding="utf-8")
    if serve:
        _serve(result.folder)


def _usual_folder(model: str, seed: int) -> Path:
    """Each model and seed has a folder of its own, so that one demo never stands in another's way."""
    parts = ["redpen-demo", *([Path(model).name] if model != USUAL else []), *([f"seed{seed}"] if seed else [])]
    return Path("-".join(parts))


def _show(result: DemoResult) -> None:
    from review_ui.demo.table import COLUMNS, cells, told

    print_table(COLUMNS, [cells(row) for row in result.rows], title=TITLE)
    typer.echo(told(result.rows))
    typer.echo(f"All in {result.folder.resolve()}: the questions, the rounds, the adapters; redpen.yaml is its configuration.")
    if result.played:
        _show_times(result)
    typer.echo(f"Next: redpen serve --dir {result.folder} opens the workspace and the rounds with their reports; "
               f"redpen round show --dir {result.folder} prints the newest round.")


def _show_times(result: DemoResult) -> None:
    parts = ", ".join(f"{name} {seconds:.0f} s" for name, seconds in result.split_seconds.items())
    typer.echo(f"It took {result.wall_seconds:.0f} s: {parts}.")


def _serve(folder: Path) -> None:
    from review_ui.project.serve import ServeOptions, serve

    note("The workspace stays open: sign in, look around, rate. Ctrl-C ends it.")
    serve(ServeOptions(folder=folder))
