"""Paraphrases are marked as synthetic, stay in their family, and are made of no held-out question."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from feedback.ids import FamilyId
from feedback.prompts import PromptLine
from feedback.schemas import Message, Prompt
from feedback.training_sets.augment import Templates, paraphrased, rare_topics


def asked(text: str, *, family: str, topic: str = "rare", **more) -> Prompt:
    return Prompt.of([Message(role="user", content=text)], family=family, topic=topic, reference="5", **more)


QUESTIONS = [asked("What is it?", family="a"), asked("How is it?", family="b"), asked("Who?", family="c", critical=True),
             asked("Common?", family="d", topic="common"), asked("Made?", family="e", synthetic=True)]


def made(*, held_out: frozenset[FamilyId] = frozenset(), templates: Templates | None = None, seed: int = 0) -> list[PromptLine]:
    return paraphrased(QUESTIONS, templates or Templates(), topics=["rare"], held_out=held_out, per_question=2, seed=seed)


def test_every_paraphrase_is_synthetic_and_keeps_family_topic_and_reference() -> None:
    lines = made()
    assert len(lines) == 4
    assert {(line.synthetic, line.topic, line.reference) for line in lines} == {(True, "rare", "5")}
    assert {line.family for line in lines} == {"a", "b"}


def test_held_out_critical_and_synthetic_questions_are_passed_over() -> None:
    assert {line.family for line in made(held_out=frozenset({FamilyId("a")}))} == {"b"}


def test_the_same_seed_gives_the_same_lines() -> None:
    assert made() == made()
    assert made() != made(seed=1)


def test_a_paraphrase_that_is_asked_already_is_not_made() -> None:
    twice = [*QUESTIONS, asked("What is it? Now.", family="a")]
    lines = paraphrased(twice, Templates(templates=("{question} Now.",)), topics=["rare"], held_out=frozenset(), per_question=1,
                        seed=0)
    assert "What is it? Now." not in [line.prompt for line in lines]


@pytest.mark.parametrize("templates", [["no slot"], ["{question}"], ["{question} and {question}"],
                                       ["a {question}", "a {question}"], []])
def test_templates_that_cannot_work_are_refused(templates: list[str]) -> None:
    with pytest.raises(ValidationError):
        Templates.model_validate({"templates": templates})


def test_a_topic_with_few_families_is_rare() -> None:
    many = [asked(f"{topic} {at}?", family=f"{topic}{at}", topic=topic) for topic in ("tax", "law", "pay") for at in range(10)]
    assert rare_topics([*many, asked("one?", family="one", topic="ships"), *QUESTIONS[4:]]) == ("ships",)
    assert rare_topics([]) == ()
