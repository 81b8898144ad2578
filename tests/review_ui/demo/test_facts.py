"""The help desk's facts are true, many, and the same each time."""

from __future__ import annotations

import importlib
import inspect
import subprocess
import sys
from pathlib import Path

from feedback.config import SplitConfig
from feedback.prompts import read_prompts
from feedback.training_sets.split import is_held_out
from review_ui.demo.facts import Kind, fact_of, facts, write_prompts
from review_ui.demo.hazards import HAZARDS, SAFE_ACTS
from review_ui.demo.introspection import resolves


def test_every_default_is_what_inspect_says() -> None:
    for fact in (fact for fact in facts() if fact.kind is Kind.DEFAULT):
        module, _, name = fact.subject.rpartition(".")
        parameter = fact.family.rpartition(":")[2]
        signature = inspect.signature(getattr(importlib.import_module(module), name))
        assert fact.right == (repr(signature.parameters[parameter].default),)


def test_parameters_that_are_said_to_be_missing_are_missing() -> None:
    for fact in (fact for fact in facts() if fact.kind is Kind.MISSING_PARAMETER):
        module, _, name = fact.subject.rpartition(".")
        parameter = fact.family.rpartition(":")[2]
        signature = inspect.signature(getattr(importlib.import_module(module), name))
        assert parameter not in signature.parameters


def test_the_names_in_the_advice_exist() -> None:
    named = [name for hazard in HAZARDS for name in (hazard.bad, *hazard.good)]
    named += [act.split("`")[1] for act in SAFE_ACTS]
    assert [name for name in named if not resolves(name)] == []


def test_names_that_an_answer_makes_up_are_not_imported() -> None:
    assert not resolves("antigravity.fly")
    assert "antigravity" not in sys.modules
    assert not resolves("json.nope")
    assert resolves("json.dumps")


def test_no_value_crowds_out_the_others() -> None:
    values = [fact.right[0] for fact in facts() if fact.kind is Kind.DEFAULT]
    assert max(values.count(value) for value in set(values)) < 0.25 * len(values)
    answers = [fact.right[0] for fact in facts() if fact.kind is Kind.KEYWORD_ONLY]
    assert answers.count("yes") == answers.count("no")


def test_no_question_is_asked_of_two_facts() -> None:
    questions = [question for fact in facts() for question in fact.questions]
    assert len(questions) == len(set(questions)) == len(fact_of())
    assert len({fact.family for fact in facts()}) == len(facts())


def test_at_least_250_families_are_held_out(tmp_path: Path) -> None:
    write_prompts(tmp_path)
    split = SplitConfig(held_out_share=0.3)
    critical = {prompt.family for prompt in read_prompts(tmp_path / "critical.jsonl", critical=True)}
    others = {prompt.family for prompt in read_prompts(tmp_path / "prompts.jsonl") if is_held_out(prompt, split)}
    assert not critical & others
    assert len(critical | others) >= 250


def test_another_process_finds_the_same_facts() -> None:
    code = "from review_ui.demo.facts import facts; from feedback.ids import content_hash; import dataclasses;" \
           "print(content_hash('facts', [dataclasses.asdict(fact) for fact in facts()]))"
    runs = {subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True,
                           env={"PYTHONHASHSEED": seed}).stdout for seed in ("1", "2")}
    assert len(runs) == 1
