"""Every file under configs/ loads as the kind it declares."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

import configs
from alignment.config import ProjectConfig
from feedback.config import Strict, read_yaml
from feedback.curation.terminology import Terminology
from feedback.errors import InvalidInput
from feedback.prompts import read_prompts
from feedback.rubric import Rubric
from feedback.training_sets.augment import Templates
from sft.config import ModelConfig

ROOT = Path(configs.__file__).parent
FOREIGN = ("deploy", "accelerate")
"""Folders of files that another program defines and reads; each has tests of its own."""
FILES = sorted(path for path in ROOT.rglob("*.yaml") if path.relative_to(ROOT).parts[0] not in FOREIGN)
KINDS: dict[str, type[Strict]] = {"project": ProjectConfig, "rubric": Rubric, "terminology": Terminology,
                                "paraphrases": Templates}


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def test_there_are_configs_to_check() -> None:
    assert {"project/redpen.yaml", "rubric/answers.yaml"} <= {name(path) for path in FILES}


@pytest.mark.parametrize("path", FILES, ids=name)
def test_a_config_loads_as_the_kind_that_its_first_key_declares(path: Path) -> None:
    first, *_ = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert first == "kind"
    read_yaml(path, KINDS[yaml.safe_load(path.read_text(encoding="utf-8"))["kind"]])


@pytest.mark.parametrize("path", FILES, ids=name)
def test_a_misspelt_key_in_any_config_is_refused(path: Path, tmp_path: Path) -> None:
    broken = tmp_path / path.name
    broken.write_text(path.read_text(encoding="utf-8") + "\nmisspelt_key: 1\n", encoding="utf-8")
    kind = yaml.safe_load(path.read_text(encoding="utf-8"))["kind"]
    with pytest.raises(InvalidInput, match="misspelt_key: unknown key"):
        read_yaml(broken, KINDS[kind])


def test_the_rubric_asks_for_the_four_criteria_on_one_to_five() -> None:
    rubric = read_yaml(ROOT / "rubric" / "answers.yaml", Rubric)
    assert [criterion.name for criterion in rubric.criteria] == ["accuracy", "helpfulness", "tone", "safety"]
    assert {criterion.scale for criterion in rubric.criteria} == {(1, 2, 3, 4, 5)}
    assert rubric.rewrite
    assert rubric.comment
    assert rubric.spans == ("hallucinated",)


def test_the_example_questions_can_be_read_and_share_no_family() -> None:
    prompts = read_prompts(ROOT / "project" / "prompts.jsonl")
    critical = read_prompts(ROOT / "project" / "critical.jsonl", critical=True)
    assert len(prompts) >= 12
    assert len(critical) >= 6
    assert not {prompt.family for prompt in prompts} & {prompt.family for prompt in critical}


def commented_defaults() -> dict[str, str]:
    """Every key that a project's template shows commented out -> the value beside it, as dotted keys."""
    section, found = "", {}
    for line in (ROOT / "project" / "redpen.yaml").read_text(encoding="utf-8").splitlines():
        if opened := re.fullmatch(r"(?:# )?(\w+):", line.split(" #")[0].rstrip()):
            section = opened[1]
        elif shown := re.match(r"(?:#   |  # )(\w+): ([^#]+)", line):
            found[f"{section}.{shown[1]}"] = shown[2].strip()
    return found


EXAMPLES = {"argilla.url", "sft.trainer", "dpo.trainer", "model.threads"}
"""Shown as what one might write, not as a default."""


def test_what_the_template_shows_as_a_default_is_the_default() -> None:
    shown = commented_defaults()
    assert len(shown) >= 10
    defaults = ProjectConfig(kind="project", model=ModelConfig(base="any")).model_dump(mode="json")
    for key, text in shown.items():
        if key in EXAMPLES:
            continue
        section, name = key.split(".")
        assert yaml.safe_load(text) == defaults[section][name], f"redpen.yaml shows {key}: {text}"


def test_what_the_template_sets_is_the_default_as_well() -> None:
    shown = read_yaml(ROOT / "project" / "redpen.yaml", ProjectConfig)
    assert shown == ProjectConfig(kind="project", model=shown.model)
