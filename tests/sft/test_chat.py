"""Training rows and sampling prompts share their tokens, whatever the template."""

from __future__ import annotations

import pytest

from feedback.errors import InvalidInput
from feedback.schemas import Message
from sft.chat import DEFAULT_TEMPLATE, encode_prompt, encoder, ensure_template, stop_ids, to_text
from tests.tiny import tiny_tokenizer

ASKED = [Message(role="user", content="how?")]
NO_SYSTEM = (
    "{%- for m in messages -%}{%- if m['role'] == 'system' -%}{{ raise_exception('no system turns') }}{%- endif -%}"
    "{{ '[' + m['role'] + ']' + m['content'] + '<|im_end|>' }}{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{ '[assistant]' }}{%- endif -%}"
)


def test_a_training_row_is_the_sampling_prompt_and_an_answer_that_ends():
    tokenizer = tiny_tokenizer()
    row = encoder(tokenizer)(ASKED, "so")
    assert row.prompt == encode_prompt(tokenizer, ASKED)
    assert tokenizer.decode(row.prompt) == "<|im_start|>user\nhow?<|im_end|>\n<|im_start|>assistant\n"
    # The newline that the template writes after the turn is never sampled, and so not trained.
    assert tokenizer.decode(row.completion) == "so<|im_end|>"


def test_a_base_without_a_template_gets_the_default_and_it_is_reported():
    tokenizer = tiny_tokenizer(template=None)
    assert ensure_template(tokenizer) == DEFAULT_TEMPLATE
    row = encoder(tokenizer)([Message(role="system", content="be brief"), *ASKED], "so")
    assert tokenizer.decode(row.prompt) == "System: be brief\nUser: how?\nAssistant:"
    assert tokenizer.decode(row.completion) == " so<|im_end|>"
    assert to_text(tokenizer, row.completion) == "so"


def test_a_template_of_the_models_own_is_kept():
    tokenizer = tiny_tokenizer()
    own = tokenizer.chat_template
    assert ensure_template(tokenizer) is None
    assert tokenizer.chat_template == own


def test_earlier_turns_stand_in_the_prompt():
    tokenizer = tiny_tokenizer()
    turns = [Message(role="user", content="a"), Message(role="assistant", content="b"), Message(role="user", content="c")]
    assert tokenizer.decode(encode_prompt(tokenizer, turns)).count("<|im_start|>") == 4


def test_a_model_without_system_turns_gets_the_text_before_the_question():
    tokenizer = tiny_tokenizer(NO_SYSTEM)
    row = encoder(tokenizer)([Message(role="system", content="be brief"), *ASKED], "so")
    assert tokenizer.decode(row.prompt) == "[user]be brief\n\nhow?<|im_end|>[assistant]"


def test_a_conversation_that_the_template_refuses_is_named():
    tokenizer = tiny_tokenizer(NO_SYSTEM)
    with pytest.raises(InvalidInput, match=r"refuses turns in the order user, system .*no system turns"):
        encode_prompt(tokenizer, [*ASKED, Message(role="system", content="late")])


def test_a_template_that_rewrites_past_answers_still_trains_the_answer_and_its_end():
    rewriting = "{%- if add_generation_prompt -%}{{ 'Q' }}{%- else -%}{{ 'past' }}{%- endif -%}"
    tokenizer = tiny_tokenizer(rewriting)
    assert tokenizer.decode(encoder(tokenizer)(ASKED, " so ").completion) == "so<|im_end|>"


def test_an_answer_ends_at_the_tokenizers_end_and_at_those_of_the_models_settings():
    class Settings:
        eos_token_id = [7, 256]

    class Model:
        generation_config = Settings()

    assert stop_ids(tiny_tokenizer(), Model()) == [7, 256]
    assert stop_ids(tiny_tokenizer()) == [256]
