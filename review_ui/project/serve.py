"""`redpen serve`: the review workspace, the console and the rounds of one project, started and ended together."""

from __future__ import annotations

import importlib.util
import json
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import typer

from alignment.project import Project
from alignment.rounds import NO_ROUNDS
from feedback.terminal import note, print_json
from review_ui.console.server import ConsoleServer
from review_ui.project.stopping import Stopping
from review_ui.project.worker import Worker

LOOK_EVERY_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class ServeOptions:
    """What a person asked `serve` for."""

    folder: Path
    host: str = "127.0.0.1"
    allow_network: bool = False
    """Let Redpen's own Argilla listen beyond this machine."""
    port: int | None = None
    """Of the Argilla server, when it is Redpen's own. None: the one it had last time, or any free one."""
    console_port: int | None = None
    """None: 6901 where that is free, or any free one."""
    rounds: bool = True
    as_json: bool = False


@dataclass(frozen=True, slots=True)
class Workspace:
    """The Argilla server that reviewers open."""

    url: str
    owner_file: Path | None
    """Name and password of the owner; None for a server that is not Redpen's own."""
    username: str | None = None
    """The owner's, when the server is Redpen's own."""
    first_password: str | None = None
    """The owner's, when the owner was made just now."""


OpenWorkspace = Callable[[Project, ServeOptions, ExitStack], Workspace]
"""Gets the Argilla of a project to answer, and registers how to end it."""


def serve(options: ServeOptions, *, open_workspace: OpenWorkspace | None = None) -> None:
    """Start everything, say where it is, and stay until a signal. Nothing is left running, however it ends.

    Raises InvalidInput for a port in use or a file that cannot be read, DeskError for an Argilla that does not answer.
    """
    project = Project.at(options.folder.resolve())
    _ = project.rubric, project.prompts  # a mistake in a file is told before anything starts
    with Stopping() as stopping, ExitStack() as running:
        console = running.enter_context(ConsoleServer(project.folder, host=_console_host(project, options),
                                                      port=options.console_port))
        workspace = (open_workspace or argilla)(project, options, running)
        stopping.softly()
        workers = _workers(project, options)
        for worker in workers:
            running.callback(worker.stop)
        _announce(workspace, console.url, workers, as_json=options.as_json)
        while not stopping.asked.wait(LOOK_EVERY_SECONDS):
            for worker in workers:
                worker.tend()


def _console_host(project: Project, options: ServeOptions) -> str:
    """The console has no sign-in: beside Redpen's own Argilla it stays on this machine, wherever that one listens."""
    if _is_elsewhere(project):
        return options.host
    from review_ui.appliance.appliance import LOOPBACK, is_loopback

    return options.host if is_loopback(options.host) else LOOPBACK[0]


def _is_elsewhere(project: Project) -> bool:
    return bool(project.config.argilla.url or os.environ.get("ARGILLA_API_URL"))


def argilla(project: Project, options: ServeOptions, running: ExitStack) -> Workspace:
    """The Argilla that `redpen.yaml` or the environment names, once it has answered; else Redpen's own, started."""
    if _is_elsewhere(project):
        return _another_argilla(project)
    from feedback.desk.routing import server_rules
    from review_ui.appliance.appliance import Appliance
    from review_ui.appliance.upgrade import is_current, upgrade

    home = project.folder / "argilla"
    first = not (home / "owner.json").exists()
    appliance = Appliance(home, host=options.host, port=options.port, routing=server_rules(project.config.argilla.routing),
                          allow_network=options.allow_network, passwords=project.config.argilla.passwords)
    appliance.ensure_environment()
    if not is_current(home):
        note(f"the server's packages are new: the data as it was is kept in {upgrade(home).backup}")
    running.callback(appliance.stop)
    started = appliance.start()
    return Workspace(started.url, started.owner_file, started.username, _password(started.owner_file) if first else None)


def _another_argilla(project: Project) -> Workspace:
    from feedback.desk.argilla_desk import connect
    from feedback.desk.project import connection

    config = project.config.argilla
    there = connection(project.folder, config, environ=os.environ)
    connect(config, url=there.url, api_key=there.api_key, advice=there.advice)
    return Workspace(there.url, None)


def _password(owner_file: Path) -> str:
    return str(json.loads(owner_file.read_text(encoding="utf-8"))["password"])


def _workers(project: Project, options: ServeOptions) -> list[Worker]:
    """What runs beside the servers: the exchange with Argilla, and the rounds where this machine can train."""
    commands = {"exchange": ["-m", "review_ui.project.exchange", str(project.folder)]}
    if not options.rounds:
        note("rounds: left out by --no-rounds")
    elif not project.rubric.judges:
        note(f"rounds: {NO_ROUNDS}")
    elif not can_train():
        note("rounds: not run here, torch is not installed; `pip install -c constraints.txt -e '.[train]'` adds it")
    else:
        commands["rounds"] = ["-m", "review_ui.cli", "round", "run", "--watch", "--dir", str(project.folder)]
    return [Worker(name, [sys.executable, *command], log=project.folder / "logs" / f"{name}.log", say=note,
                   environment=_threads()) for name, command in commands.items()]


def _threads() -> dict[str, str]:
    """Leave a core to the servers: beside them, torch with as many threads as cores was measured fifty times slower."""
    if "OMP_NUM_THREADS" in os.environ:
        return {}
    return {"OMP_NUM_THREADS": str(max(1, len(os.sched_getaffinity(0)) - 1))}


def can_train() -> bool:
    """The packages of the `train` extra are here."""
    return all(importlib.util.find_spec(name) is not None for name in ("torch", "trl", "peft"))


def _announce(workspace: Workspace, console_url: str, workers: Sequence[Worker], *, as_json: bool) -> None:
    if as_json:
        owner_file = str(workspace.owner_file) if workspace.owner_file else None
        print_json({"argilla_url": workspace.url, "console_url": console_url, "owner_file": owner_file})
        return
    lines = [f"Argilla   {workspace.url}", *_sign_in(workspace), f"Console   {console_url}"]
    lines += [f"{worker.name.capitalize():<10}running; its log is {worker.log}" for worker in workers]
    typer.echo("\n".join([*lines, "Stop with Ctrl-C."]))


def _sign_in(workspace: Workspace) -> list[str]:
    if workspace.owner_file is None:
        return []
    if workspace.first_password is None:
        return [f"          sign in as {workspace.username}; the password is in {workspace.owner_file}"]
    return [f"          sign in as {workspace.username} with the password {workspace.first_password}",
            f"          (shown this once; kept in {workspace.owner_file})"]
