"""`redpen sft generate`: it stands here because best-of-N asks a reward model, which the packages below know nothing of."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from feedback.errors import InvalidInput
from feedback.terminal import print_json

if TYPE_CHECKING:
    from feedback.lineage import Manifest
    from feedback.schemas import Prompt


def generate(
    prompts: Annotated[Path, typer.Option(help="A prompts file: one question or conversation per line.")],
    out: Annotated[Path, typer.Option("--out", help="Folder to write. The same command resumes what was interrupted.")],
    base: Annotated[str | None, typer.Option(help="Folder, hub id or `smollm2`; instead of the configured one.")] = None,
    adapter: Annotated[Path | None, typer.Option(help="Adapter folder; without one the base answers.")] = None,
    best_of: Annotated[int | None, typer.Option("--best-of", min=2, help="Sample N answers to each prompt and keep the one whose "
                                                "reward has the highest lower bound; needs --reward.")] = None,
    reward: Annotated[Path | None, typer.Option(help="Folder of a reward model, for --best-of.")] = None,
    augment: Annotated[bool, typer.Option("--augment", help="Let the model write new questions from these, marked as "
                                          "synthetic; see augment.kind.")] = False,
    config: Annotated[Path | None, typer.Option("--config", help="A project's redpen.yaml; its sections for this stage "
                                                "count.")] = None,
    overrides: Annotated[list[str] | None, typer.Argument(help="Such as sampling.temperature=0.7 or augment.kind=rare.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the manifest as JSON.")] = False,
) -> None:
    """Sample answers to prompts, the best of several with --best-of, or new questions with --augment."""
    from feedback.prompts import read_prompts
    from feedback.training_sets.settings import project_around

    if augment and (best_of or reward):
        raise InvalidInput("--augment writes questions, which no reward model has learned to score; leave out --best-of and "
                           "--reward")
    if (best_of is None) != (reward is None):
        raise InvalidInput("--best-of and --reward go together: how many answers, and which reward model chooses")
    asked = read_prompts(prompts)
    common = {"file": config, "base": base, "overrides": overrides or []}
    if best_of and reward:
        made = _best_of(asked, adapter, out, reward=reward, best_of=best_of, common=common)
    elif augment:
        project = project_around((config or prompts).parent)
        made = _augment(asked, adapter, out, project=project, common=common)
    else:
        made = _sample(asked, adapter, out, common=common)
    _tell(made, out, as_json=as_json)


def _sample(prompts: list[Prompt], adapter: Path | None, out: Path, *, common: dict[str, Any]) -> Manifest:
    from sft import generate
    from sft.stage_config import stage_config

    return generate.run(stage_config(generate.GenerateStage, **common), prompts=prompts, adapter=adapter, out=out)


def _augment(prompts: list[Prompt], adapter: Path | None, out: Path, *, project: Path | None,
             common: dict[str, Any]) -> Manifest:
    from feedback.training_sets.settings import read_settings, remembered_prompts
    from sft import augment
    from sft.stage_config import stage_config

    # What is held out, and critical above all, stands in other files of the project than the one that is varied.
    settings = read_settings(project)
    stage = stage_config(augment.AugmentStage, **common)
    if project and common["file"] is None:
        stage = stage.model_copy(update={"split": settings.split})
    return augment.run(stage, prompts=prompts, adapter=adapter, out=out, known=remembered_prompts(project, settings))


def _best_of(prompts: list[Prompt], adapter: Path | None, out: Path, *, reward: Path, best_of: int,
             common: dict[str, Any]) -> Manifest:
    from alignment.estimating import judge_of
    from sft import best_of as stage_of
    from sft import generate
    from sft.stage_config import stage_config

    plain = stage_config(generate.GenerateStage, **common)
    stage = stage_of.BestOfStage(**dict(plain), best_of=best_of)
    return stage_of.run(stage, prompts=prompts, adapter=adapter, judge=judge_of(reward, stage.model, among=True), out=out)


def _tell(made: Manifest, out: Path, *, as_json: bool) -> None:
    counts = made.counts
    if as_json:
        print_json(made)
    elif "written" in counts:
        typer.echo(f"{out / 'questions.jsonl'}: {counts['prompts']} new questions from {counts['sources']} prompts, "
                   f"{counts['completions']} answers")
    else:
        of = f", the best of {counts['candidates']}" if "candidates" in counts else ""
        typer.echo(f"{out / 'completions.jsonl'}: {counts['completions']} answers to {counts['prompts']} prompts{of}")
