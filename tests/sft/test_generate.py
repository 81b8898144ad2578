"""Sampling as a stage: recorded, resumable, and the same whatever interrupted it."""

from __future__ import annotations

from pathlib import Path

import pytest

from feedback.errors import InvalidInput, MissingPart, NothingToDo
from feedback.jsonl import read_rows
from feedback.lineage import read_manifest
from feedback.schemas import Completion, Message, Prompt
from sft import generate
from sft.adapters import load_policy
from sft.config import SamplingConfig
from tests.tiny import tiny_config

PROMPTS = [Prompt.of([Message(role="user", content="why? " * (1 + i % 3) + str(i))]) for i in range(7)]


def stage(base: Path, **sampling: object) -> generate.GenerateStage:
    settings = {"completions": 2, "max_new_tokens": 12, "batch_size": 6, "engine": "transformers"} | sampling
    return generate.GenerateStage(model=tiny_config(base), sampling=SamplingConfig.model_validate(settings), seed=3)


def texts_of(out: Path) -> dict[str, str]:
    """The answer to each prompt, of a folder with one answer each."""
    return {row.prompt_id: row.text for row in read_rows(out / "completions.jsonl", Completion)}


def unplugged_after(calls: int, real):
    """`real` for some calls, then an error."""
    made = []

    def call(*arguments, **named):
        made.append(1)
        if len(made) > calls:
            raise InterruptedError("unplugged")
        return real(*arguments, **named)

    return call


def test_every_prompt_gets_k_answers_that_record_how_they_were_made(base, tmp_path):
    manifest = generate.run(stage(base), prompts=PROMPTS, adapter=None, out=tmp_path / "out")
    rows = read_rows(tmp_path / "out" / "completions.jsonl", Completion)
    assert {(row.prompt_id, row.index) for row in rows} == {(prompt.id, k) for prompt in PROMPTS for k in (0, 1)}
    assert {row.decoding.seed for row in rows} == {3}
    assert {row.policy_id for row in rows} == {manifest.inputs["adapter"]}
    assert manifest.counts["completions"] == 14


def test_a_run_stopped_between_batches_ends_with_the_same_bytes(base, tmp_path, monkeypatch):
    whole = generate.run(stage(base), prompts=PROMPTS, adapter=None, out=tmp_path / "whole")
    with monkeypatch.context() as patch:
        patch.setattr(generate.decode, "answer", unplugged_after(2, generate.decode.answer))
        with pytest.raises(InterruptedError, match="unplugged"):
            generate.run(stage(base), prompts=PROMPTS, adapter=None, out=tmp_path / "cut")
    scratch = tmp_path / "cut.partial" / "scratch" / "answers.jsonl"
    scratch.write_text(scratch.read_text() + '[{"id": "cut off in the mid')
    resumed = generate.run(stage(base), prompts=PROMPTS, adapter=None, out=tmp_path / "cut")
    assert resumed.outputs == whole.outputs


def test_a_finished_batch_is_not_answered_again(base, tmp_path, monkeypatch):
    monkeypatch.setattr(generate.decode, "answer", unplugged_after(2, generate.decode.answer))
    for _ in range(2):
        with pytest.raises(InterruptedError):
            generate.run(stage(base), prompts=PROMPTS, adapter=None, out=tmp_path / "cut")
    answered = (tmp_path / "cut.partial" / "scratch" / "answers.jsonl").read_text().splitlines()
    assert len(answered) == 2


def test_an_answer_depends_on_seed_and_prompt_but_not_on_the_list(base):
    policy = load_policy(tiny_config(base), None)
    sampling = SamplingConfig(completions=2, max_new_tokens=12)
    some = generate.sample(policy, PROMPTS[:3], sampling, 3)
    assert generate.sample(policy, list(reversed(PROMPTS)), sampling, 3)[-6:] == [some[4], some[5], some[2], some[3], *some[:2]]
    assert [row.text for row in generate.sample(policy, PROMPTS[:3], sampling, 4)] != [row.text for row in some]


def test_no_prompts_is_nothing_to_do(base, tmp_path):
    with pytest.raises(NothingToDo, match="no prompts"):
        generate.run(stage(base), prompts=[], adapter=None, out=tmp_path / "out")


def test_a_prompt_without_room_for_an_answer_is_named(base, tmp_path):
    long = Prompt.of([Message(role="user", content="x" * 300)])
    with pytest.raises(InvalidInput, match=f"{long.id}.*has 3.. tokens; model.max_length is 256"):
        generate.run(stage(base), prompts=[*PROMPTS, long], adapter=None, out=tmp_path / "out")


def test_vllm_asked_for_by_name_and_not_there_is_said(base, tmp_path):
    with pytest.raises(MissingPart, match=r"sampling\.engine is vllm"):
        generate.run(stage(base, engine="vllm"), prompts=PROMPTS, adapter=None, out=tmp_path / "out")


def test_the_manifest_says_how_many_threads_computed(base, tmp_path):
    generate.run(stage(base), prompts=PROMPTS[:1], adapter=None, out=tmp_path / "out")
    assert read_manifest(tmp_path / "out").threads == 1
