"""`redpen server`: the embedded Argilla from the command line."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from feedback.terminal import note, print_json, print_table

if TYPE_CHECKING:
    from feedback.config import PasswordPolicy
    from review_ui.appliance.people import Role

server_app = typer.Typer(no_args_is_help=True, help="Redpen's own Argilla: backups, people, condition, upgrade, the way out.")
users_app = typer.Typer(no_args_is_help=True, help="Who can sign in.")
server_app.add_typer(users_app, name="users")

Folder = Annotated[Path, typer.Option("--dir", help="The project's folder.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
FromStdin = Annotated[bool, typer.Option("--password-stdin", help="Read the password from standard input; else a random one.")]


@server_app.command()
def backup(file: Annotated[Path, typer.Argument(help="A new file, such as argilla-backup.tar.gz.")], dir: Folder = Path(),
           json: Json = False) -> None:
    """Write the server's data to one file while people work."""
    from review_ui.appliance.archive import backup as run

    contents = run(_home(dir), file)
    if json:
        print_json(contents)
    else:
        typer.echo(f"{file}: {_counted(contents.counts)}. It holds keys and password hashes: keep it private.")


@server_app.command()
def restore(file: Annotated[Path, typer.Argument(help="A file that `redpen server backup` wrote.")], dir: Folder = Path(),
            replace: Annotated[bool, typer.Option("--replace", help="Move what is there aside, into the same folder.")] = False,
            json: Json = False) -> None:
    """Put a backup back; no server may run on the project meanwhile."""
    from review_ui.appliance.archive import restore as run

    contents = run(_home(dir), file, replace=replace)
    if json:
        print_json(contents)
    else:
        typer.echo(f"restored the state of {contents.taken_at}: {_counted(contents.counts)}. `redpen serve` starts it")


@server_app.command()
def status(dir: Folder = Path(), json: Json = False) -> None:
    """Whether the server runs and is well, and what it holds."""
    from review_ui.appliance.condition import condition

    found = condition(_home(dir))
    if json:
        print_json(found)
        return
    typer.echo(f"{'runs at ' + found.url if found.url else 'does not run'}; argilla-server {found.server}; "
               f"{_counted(found.counts) or 'no data yet'}; {found.database_bytes / 1e6:.1f} MB, "
               f"{found.free_bytes / 1e9:.1f} GB free")
    for problem in (*(f"{name} fails" for name in found.failing),
                    *(["an upgrade is due: `redpen server upgrade`, or the next `redpen serve`"] if found.upgrade_due else [])):
        typer.echo(problem)
    if found.children:
        print_table(["process", "pid", "starts", "last exit"],
                    [(child.name, child.pid or "-", child.starts, "-" if child.last_exit is None else child.last_exit)
                     for child in found.children])
    for log, lines in found.errors.items():
        for line in lines:
            typer.echo(f"{log}: {line}")


@server_app.command()
def upgrade(dir: Folder = Path(),
            prune: Annotated[bool, typer.Option("--prune", help="Remove other versions' environments from the cache.")] = False,
            json: Json = False) -> None:
    """Bring the data to this Redpen's server version, after a backup; no server may run on the project meanwhile."""
    from review_ui.appliance.upgrade import upgrade as run

    done = run(_home(dir), prune=prune)
    if json:
        print_json(done)
        return
    typer.echo(f"from argilla-server {done.before or 'of an unknown version'} to {done.now}: {_counted(done.counts)}, none "
               f"missing; the state before is in {done.backup}" if done.backup else f"nothing to do: argilla-server {done.now}")
    for path in done.removed:
        typer.echo(f"removed {path}")


@server_app.command("move-to")
def move_to(url: Annotated[str, typer.Argument(help="Address of the other Argilla 2.x server.")], dir: Folder = Path(),
            api_key_env: Annotated[str, typer.Option(help="Environment variable that holds an owner's key.")] = "ARGILLA_API_KEY",
            dry_run: Annotated[bool, typer.Option("--dry-run", help="Only print what would be copied.")] = False,
            json: Json = False) -> None:
    """Copy people, workspaces, datasets, records and answers to another Argilla, and prove that both hold the same."""
    from review_ui.appliance.moving import move

    moved = move(_home(dir), url, api_key_env=api_key_env, dry_run=dry_run)
    if json:
        print_json(moved)
        return
    print_table(["dataset", "records", "responses", "suggestions", "vectors", "same"],
                [(row.name, row.records, row.responses, row.suggestions, row.vectors, row.same if row.same is not None else "-")
                 for row in moved.datasets])
    if moved.passwords:
        typer.echo(f"new passwords of {moved.users} people are in {moved.passwords}; API keys are new there as well")
    typer.echo(f"would copy the above to {url}" if dry_run else
               f"both hold the same. Put `argilla: {{url: {url}}}` into redpen.yaml to work there")


@users_app.command("list")
def list_users(dir: Folder = Path(), json: Json = False) -> None:
    """Everybody who can sign in."""
    from review_ui.appliance.people import everybody

    people = everybody(_home(dir))
    if json:
        print_json(list(people))
    else:
        print_table(["username", "role", "workspaces", "since"],
                    [(person.username, person.role, ", ".join(person.workspaces), person.since) for person in people])


@users_app.command("add")
def add_user(username: str, dir: Folder = Path(),
             role: Annotated[str, typer.Option(help="annotator (a reviewer), admin (of workspaces) or owner.")] = "annotator",
             workspace: Annotated[list[str] | None, typer.Option(help="Workspace to work in; repeat for several.")] = None,
             password_stdin: FromStdin = False, json: Json = False) -> None:
    """Make a user, with a random password unless one is given."""
    from review_ui.appliance.people import add

    password = add(_home(dir), username, role=_role(role), workspaces=tuple(workspace or ()), password=_given(password_stdin),
                   rules=_rules(dir))
    _tell(username, None if password_stdin else password, json=json)


@users_app.command("passwd")
def set_password(username: str, dir: Folder = Path(), password_stdin: FromStdin = False, json: Json = False) -> None:
    """Give somebody a new password."""
    from review_ui.appliance.people import set_password as run

    password = run(_home(dir), username, password=_given(password_stdin), rules=_rules(dir))
    _tell(username, None if password_stdin else password, json=json)


def _home(folder: Path) -> Path:
    """Raises InvalidInput where there is no project."""
    from feedback.errors import InvalidInput

    if not (folder / "redpen.yaml").exists():
        raise InvalidInput(f"{folder.resolve()}: no redpen.yaml here; name the project's folder with --dir")
    return folder.resolve() / "argilla"


def _rules(folder: Path) -> PasswordPolicy | None:
    from feedback.desk.project import read_desk_project

    return read_desk_project(folder).argilla.passwords


def _role(role: str) -> Role:
    from feedback.errors import InvalidInput

    if role not in ("annotator", "admin", "owner"):
        raise InvalidInput(f"--role is {role!r}; allowed: annotator, admin, owner")
    return role


def _given(from_stdin: bool) -> str | None:
    import sys

    return sys.stdin.readline().rstrip("\n") if from_stdin else None


def _tell(username: str, password: str | None, *, json: bool) -> None:
    if json:
        print_json({"username": username, "password": password})
    elif password:
        note("shown this once:")
        typer.echo(f"{username}  {password}")
    else:
        typer.echo(f"{username}: done")


def _counted(counts: dict[str, int]) -> str:
    return ", ".join(f"{count:,} {name}" for name, count in counts.items())
