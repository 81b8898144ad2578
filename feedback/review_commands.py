"""`redpen review`: the reviewers' desk, from the command line."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from feedback.terminal import note, print_json, print_table

if TYPE_CHECKING:
    from collections.abc import Iterator

    from feedback.desk.argilla_desk import ArgillaDesk
    from feedback.desk.project import DeskProject
    from feedback.desk.pull import PullReport
    from feedback.desk.push import PushReport
    from feedback.desk.routing import Router
    from feedback.desk.status import DeskStatus
    from feedback.rubric import Rubric
    from feedback.store.store import Store

review_app = typer.Typer(no_args_is_help=True, help="What reviewers see in Argilla, and what they answered.")

Folder = Annotated[Path, typer.Option("--dir", help="The project's folder.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]


@review_app.command()
def setup(dir: Folder = Path(), dry_run: Annotated[bool, typer.Option("--dry-run", help="Only print the plan.")] = False,
          json: Json = False) -> None:
    """Make the workspace and its datasets from rubric.yaml."""
    from feedback.desk.project import project_router
    from feedback.desk.setup import setup as apply

    project, rubric, desk = _connected(dir)
    plan = apply(desk, rubric, project.queues, router=project_router(desk, project), dry_run=dry_run)
    if json:
        print_json(plan)
        return
    for step in plan.steps or ("nothing to do",):
        typer.echo(f"would {step}" if dry_run and plan.steps else step)


@review_app.command()
def push(dir: Folder = Path(), json: Json = False) -> None:
    """Put the store's queue in front of the reviewers, every item once."""
    from feedback.desk.push import push as run

    with _at_work(dir) as (rubric, desk, store, router):
        report = run(desk, store, rubric, router=router)
    if json:
        print_json(report)
    else:
        _tell_push(report)


@review_app.command()
def pull(dir: Folder = Path(),
         full: Annotated[bool, typer.Option("--full", help="Read datasets without activity as well.")] = False,
         json: Json = False) -> None:
    """Bring submitted answers into the store."""
    from feedback.desk.pull import pull as run

    with _at_work(dir) as (rubric, desk, store, _):
        report = run(desk, store, rubric, full=full)
    if json:
        print_json(report)
    else:
        _tell_pull(report)


@review_app.command()
def sync(dir: Folder = Path(), json: Json = False) -> None:
    """Push, then pull, then ask for more reviews where a verdict is open."""
    from feedback.desk.project import read_desk_project
    from feedback.desk.sync import sync as run

    queues = read_desk_project(dir).queues
    with _at_work(dir) as (rubric, desk, store, router):
        done = run(desk, store, rubric, queues, router=router)
    if json:
        print_json({"push": done.pushed.model_dump(mode="json"), "pull": done.pulled.model_dump(mode="json"),
                    "asked": done.asked.model_dump(mode="json")})
        return
    _tell_push(done.pushed)
    _tell_pull(done.pulled)
    if done.asked.again or done.asked.to_settle:
        typer.echo(f"asked for one more review of {done.asked.again} items, and for a last word on {done.asked.to_settle}")


@review_app.command()
def texts(file: Annotated[Path, typer.Argument(help="JSON lines with \"text\" and, where it helps, \"source\".")],
          dir: Folder = Path(), json: Json = False) -> None:
    """Queue your own texts to be labelled by experts."""
    from feedback.desk.project import open_project_store, project_rubric, read_desk_project
    from feedback.desk.texts import add_texts, read_texts

    project = read_desk_project(dir)
    rubric, lines = project_rubric(dir, project), read_texts(file)
    with open_project_store(dir, project) as store:
        new = add_texts(store, rubric, lines, reviews=project.queues.reviews)
    if json:
        print_json({"texts": len(lines), "new": new})
    else:
        typer.echo(f"queued {new} texts, {len(lines) - new} were there; run `redpen review push`")


@review_app.command()
def status(dir: Folder = Path(), json: Json = False) -> None:
    """What waits for reviewers, how long it will take, and how long a rating takes in each round."""
    from feedback.desk.status import status as find

    with _at_work(dir) as (_, desk, store, router):
        found = find(desk, store, router=router)
    if json:
        print_json({**found.model_dump(mode="json"), "reviews_missing": found.reviews_missing})
    else:
        _tell_status(found)


def _connected(folder: Path) -> tuple[DeskProject, Rubric, ArgillaDesk]:
    import os

    from feedback.desk.argilla_desk import connect
    from feedback.desk.project import connection, project_rubric, read_desk_project

    project = read_desk_project(folder)
    rubric = project_rubric(folder, project)
    there = connection(folder, project.argilla, environ=os.environ)
    return project, rubric, connect(project.argilla, url=there.url, api_key=there.api_key, advice=there.advice)


@contextmanager
def _at_work(folder: Path) -> Iterator[tuple[Rubric, ArgillaDesk, Store, Router | None]]:
    from feedback.desk.project import open_project_store, project_router

    project, rubric, desk = _connected(folder)
    with open_project_store(folder, project) as store:
        yield rubric, desk, store, project_router(desk, project)


def _tell_push(report: PushReport) -> None:
    where = ", ".join(f"{name} {count}" for name, count in sorted(report.datasets.items()))
    typer.echo(f"pushed {report.pushed} items" + (f" ({where})" if where else "") + f"; {report.already} were there")


def _tell_pull(report: PullReport) -> None:
    typer.echo(f"pulled {report.new} new, {report.changed} changed, {report.deleted} withdrawn")
    if report.kept:
        note(f"{report.kept} ratings are kept though their reviewer's account is gone from Argilla")
    for rejected in report.rejected:
        note(f"record {rejected.record_id}, {rejected.reviewer}: rejected; " + "; ".join(rejected.problems))
    for item in report.unknown_items:
        note(f"answered in Argilla, but no item of this store: {item}")


def _tell_status(found: DeskStatus) -> None:
    print_table(("dataset", "records", "waiting", "reviews missing"),
                ((one.name, one.items, one.pending, one.reviews_missing) for one in found.datasets))
    print_table(("reviewer", "submitted", "waiting", "drafts and skipped"),
                ((one.name + (" (simulated)" if one.simulated else ""), one.submitted, one.waiting, one.unfinished)
                 for one in found.reviewers))
    print_table(("round", "ratings", "median seconds a rating"),
                ((one.round, one.ratings, str(one.seconds)) for one in found.pace.rounds))
    typer.echo(f"reviews a day: {found.pace.reviews_per_day}")
    typer.echo(f"days left at this pace: {found.pace.days_left}; hours of work: {found.pace.hours_of_work}")
    if found.to_settle:
        typer.echo(f"to be settled, as reviewers are split: {found.to_settle}")
    if not found.reviewers:
        typer.echo("nobody may review yet: add people with `redpen server users add NAME --workspace "
                   f"{found.workspace}`, or in Argilla")
    elif found.stuck:
        typer.echo(f"reviews that nobody is left to give: {found.stuck}; everybody whom those items are for has reviewed them. "
                   "Add people (`redpen server users add`) or assign the topics to more of them; a round that waits goes on "
                   "with `redpen round request`")
    if found.kept:
        typer.echo(f"ratings kept of people whose account is gone: {found.kept}; Argilla asks for as many reviews anew, and no "
                   "round waits for those")
    if found.gone:
        typer.echo(f"records deleted in Argilla: {found.gone}; their answers were withdrawn and nobody is asked about them "
                   "any more; a round that waits for them goes on with `redpen round request`")
    if found.unpushed:
        typer.echo(f"items not in Argilla yet: {found.unpushed}; run `redpen review push`")
