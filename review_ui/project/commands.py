"""`redpen init`, `redpen doctor`, `redpen serve`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from feedback.terminal import print_json

Dir = Annotated[Path, typer.Option("--dir", help="The project's folder.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def init(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A new or empty folder.")],
    base: Annotated[str, typer.Option(help="The base model: a folder, a Hugging Face id, or smollm2.")] = "smollm2",
    rubric: Annotated[str, typer.Option(help="The review form: answers, code, flags, labels, safety or summary.")] = "answers",
    force: Annotated[bool, typer.Option(help="Add what is missing to a folder in use. Overwrites nothing.")] = False,
    as_json: Json = False,
) -> None:
    """Write a new project: configuration, review form and example questions, with comments."""
    from review_ui.project.init import create

    made = create(folder, base=base, rubric=rubric, force=force)
    if as_json:
        print_json({"folder": str(made.folder), "written": made.written, "kept": made.kept})
        return
    for name in made.written:
        typer.echo(f"wrote {made.folder / name}")
    for name in made.kept:
        typer.echo(f"kept  {made.folder / name} (it was there)")
    if made.judges:
        typer.echo(f"Next: put your questions into prompts.jsonl and critical.jsonl, then run `redpen serve --dir {made.folder}`")
    else:
        typer.echo(f"Next: run `redpen serve --dir {made.folder}`, and queue your texts with "
                   f"`redpen review texts FILE --dir {made.folder}`")


def doctor(
    folder: Annotated[Path, typer.Option("--dir", help="Where disk space is looked at.")] = Path("."),
    as_json: Json = False,
) -> None:
    """Try every part of this installation, and say what to do about what fails."""
    from review_ui.project.doctor import examine, lines

    report = examine(folder)
    if as_json:
        print_json(report)
    else:
        typer.echo("\n".join(lines(report)))
    raise typer.Exit(0 if report.ok else 1)


def serve(
    folder: Dir = Path("."),
    host: Annotated[str, typer.Option(help="Address to listen on; only this machine reaches the default.")] = "127.0.0.1",
    allow_network: Annotated[bool, typer.Option("--allow-network", help="Let others reach Redpen's own Argilla.")] = False,
    port: Annotated[int | None, typer.Option(min=0, max=65535, help="Argilla's; else the last one, or a free one.")] = None,
    console_port: Annotated[int | None, typer.Option(min=0, max=65535, help="The console's; else 6901, or a free one.")] = None,
    rounds: Annotated[bool, typer.Option(help="Run what is due beside it, where torch is installed.")] = True,
    as_json: Json = False,
) -> None:
    """Start the review workspace, the console and the rounds of a project, and stay until Ctrl-C."""
    from review_ui.project.serve import ServeOptions
    from review_ui.project.serve import serve as run

    run(ServeOptions(folder=folder, host=host, allow_network=allow_network, port=port, console_port=console_port, rounds=rounds,
                     as_json=as_json))
