"""`redpen feedback reviewers` and `redpen feedback integrity`: who rates how, and whose ratings should not count."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from feedback.terminal import note, print_json, print_table

if TYPE_CHECKING:
    from feedback.aggregation.integrity import Profile
    from feedback.aggregation.reviewers import ReviewerFigures
    from feedback.aggregation.verdicts import Weighing
    from feedback.ids import ReviewerId
    from feedback.measures import Figure
    from feedback.store.snapshot import Contents

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
Where = Annotated[Path | None, typer.Argument(help="A sealed or curated snapshot; without one all ratings that are in now.")]
Dir = Annotated[Path, typer.Option("--dir", help="The project's folder, for the ratings that are in now.")]


def reviewers(snapshot: Where = None, dir: Dir = Path(), json: Json = False) -> None:
    """Each reviewer's figures: how often right, how strict, how steady, beside the plain majority."""
    from feedback.aggregation.reviewers import figures
    from feedback.aggregation.verdicts import conclude, weighed_contents

    weighing = weighed_contents(_contents(snapshot, dir))
    rows = figures(weighing)
    if json:
        print_json({"reviewers": rows, "beside_majority": conclude(weighing).beside_majority, "left_out": weighing.left_out})
        return
    print_table(["reviewer", "ratings", "accuracy", "gold", "with the majority", "ranking", "strictest on"],
                [_cells(row) for row in rows])


def labels(
    out: Annotated[Path, typer.Argument(help="JSON lines to write, one for each text.")],
    snapshot: Annotated[Path | None, typer.Option(help="A sealed snapshot; without one all ratings that are in now.")] = None,
    dir: Dir = Path(),
    json: Json = False,
) -> None:
    """Write what experts chose and marked in your own texts, with what is concluded and how far they agree.

    Personal data is masked there as in snapshots.
    """
    from collections import Counter

    from feedback.aggregation.agreement import agreement
    from feedback.aggregation.labelled import labelled_texts
    from feedback.errors import NothingToDo
    from feedback.guardrails.masking import project_mask
    from feedback.jsonl import write_rows
    from feedback.training_sets.settings import read_settings

    contents = _contents(snapshot, dir)
    # A snapshot was masked when it was sealed.
    mask = project_mask(dir, read_settings(dir).curation.pii) if snapshot is None else None
    contents = mask(contents) if mask else contents
    rows = labelled_texts(contents)
    if not rows:
        raise NothingToDo("no text was labelled yet; queue some with `redpen review texts FILE`, push them, and pull once "
                          "experts have answered")
    write_rows(out, rows)
    alphas = agreement(contents)
    decided = Counter(name for row in rows for name, one in row.choices.items() if one.outcome is not None)
    marks = [mark for row in rows for mark in row.marks]
    names = list(dict.fromkeys(name for row in rows for name in row.choices))
    if json:
        print_json({"texts": len(rows), "decided": {name: decided[name] for name in names}, "marks": len(marks),
                    "agreed_marks": sum(mark.agreed for mark in marks), "agreement": {name: alphas[name] for name in names}})
        return
    print_table(["question", "decided", "alpha"],
                [[name, f"{decided[name]} of {len(rows)}", _short(alphas[name])] for name in names])
    note(f"wrote {len(rows)} texts to {out}")


def _cells(row: ReviewerFigures) -> list[object]:
    strict = {name: figure.value for name, figure in row.severity.items() if figure.kind == "measured"}
    lowest = min(strict, key=lambda name: strict[name], default=None)
    return [_name(row), row.ratings, *(_short(figure) for figure in (row.accuracy, row.gold, row.with_majority, row.ranking)),
            f"{lowest} {strict[lowest]:+.2f}" if lowest is not None else "-"]


def _name(row: ReviewerFigures | Profile) -> str:
    apart = [said for said, so in (("simulated", row.simulated), ("in quarantine", row.quarantined is not None)) if so]
    return f"{row.name} ({', '.join(apart)})" if apart else row.name


def _short(figure: Figure) -> str:
    return f"{figure.value:.2f} [{figure.low:.2f}, {figure.high:.2f}]" if figure.kind == "measured" else "-"


def integrity(
    snapshot: Where = None,
    dir: Dir = Path(),
    classifier: Annotated[bool, typer.Option(help="Also ask a cross-validated classifier which verdicts it doubts.")] = False,
    probabilities: Annotated[Path | None, typer.Option(help="Or a model: JSON lines of completion and probabilities.")] = None,
    json: Json = False,
) -> None:
    """What is odd about anybody's ratings, and whom to put into quarantine. Changes nothing."""
    from feedback.aggregation.integrity import profiles
    from feedback.aggregation.verdicts import weighed_contents
    from feedback.desk.pace import seconds_spent

    contents = _contents(snapshot, dir)
    weighing = weighed_contents(contents)
    # What a program sent at once counts here, since no person read it.
    rows = profiles(weighing, seconds=seconds_spent(contents.ratings, least=0),
                    doubted=_doubted(weighing, probabilities, classifier))
    if json:
        print_json({"profiles": rows, "proposed": [row.name for row in rows if row.proposed],
                    "quarantined": contents.quarantined})
        return
    print_table(["reviewer", "ratings", "what was noticed", "proposed"], [_noticed(row) for row in rows])
    for row in rows:
        if row.proposed:
            typer.echo(f"to act on it: redpen feedback quarantine {row.name} --reason \"{row.findings[0].sign}\"")


def _noticed(row: Profile) -> list[object]:
    noticed = "\n".join(f"{finding.sign}: {finding.said}" for finding in row.findings) or "-"
    standing = f"in quarantine: {row.quarantined}" if row.quarantined else "quarantine" if row.proposed else "-"
    return [_name(row), row.ratings, noticed, standing]


def _doubted(weighing: Weighing, path: Path | None, classifier: bool) -> dict[ReviewerId, int]:
    from feedback.aggregation.integrity import ModelLine, classified, doubted
    from feedback.jsonl import read_rows

    if path is not None:
        return doubted(weighing, {row.completion: row.probabilities for row in read_rows(path, ModelLine)})
    found = classified(weighing) if classifier else None
    if classifier and found is None:
        note("too few answers of some verdict for a classifier; none was asked")
    return doubted(weighing, found) if found else {}


def _contents(snapshot: Path | None, project: Path) -> Contents:
    from feedback.desk.project import open_project_store, project_rubric, read_desk_project
    from feedback.store.snapshot import contents_now, read_snapshot

    if snapshot is not None:
        return read_snapshot(snapshot)
    settings = read_desk_project(project)
    with open_project_store(project, settings) as store:
        return contents_now(store, project_rubric(project, settings))
