"""The demo: a help desk whose model gets less wrong because (simulated) experts said so, with every stage real.

    appliance -> base answers -> simulated people rate through Argilla's HTTP API -> round 1 -> ... -> the table

The same command goes on where an earlier one stopped; a finished demo shows its table again.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from alignment import rounds, steps
from alignment.project import Project
from alignment.rounds import RoundState
from feedback import simulation
from feedback.errors import InvalidInput, NothingToDo, StageRefused
from feedback.lineage import MANIFEST
from feedback.terminal import note, progress
from review_ui.demo import facts, oracle, table
from review_ui.demo.clock import Clock
from review_ui.demo.panel import Panel, enroll
from review_ui.project.init import text_of

if TYPE_CHECKING:
    from feedback.desk.argilla_desk import ArgillaDesk
    from review_ui.appliance.appliance import Running

POCKET = "pocket"


@dataclass(frozen=True, slots=True)
class DemoOptions:
    """What a person asked `redpen demo` for."""

    folder: Path
    model: str = POCKET
    """`pocket`, `smollm2`, or a causal language model's id or folder."""
    rounds: int = 3
    seed: int = 0


@dataclass(frozen=True, slots=True)
class DemoResult:
    """What came out."""

    folder: Path
    rows: tuple[table.DemoRow, ...]
    played: bool
    """False when the demo was finished before, and there was nothing left to do."""
    wall_seconds: float
    split_seconds: dict[str, float]

    def as_json(self) -> dict[str, Any]:
        """For a program."""
        return table.as_json(self.rows, wall_seconds=self.wall_seconds, split=self.split_seconds)


@dataclass(frozen=True, slots=True)
class Desk:
    """The project, its Argilla, and the simulated people who work there."""

    project: Project
    argilla: ArgillaDesk
    panel: Panel
    clock: Clock

    def review(self) -> None:
        """Everything queued is rated by somebody, and the ratings are in the store. Raises StageRefused when nobody rated."""
        from feedback.desk.pull import pull
        from feedback.desk.push import push

        with self.project.open_store() as store:
            push(self.argilla, store, self.project.rubric)
            wanted = sum(store.missing_reviews(store.items()).values())
            with self.clock.part("reviewing"), progress("simulated reviewers", total=wanted) as advance:
                done = self.panel.work(advance)
            pulled = pull(self.argilla, store, self.project.rubric)
        if not done and not pulled.new:
            raise StageRefused(f"{self.project.folder}: {wanted} reviews are missing, and Argilla shows nothing pending to the "
                               "simulated reviewers; look at the queues with `redpen review status`")


def run(options: DemoOptions) -> DemoResult:
    """All rounds that are not done yet, and the figures. Raises InvalidInput when the folder holds something else."""
    clock = Clock(options.folder / "rounds")
    # Before the minutes of work: a folder that cannot be used is told at once.
    project = open_project(options, _base_name(options.model))
    played = not _is_finished(project, options.rounds)
    if played:
        _play(project, options, clock)
    return DemoResult(folder=project.folder, rows=tuple(table.demo_rows(project, oracle.judge)), played=played,
                      wall_seconds=clock.wall_seconds(), split_seconds=clock.split())


def _play(project: Project, options: DemoOptions, clock: Clock) -> None:
    """Everything that is left of the demo."""
    from review_ui.appliance.appliance import Appliance

    # Before the server runs: pre-training then has all cores to itself.
    appliance = Appliance(project.folder / "argilla")
    with clock.part("environment"):
        appliance.ensure_environment()
    with clock.part("model"):
        _make_base(options.model)
    note(f"{project.folder}: {len(facts.facts())} facts of the standard library; the reviewers are simulated")
    with appliance as running:
        desk = _desk(project, running, seed=options.seed, clock=clock)
        state = _next(project, options)
        while state.waiting_for == "reviews":
            note(f"round {state.round}: {state}")
            desk.review()
            state = _next(project, options)


def _is_finished(project: Project, last: int) -> bool:
    """The last round is judged, and promoted if it passed."""
    judged = (project.round(last) / steps.DECISION / MANIFEST).exists()
    return judged and rounds.standing(project).waiting_for != "approval"


def _next(project: Project, options: DemoOptions) -> RoundState:
    """Do what is due. A round whose ratings train nothing has queued new answers: it is told, and passed over."""
    try:
        return rounds.run(project, until=options.rounds, auto_approve=True)
    except NothingToDo as error:
        note(str(error))
        return rounds.run(project, until=options.rounds, auto_approve=True)


def _base_name(model: str) -> str:
    """What `redpen.yaml` calls the base, whether or not it is there yet."""
    if model == POCKET:
        from review_ui.demo import pocket

        return str(pocket.folder_of(pocket.Recipe()))
    return model


def _make_base(model: str) -> None:
    """Have the base on this machine; the pocket model is built and pre-trained when it is not in the cache."""
    if model == POCKET:
        from review_ui.demo import pocket

        pocket.ensure()
        return
    from sft.model import resolve_base

    resolve_base(model)


def open_project(options: DemoOptions, base: str) -> Project:
    """The demo's project folder, written when it is new. Raises InvalidInput when another demo or project is there.

    Its redpen.yaml may have been edited since, or written by an earlier version: base and seed make it the same demo.
    """
    folder = options.folder
    if not (folder / "redpen.yaml").exists():
        _write_project(folder, _config(options, base))
    project = Project.at(folder)
    found, wanted = ((project.config.model.base, project.config.seed), (base, options.seed))
    if found != wanted:
        raise InvalidInput(f"{folder / 'redpen.yaml'}: has the base {found[0]} and the seed {found[1]}; this demo has {base} and "
                           f"{options.seed}. Give it a folder of its own with --dir, or delete this one to begin again")
    return project


def _write_project(folder: Path, config: str) -> None:
    """Every file of a new project. Raises InvalidInput rather than writing among somebody's files."""
    if folder.is_dir() and any(folder.iterdir()):
        raise InvalidInput(f"{folder}: is not empty, and no demo; give the demo a folder of its own with --dir")
    folder.mkdir(parents=True, exist_ok=True)
    facts.write_prompts(folder)
    (folder / "rubric.yaml").write_text(text_of("rubric.yaml"), encoding="utf-8")
    # Last: with it the folder is whole.
    (folder / "redpen.yaml").write_text(config, encoding="utf-8")


def _config(options: DemoOptions, base: str) -> str:
    name = f"{options.model}.yaml" if options.model in (POCKET, "smollm2") else "other.yaml"
    template = files("configs").joinpath("demo", name).read_text(encoding="utf-8")
    return template.replace("{base}", base) + f"\nseed: {options.seed}\n"


def _desk(project: Project, running: Running, *, seed: int, clock: Clock) -> Desk:
    """Datasets from the rubric, an account for each simulated person."""
    from feedback.desk.argilla_desk import connect
    from feedback.desk.setup import setup

    argilla = connect(project.config.argilla, url=running.url, api_key=running.api_key)
    setup(argilla, project.rubric, project.config.queues)
    people = simulation.REVIEWERS
    accounts = enroll(running.url, running.api_key, workspace=project.config.argilla.workspace, people=people,
                      home=project.folder / "argilla")
    return Desk(project=project, argilla=argilla, clock=clock, panel=Panel(
        url=running.url, people=people, accounts=accounts, oracle=oracle.judge, rubric=project.rubric, seed=seed))
