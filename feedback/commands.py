"""`redpen feedback`: from ratings to training sets, one step at a time, on folders."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from feedback.errors import InvalidInput
from feedback.terminal import note, print_json, print_table

if TYPE_CHECKING:
    from feedback.curation.ledger import CurationCard
    from feedback.lineage import Manifest
    from feedback.measures import Measured, Unscored
    from feedback.training_sets.export import ExportConfig

feedback_app = typer.Typer(no_args_is_help=True, help="What people said, and what follows from it.")

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
Project = Annotated[Path | None, typer.Option("--dir", help="The project whose settings count; by default the one that the "
                                                            "folder lies in, and without one the defaults.")]
Snapshot = Annotated[Path, typer.Argument(help="A sealed or curated snapshot.")]
Out = Annotated[Path, typer.Argument(help="Folder to write.")]


@feedback_app.command()
def seal(
    out: Annotated[Path, typer.Option("--out", help="Folder to write.")],
    dir: Annotated[Path, typer.Option("--dir", help="The project's folder.")] = Path(),
    purpose: Annotated[str, typer.Option(help="train, audit or all.")] = "train",
    round: Annotated[list[int] | None, typer.Option(help="Only items of this round; may be given again.")] = None,
    until: Annotated[datetime | None, typer.Option(help="Only ratings submitted until then, in UTC.")] = None,
    json: Json = False,
) -> None:
    """Copy the ratings that are in now, so that nothing changes under a round."""
    from datetime import UTC

    from feedback.desk.project import open_project_store, project_rubric, read_desk_project
    from feedback.guardrails.masking import project_mask
    from feedback.schemas import Purpose
    from feedback.store.snapshot import seal as run
    from feedback.training_sets.settings import read_settings

    if purpose not in {"train", "audit", "all"}:
        raise InvalidInput(f"--purpose is {purpose!r}; use train, audit or all")
    project = read_desk_project(dir)
    moment = until.replace(tzinfo=UTC) if until and until.tzinfo is None else until
    with open_project_store(dir, project) as store:
        made = run(store, purpose=None if purpose == "all" else Purpose(purpose), rounds=round, out=out, until=moment,
                   rubric=project_rubric(dir, project), mask=project_mask(dir, read_settings(dir).curation.pii))
    _tell(made, out, json)


@feedback_app.command()
def curate(snapshot: Snapshot, out: Annotated[Path | None, typer.Argument(help="Folder to write; none with --dry-run.")] = None,
           dry_run: Annotated[bool, typer.Option("--dry-run", help="Print what would be done, and write nothing.")] = False,
           dir: Project = None, json: Json = False) -> None:
    """Leave out what must not train, every row with its reason, and mend, mask and point out the rest."""
    from feedback.curation import curate as stage
    from feedback.curation.aids import gather_aids
    from feedback.training_sets.settings import held_out_prompts, project_around, read_settings

    project = dir or project_around(snapshot)
    settings = read_settings(project)
    if (out is None) != dry_run:
        raise typer.BadParameter("name the folder to write, or give --dry-run" if out is None else "--dry-run writes no folder")
    aids = gather_aids(settings.curation, project=project, held_out=held_out_prompts(project, settings), writes=not dry_run)
    if out is not None:
        _tell(stage.run(settings.curation, snapshot=snapshot, out=out, aids=aids), out, json)
        return
    _tell_plan(stage.plan(settings.curation, snapshot=snapshot, aids=aids).card, json)


@feedback_app.command()
def documents(file: Annotated[Path, typer.Argument(help="JSON Lines of text, and optionally title, source, valid_until.")],
              out: Annotated[Path | None, typer.Argument(help="Folder to write; none with --dry-run.")] = None,
              dry_run: Annotated[bool, typer.Option("--dry-run", help="Print what would be done, and write nothing.")] = False,
              dir: Project = None, json: Json = False) -> None:
    """Clean documents for further pre-training: as answers are, and near duplicates dropped."""
    from datetime import UTC

    from feedback.curation import documents as stage
    from feedback.curation.aids import gather_aids
    from feedback.training_sets.settings import held_out_prompts, project_around, read_settings

    project = dir or project_around(file.parent)
    settings = read_settings(project)
    if (out is None) != dry_run:
        raise typer.BadParameter("name the folder to write, or give --dry-run" if out is None else "--dry-run writes no folder")
    aids = gather_aids(settings.curation, project=project, held_out=held_out_prompts(project, settings), writes=not dry_run)
    config = stage.DocumentsStage(curation=settings.curation, today=datetime.now(UTC).date())
    if out is not None:
        _tell(stage.run(config, path=file, out=out, aids=aids), out, json)
    else:
        _tell_plan(stage.plan(config, path=file, aids=aids).card, json)


@feedback_app.command()
def slices(snapshot: Snapshot, dir: Project = None, json: Json = False) -> None:
    """Coverage, verdicts and reviewers by topic, language and length, with intervals, and where they are thin or lean."""
    from feedback.curation.slices import slices as run
    from feedback.schemas import Purpose
    from feedback.store.snapshot import read_snapshot
    from feedback.training_sets.settings import held_out_prompts, project_around, project_prompts, read_settings

    project = dir or project_around(snapshot)
    settings, contents = read_settings(project), read_snapshot(snapshot)
    # Held-out questions are rated in audits alone.
    audited = any(item.purpose is Purpose.AUDIT for item in contents.items)
    judging = set() if audited else {prompt.id for prompt in held_out_prompts(project, settings)}
    report = run(contents, [prompt for prompt in project_prompts(project, settings) if prompt.id not in judging])
    if json:
        print_json(report)
        return
    print_table(["slice", "", "questions", "items", "ratings", "correct", "accuracy"],
                [[each.dimension, each.name, each.prompts, each.items, each.ratings,
                  each.correct, each.accuracy] for each in report.slices])
    print_table(["verdict", "rate answers"], list(report.balance.items()))
    for warning in report.warnings:
        typer.echo(warning)


@feedback_app.command()
def augment(out: Annotated[Path, typer.Argument(help="File to write; append it to prompts.jsonl when you like it.")],
            topic: Annotated[list[str] | None, typer.Option(help="May be given again. By default the rare topics.")] = None,
            per_question: Annotated[int, typer.Option(min=1, help="Paraphrases of each question.")] = 3,
            templates: Annotated[Path | None, typer.Option(help="A file of kind: paraphrases; by default English ones.")] = None,
            seed: Annotated[int, typer.Option(help="Which templates each question gets.")] = 0,
            dir: Annotated[Path, typer.Option("--dir", help="The project's folder.")] = Path(), json: Json = False) -> None:
    """Write synthetic questions of rare topics by paraphrase templates. Nothing held out is paraphrased."""
    from feedback.errors import NothingToDo
    from feedback.jsonl import write_rows
    from feedback.training_sets import augment as stage
    from feedback.training_sets.settings import project_prompts, read_settings, remembered_prompts
    from feedback.training_sets.split import held_out_families

    settings = read_settings(dir)
    prompts = project_prompts(dir, settings)
    topics = tuple(topic or stage.rare_topics(prompts))
    lines = stage.paraphrased(prompts, stage.read_templates(templates), topics=topics, per_question=per_question, seed=seed,
                              held_out=held_out_families(remembered_prompts(dir, settings), settings.split))
    if not lines:
        raise NothingToDo(f"{dir}: nothing to paraphrase; topics: {', '.join(topics) or 'none is rare, name one with --topic'}")
    if out.exists():
        raise InvalidInput(f"{out}: exists already; name a new file")
    count = write_rows(out, lines)
    if json:
        print_json({"out": str(out), "topics": topics, "questions": count})
    else:
        typer.echo(f"{out}: {count} synthetic questions of {', '.join(topics)}")


@feedback_app.command()
def build(curated: Annotated[Path, typer.Argument(help="A curated snapshot.")], out: Out, dir: Project = None,
          json: Json = False) -> None:
    """Make demonstrations, pairs and rankings. Held-out families never enter."""
    from feedback.training_sets import write
    from feedback.training_sets.settings import project_around, read_settings, remembered_prompts

    project = dir or project_around(curated)
    settings = read_settings(project)
    if project is None:
        note(f"{curated} lies in no project: the default split decides what is held out; name the project with --dir")
    stage = write.SetsStage(sets=settings.training_sets, split=settings.split)
    _tell(write.run(stage, curated=curated, out=out, known=remembered_prompts(project, settings)), out, json)


@feedback_app.command()
def export(
    sets: Annotated[Path, typer.Argument(help="A folder of training sets.")], out: Out,
    to: Annotated[str, typer.Option(help="trl (`datasets` folders), jsonl, parquet, or hub (parquet, pushed).")] = "trl",
    repo: Annotated[str | None, typer.Option(help="With --to hub: the dataset to push to, OWNER/NAME.")] = None,
    public: Annotated[bool, typer.Option("--public", help="With --to hub: anybody may read it.")] = False,
    licence: Annotated[str | None, typer.Option(help="For the dataset card; by default the project's.")] = None,
    dir: Project = None, json: Json = False,
) -> None:
    """Write training sets for TRL or others, with a dataset card, or push them to the Hugging Face Hub."""
    from feedback.training_sets import export as stage
    from feedback.training_sets.settings import project_around, read_settings

    form = next((each for each in stage.FORMS if each == to), None)
    if form is None:
        raise typer.BadParameter(f"--to is {to!r}; use {', '.join(stage.FORMS)}")
    if (form == "hub") != (repo is not None) or (public and form != "hub"):
        raise typer.BadParameter("--to hub needs --repo OWNER/NAME, and only it takes --repo and --public")
    settings = read_settings(dir or project_around(sets))
    config = stage.ExportConfig(form=form, licence=licence or settings.training_sets.licence)
    if repo is None:
        _tell(stage.run(config, training_sets=sets, out=out), out, json)
    else:
        _push(config, sets, out, repo, public, json)


def _push(config: ExportConfig, sets: Path, out: Path, repo: str, public: bool, json: bool) -> None:
    from feedback.training_sets import export as stage
    from feedback.training_sets.hub import check_push, push

    token = check_push(repo)
    made = stage.run(config, training_sets=sets, out=out)
    note(f"pushing {out} to {repo}, {'for anybody to read' if public else 'private'} ...")
    address = push(out, repo, public=public, token=token)
    if json:
        print_json({"out": str(out), "hash": made.hash, "counts": made.counts, "pushed": address})
    else:
        typer.echo(f"{out}: {', '.join(f'{count} {name}' for name, count in made.counts.items())}; pushed to {address}")


@feedback_app.command()
def aggregate(
    snapshot: Annotated[Path | None, typer.Argument(help="A sealed or curated snapshot.")] = None,
    ratings: Annotated[Path | None, typer.Option("--ratings", help="Instead: JSONL or CSV of item, reviewer and value.")] = None,
    gold: Annotated[Path | None, typer.Option(help="With --ratings: JSONL or CSV of item and value that is known.")] = None,
    method: Annotated[str, typer.Option(help="reliability, majority, dawid-skene, one-coin or mace.")] = "reliability",
    json: Json = False,
) -> None:
    """Conclude verdicts from ratings."""
    if (snapshot is None) == (ratings is None):
        raise typer.BadParameter("name a snapshot folder, or a file with --ratings")
    if ratings is not None:
        _aggregate_file(ratings, gold, method, json)
    elif snapshot is not None:
        _aggregate_snapshot(snapshot, json)


def _aggregate_file(path: Path, gold: Path | None, method: str, json: bool) -> None:
    from feedback.aggregation.file_verdicts import METHODS, aggregate_file
    from feedback.aggregation.ratings_file import read_gold_file, read_ratings_file

    chosen = next((each for each in METHODS if each == method), None)
    if chosen is None:
        raise typer.BadParameter(f"--method is {method!r}; use {' or '.join(METHODS)}")
    concluded = aggregate_file(read_ratings_file(path), method=chosen, known=read_gold_file(gold) if gold else None)
    if json:
        print_json(concluded)
        return
    undecided = sum(verdict.outcome is None for verdict in concluded.verdicts)
    typer.echo(f"{len(concluded.verdicts)} items, {undecided} undecided; {concluded.ratings} ratings, "
               f"{concluded.repeated} replaced by a later line")
    print_table(["reviewer", "ratings", "accuracy", "from", "to"],
                [[row.reviewer, row.n, *("-" if value is None else f"{value:.2f}" for value in (row.accuracy, row.low, row.high))]
                 for row in concluded.reviewers])


def _aggregate_snapshot(folder: Path, json: bool) -> None:
    from collections import Counter

    from feedback.aggregation.verdicts import aggregate as run
    from feedback.store.snapshot import read_snapshot

    verdicts = run(read_snapshot(folder))
    if json:
        print_json({"verdicts": verdicts.rate, "rank_verdicts": verdicts.rank, "beside_majority": verdicts.beside_majority,
                    "left_out": verdicts.left_out})
        return
    rated = Counter(verdict.outcome.value if verdict.outcome else "undecided" for verdict in verdicts.rate)
    pairs = Counter(pair.outcome.value for verdict in verdicts.rank for pair in verdict.pairs)
    print_table(["rated answers", "count"], sorted(rated.items()))
    print_table(["compared pairs", "count"], sorted(pairs.items()))
    print_table(["beside a plain majority", "answers"], list(verdicts.beside_majority.items()))
    print_table(["ratings left out", "count"], list(verdicts.left_out.items()))


@feedback_app.command()
def agreement(snapshot: Snapshot, seed: Annotated[int, typer.Option(help="Of the bootstrap.")] = 0,
              by: Annotated[str | None, typer.Option(help="For each topic, round or week apart.")] = None,
              json: Json = False) -> None:
    """Krippendorff's alpha of every question reviewers answer, with its interval, or why there is none."""
    from feedback.aggregation.agreement import SLICES, agreement_by
    from feedback.aggregation.agreement import agreement as run
    from feedback.store.snapshot import read_snapshot

    part = next((each for each in SLICES if each == by), None)
    if by is not None and part is None:
        raise typer.BadParameter(f"--by is {by!r}; use {', '.join(SLICES)}")
    contents = read_snapshot(snapshot)
    figures, slices = run(contents, seed=seed), agreement_by(contents, part, seed=seed) if part else {}
    if json:
        print_json({"agreement": figures} | ({"by": slices} if part else {}))
        return
    for name, found in {"all": figures, **slices}.items():
        print_table(["question", "alpha", "from", "to", "items"], [[asked, *_cells(figure)] for asked, figure in found.items()],
                    title=name if part else None)


def _cells(figure: Measured | Unscored) -> list[str]:
    if figure.kind == "unscored":
        return [f"- ({figure.reason})", "", "", ""]
    return [f"{figure.value:.3f}", f"{figure.low:.3f}", f"{figure.high:.3f}", str(figure.n)]


def _tell_plan(card: CurationCard, json: bool) -> None:
    """What would be done."""
    if json:
        print_json({"card": card})
        return
    print_table(["rows", "read", "kept"], [[name, count, card.kept[name]] for name, count in card.read.items()])
    print_table(["would be", "kind", "step", "rows"], [[act, kind, step, count] for act, table in card.acts.items()
                                                       for kind, steps in table.items() for step, count in steps.items()])
    if card.masked:
        print_table(["personal data", "texts that hold a placeholder"], list(card.masked.items()))
    for sentence in card.said:
        typer.echo(sentence)


def _tell(made: Manifest, out: Path, json: bool) -> None:
    """The finished stage: its manifest for machines, its card's sentences and counts for people."""
    if json:
        print_json({"out": str(out), "hash": made.hash, "counts": made.counts} | _card(out))
        return
    typer.echo(f"{out}: {', '.join(f'{count} {name}' for name, count in made.counts.items())}")
    for sentence in _card(out).get("card", {}).get("said", []):
        typer.echo(sentence)


def _card(out: Path) -> dict[str, dict[str, list[str]]]:
    import json

    path = out / "card.json"
    return {"card": json.loads(path.read_text(encoding="utf-8"))} if path.exists() else {}
