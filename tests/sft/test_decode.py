"""Answers equal those of one row at a time, and chance belongs to the prompt."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
import torch

from sft import decode
from sft.adapters import load_policy
from sft.config import SamplingConfig
from tests.tiny import tiny_config

PROMPTS = [[258, 84, 82, 68, 81], [258, 71], [258, 64, 82, 82, 72, 82, 83, 64, 77, 83, 90, 91]]


@pytest.fixture(scope="module")
def policy(base: Path):
    return load_policy(tiny_config(base), None)


def answers(policy, prompts, sampling, copies, *, names=None):
    names = names or [str(prompt) for prompt in prompts]
    noise = [decode.chances(7, name, count=copies, length=sampling.max_new_tokens) for name in names]
    return decode.answer(policy.model, prompts, chances_R_N=torch.cat(noise), sampling=sampling, stop=[256], pad=257)


def test_greedy_answers_in_a_padded_batch_equal_those_of_generate_one_by_one(policy):
    got = answers(policy, PROMPTS, SamplingConfig(temperature=0, max_new_tokens=24), 2)
    for number, prompt in enumerate(PROMPTS):
        ids = torch.tensor([prompt])
        expected = policy.model.generate(ids, attention_mask=torch.ones_like(ids), do_sample=False, max_new_tokens=24,
                                         eos_token_id=256, pad_token_id=257)[0, len(prompt):].tolist()
        ended = expected[: expected.index(256)] if 256 in expected else expected
        assert [got[2 * number].ids, got[2 * number + 1].ids] == [ended, ended]


def test_sampled_answers_do_not_depend_on_the_other_prompts_of_the_batch(policy):
    sampling = SamplingConfig(max_new_tokens=24)
    together = answers(policy, PROMPTS, sampling, 3)
    alone = [row for prompt in PROMPTS for row in answers(policy, [prompt], sampling, 3)]
    assert together == alone


def test_the_first_sampled_token_follows_the_models_distribution(policy):
    prompt = PROMPTS[0]
    with torch.no_grad():
        shares = torch.softmax(policy.model(torch.tensor([prompt])).logits[0, -1], dim=-1)
    draws = 4000
    got = answers(policy, [prompt], SamplingConfig(max_new_tokens=1), draws)
    counts = Counter(row.ids[0] if row.ids else 256 for row in got)
    # Five standard errors of a share: sqrt(p (1 - p) / 4000) is at most 0.0079.
    assert all(abs(counts[token] / draws - float(share)) < 5 * 0.0079 for token, share in enumerate(shares))


def test_top_p_keeps_the_likeliest_tokens_that_reach_it_and_no_other():
    logits = torch.log(torch.tensor([[0.5, 0.3, 0.15, 0.05]])).repeat(1000, 1)
    chances = (torch.arange(1000) + 0.5) / 1000
    got = Counter(decode.choose(logits, chances, SamplingConfig(top_p=0.7)).tolist())
    # 0.5 + 0.3 reaches 0.7, and the two share what is left in the proportion 5 : 3.
    assert got == {0: 625, 1: 375}


def test_a_chance_next_to_one_never_takes_a_token_without_a_share():
    logits = torch.tensor([[0.0, 0.0, -torch.inf]])
    assert decode.choose(logits, torch.tensor([1 - 2**-24]), SamplingConfig()).tolist() == [1]


def test_an_answer_says_whether_the_model_ended_it(policy):
    got = answers(policy, PROMPTS, SamplingConfig(max_new_tokens=60), 20)
    assert {row.finished for row in got} == {True, False}
    assert all(len(row.ids) == 60 for row in got if not row.finished)
    assert all(256 not in row.ids for row in got)
