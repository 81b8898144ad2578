"""What a model writes is marked, never asks what is held out, and every text that is no new question is counted."""

from __future__ import annotations

from pathlib import Path

import pytest

from feedback.config import SplitConfig
from feedback.errors import NothingToDo
from feedback.ids import unit_interval
from feedback.jsonl import read_rows
from feedback.prompts import read_prompts
from feedback.schemas import Completion, Decoding, Message, Prompt
from sft import augment
from sft.augment import AugmentConfig, AugmentStage
from sft.config import SamplingConfig
from tests.tiny import tiny_config

SPLIT = SplitConfig(held_out_share=0.3)


def ask(text: str, **more: object) -> Prompt:
    return Prompt.of([Message(role="user", content=text)], **more)


def text(prompt: Prompt, words: str, *, finished: bool = True) -> tuple[Prompt, Completion]:
    return prompt, Completion.of(prompt_id=prompt.id, policy_id="p", index=0, text=words, decoding=Decoding(), finished=finished)


PROMPTS = [ask(f"How does {i} work?", family=f"family-{i}", topic="works", reference="so") for i in range(20)]


def stage(base: Path, **changes: object) -> AugmentStage:
    return AugmentStage(model=tiny_config(base), sampling=SamplingConfig(completions=2, max_new_tokens=40), split=SPLIT,
                        augment=AugmentConfig.model_validate({"per_prompt": 6} | changes))


def test_a_variation_stays_in_its_family_without_the_reference_and_a_rare_question_is_a_family_of_its_own():
    source = PROMPTS[0]
    (varied,) = augment.read_questions([text(source, 'Question: "In which way does 0 work?"\nIt works so.')],
                                       kind="variations", known=PROMPTS).prompts
    (rare,) = augment.read_questions([text(source, "What if 0 fails?")], kind="rare", known=PROMPTS).prompts
    assert (varied.text, varied.family, varied.topic) == ("In which way does 0 work?", "family-0", "works")
    assert varied.reference is None
    assert (rare.family, rare.topic, rare.synthetic, varied.synthetic) == (rare.id, "works", True, True)


def test_every_text_that_is_no_new_question_is_counted_with_its_reason():
    source = PROMPTS[0]
    found = augment.read_questions(
        [text(source, words) for words in ("", "How does 1 work?", "New one?", "New one? ", "x" * 200)]
        + [text(source, "Never ende", finished=False)], kind="variations", known=PROMPTS)
    assert [prompt.text for prompt in found.prompts] == ["New one?"]
    assert found.refused == {"asked already": 2, "cut off before its end": 1, "empty": 1, "too long for the same question": 1}


def test_held_out_critical_and_synthetic_questions_are_no_material():
    critical = ask("Is it safe?", reference="no", critical=True, family="family-critical")
    written = ask("Is it?", synthetic=True)
    kept = augment.material([*PROMPTS, critical, written], SPLIT)
    assert 0 < len(kept) < 20
    assert all(unit_interval(f"redpen:{prompt.family}") >= 0.3 for prompt in kept)
    assert not {critical.id, written.id} & {prompt.id for prompt in kept}


def test_a_critical_question_that_stands_elsewhere_in_the_project_is_neither_material_nor_asked_again():
    critical = ask("How do I return a damaged parcel to you today?", reference="by post", critical=True, family="family-0")
    kept = augment.material(PROMPTS, SPLIT, [critical])
    assert "family-0" in {prompt.family for prompt in augment.material(PROMPTS, SPLIT)} - {prompt.family for prompt in kept}
    words = ["how do i return a damaged parcel to you today",
             "How do I return a damagd parcel to you today?", "What if it fails?"]
    found = augment.read_questions([text(PROMPTS[0], each) for each in words], kind="variations", known=[*PROMPTS, critical],
                                   held_out=frozenset({critical.family}))
    assert [prompt.text for prompt in found.prompts] == ["What if it fails?"]
    assert found.refused == {"nearly a held-out question": 2}


def test_the_stage_writes_a_prompts_file_of_marked_questions_and_their_answers(base, tmp_path):
    manifest = augment.run(stage(base), prompts=PROMPTS, adapter=None, out=tmp_path / "out")
    questions = read_prompts(tmp_path / "out" / "questions.jsonl")
    assert questions
    assert all(prompt.synthetic for prompt in questions)
    assert {prompt.id for prompt in questions} == {row.id for row in read_rows(tmp_path / "out" / "prompts.jsonl", Prompt)}
    answered = read_rows(tmp_path / "out" / "completions.jsonl", Completion)
    assert len(answered) == 2 * len(questions) == manifest.counts["completions"]
    refused = sum(count for name, count in manifest.counts.items() if name.startswith("refused"))
    assert manifest.counts["written"] == 6 * manifest.counts["sources"] == len(questions) + refused


def test_nothing_to_vary_is_said(base, tmp_path):
    held_out = [prompt for prompt in PROMPTS if unit_interval(f"redpen:{prompt.family}") < 0.3]
    with pytest.raises(NothingToDo, match="held-out, critical and synthetic ones are no material"):
        augment.run(stage(base), prompts=held_out, adapter=None, out=tmp_path / "out")
