"""`redpen round`, `redpen policy`, `redpen verify`, and the lead's `redpen feedback quarantine`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from feedback.errors import InvalidInput, LineageError
from feedback.terminal import note, print_json, print_table

if TYPE_CHECKING:
    from alignment.gates import Gate
    from alignment.project import Project
    from alignment.rounds import RoundState

round_app = typer.Typer(help="Run alignment rounds, see where they stand, and decide.", no_args_is_help=True)
policy_app = typer.Typer(help="Adapters that were trained here.", no_args_is_help=True)

Dir = Annotated[Path, typer.Option("--dir", help="The project's folder.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Reason = Annotated[str, typer.Option("--reason", help="Why; it is recorded.")]


def _project(folder: Path, overrides: list[str] | None = None) -> Project:
    from alignment.project import Project

    return Project.at(folder, tuple(overrides or ()))


@round_app.command("run")
def run_rounds(
    folder: Dir = Path("."),
    overrides: Annotated[list[str] | None, typer.Argument(help="Configuration for this run, such as dpo.beta=0.2.")] = None,
    watch: Annotated[bool, typer.Option(help="Stay, and go on whenever reviews or an approval arrive.")] = False,
    until: Annotated[int | None, typer.Option(min=0, help="Stop after this round's decision.")] = None,
    auto_approve: Annotated[bool, typer.Option(help="Promote on a pass without a person; the event says so.")] = False,
    every: Annotated[float, typer.Option(min=0.2, help="Seconds between looks, with --watch.")] = 5.0,
    as_json: Json = False,
) -> None:
    """Do what is due, in order; end when people are waited for."""
    from alignment import rounds

    project = _project(folder, overrides)
    if watch:
        _watch(project, until=until, auto_approve=auto_approve, every=every)
    else:
        _print_state(rounds.run(project, until=until, auto_approve=auto_approve), as_json=as_json)


def _watch(project: Project, *, until: int | None, auto_approve: bool, every: float) -> None:
    """Run what is due again and again; stop on a signal, or after `until`."""
    import time

    from alignment import rounds
    from feedback.errors import NothingToDo

    shown = ""
    while True:
        try:
            state = rounds.run(project, until=until, auto_approve=auto_approve)
            line, ended = f"round {state.round}: {state}", state.waiting_for == "nothing"
        except NothingToDo as error:
            line, ended = str(error), False
        if line != shown:
            note(line)
            shown = line
        if ended:
            return
        time.sleep(every)


def _print_state(state: RoundState, *, as_json: bool) -> None:
    if as_json:
        print_json(state)
    else:
        typer.echo(f"round {state.round}: {state}")


@round_app.command()
def status(folder: Dir = Path("."), as_json: Json = False) -> None:
    """Say what the newest round waits for. Changes nothing."""
    from alignment import rounds

    _print_state(rounds.standing(_project(folder)), as_json=as_json)


@round_app.command()
def show(number: Annotated[int | None, typer.Argument(help="The round; all of them without it.")] = None, folder: Dir = Path("."),
         as_json: Json = False) -> None:
    """Print each round's figures with their counts and intervals, and what was decided."""
    from alignment import overview

    rows = overview.overview(folder)
    chosen = [row for row in rows if number is None or row.number == number]
    if number is not None and not chosen:
        raise InvalidInput(f"{folder}: no round {number}; there are {[row.number for row in rows] or 'none'}")
    if as_json:
        print_json({"rounds": chosen})
    else:
        print_table(overview.COLUMNS, [overview.cells(row) for row in chosen], title="Rounds")


@round_app.command()
def request(reason: Reason, folder: Dir = Path("."), as_json: Json = False) -> None:
    """Ask the worker to go on with the reviews there are, without waiting for the rest."""
    import getpass

    from alignment import rounds

    state = rounds.request(_project(folder), actor=getpass.getuser(), reason=reason)
    if as_json:
        print_json({"requested": True, "round": state.round})
    else:
        typer.echo(f"round {state.round}: the next `redpen round run` goes on with the reviews there are")


@round_app.command()
def gate(
    outcomes: Annotated[Path | None, typer.Option(help="JSONL of question and verdict: the ship gate on a file alone.")] = None,
    number: Annotated[int | None, typer.Option("--round", help="A round of the project; the newest judged without it.")] = None,
    planned: Annotated[int | None, typer.Option(min=1, help="Reviews fixed beforehand; without it you may peek daily.")] = None,
    below: Annotated[float, typer.Option(min=0, max=1, help="The promised hallucination rate.")] = 0.02,
    level: Annotated[float, typer.Option(min=0.501, max=0.9999, help="One-sided confidence.")] = 0.95,
    attempt: Annotated[int, typer.Option(min=0, help="Which candidate this is: the k-th spends alpha / 2^k.")] = 0,
    folder: Dir = Path("."),
    as_json: Json = False,
) -> None:
    """Say what the gates decide, and why."""
    if outcomes is not None:
        decided = [_gate_on_file(outcomes, planned=planned, below=below, level=level, attempt=attempt)]
    else:
        from alignment import overview

        decided = overview.gates_of(_project(folder), number)
    if as_json:
        print_json(decided[0] if outcomes is not None else {gate.gate: gate for gate in decided})
    for said in [] if as_json else decided:
        typer.echo(f"{said.gate}: {said.outcome}\n" + "\n".join(f"  {reason}" for reason in said.reasons))


def _gate_on_file(path: Path, *, planned: int | None, below: float, level: float, attempt: int) -> Gate:
    from alignment import gates
    from alignment.config import ShipGate
    from feedback.jsonl import read_rows

    ship = ShipGate(hallucination_below=below, level=level)
    return gates.decide_file(read_rows(path, gates.OutcomeLine), planned=planned, gate=ship, attempt=attempt)


@round_app.command()
def approve(
    number: Annotated[int, typer.Argument(help="The round whose candidate is decided on.")],
    reason: Reason,
    which: Annotated[Literal["advance", "ship"], typer.Option("--gate", help="advance: champion; ship: may serve.")] = "advance",
    decline: Annotated[bool, typer.Option(help="Keep the champion, although the gate passed.")] = False,
    folder: Dir = Path("."),
    as_json: Json = False,
) -> None:
    """Record a lead's decision. Needs that person's Argilla API key in the environment (ARGILLA_API_KEY)."""
    from alignment import leads, rounds

    project = _project(folder)
    lead = leads.identify(project)
    kind = rounds.approve(project, number, gate=which, decline=decline, actor=lead, reason=reason)
    if as_json:
        print_json({"round": number, "event": kind, "actor": lead, "reason": reason})
    else:
        typer.echo(f"round {number}: {kind} by {lead}")


@policy_app.command("list")
def list_policies(folder: Dir = Path("."), as_json: Json = False) -> None:
    """Print every registered adapter: its parent, its stage, and whether it is champion."""
    from alignment import registry

    project = _project(folder)
    with project.open_store() as store:
        rows = registry.listed(project.policies, store)
    if as_json:
        print_json({"policies": rows})
    else:
        print_table(["policy", "parent", "stage", "base", "champion", "shipped"], [list(dict(row).values()) for row in rows])


@policy_app.command("show")
def show_policy(policy: str, folder: Dir = Path(".")) -> None:
    """Print one adapter's record as JSON."""
    import json

    from alignment import registry

    adapter = registry.adapter_of(_project(folder).policies, registry.PolicyId(policy))
    if adapter is None:
        raise InvalidInput(f"{policy}: this is the base; only adapters are registered")
    print_json(json.loads((adapter / "policy.json").read_text(encoding="utf-8")))


@policy_app.command()
def export(policy: Annotated[str, typer.Argument(help="A policy id, or `champion`.")], out: Path, folder: Dir = Path("."),
           merge: Annotated[bool, typer.Option(help="Write the merged model instead of the adapter.")] = False) -> None:
    """Write a policy to a new folder: the adapter, or the merged model as safetensors."""
    from alignment import export as exporting

    typer.echo(str(exporting.export(_project(folder), policy, out, merge=merge)))


def quarantine(
    reviewer: Annotated[str, typer.Argument(help="The reviewer's name, or id.")],
    reason: Reason,
    lift: Annotated[bool, typer.Option(help="Let their ratings count again.")] = False,
    folder: Dir = Path("."),
    as_json: Json = False,
) -> None:
    """Let a reviewer's ratings count for nothing, or lift that. Needs a lead's Argilla API key (ARGILLA_API_KEY)."""
    from datetime import UTC, datetime

    from alignment import leads
    from feedback.store.quarantine import decide

    project = _project(folder)
    lead = leads.identify(project)
    with project.open_store() as store:
        event = decide(store, reviewer, lift=lift, actor=lead, reason=reason, at=datetime.now(UTC))
    if as_json:
        print_json({"reviewer": reviewer, "event": event.kind, "actor": lead, "reason": reason})
    else:
        typer.echo(f"{reviewer}: {event.kind} by {lead}; it counts from the next snapshot on")


def verify(
    row: Annotated[str | None, typer.Argument(help="A training row's id (or its beginning); some row without it.")] = None,
    folder: Dir = Path("."),
    as_json: Json = False,
) -> None:
    """Check every file against its record, and follow a training row back to the reviewers' answers."""
    from alignment import trail

    project = _project(folder)
    if found := trail.problems(project):
        raise LineageError("\n".join(found))
    chosen = row or trail.first_row(project)
    walked = trail.trace(project, chosen) if chosen else None
    if as_json:
        print_json({"verified": [str(f.relative_to(project.folder)) for f in trail.stage_folders(project)], "trail": walked})
        return
    typer.echo(f"{len(trail.stage_folders(project))} stages verified; nothing was altered")
    if walked:
        print_table(["what", "found"], trail.lines(walked), title=f"the trail of {chosen}")
