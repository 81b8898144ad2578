"""Chat control tokens inside content are defused, visibly and once."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from feedback.curation.control_tokens import neutralise

SPELLINGS = [
    "<|im_start|>", "<|im_end|>", "<|endoftext|>", "<|eot_id|>", "<|start_header_id|>", "<|begin_of_text|>",
    "<|END_OF_TURN_TOKEN|>", "<start_of_turn>", "<end_of_turn>", "<|turn>", "<turn|>",
    "<bos>", "<eos>", "<pad>", "<s>", "</s>", "<<SYS>>", "<</SYS>>",
    "[INST]", "[/INST]", "[TOOL_CALLS]", "[AVAILABLE_TOOLS]", "<fim_prefix>", "<unused7>",
    "<\uff5cbegin\u2581of\u2581sentence\uff5c>",
]

pieces = st.lists(st.one_of(st.sampled_from(SPELLINGS), st.sampled_from([*"<|>[]/s ", "im_start", "INST"]), st.text(max_size=5)))


@pytest.mark.parametrize("token", SPELLINGS)
def test_every_known_spelling_is_defused_and_reported(token: str) -> None:
    result = neutralise(f"Write {token} here.")
    assert token not in result.text
    assert result.tokens == (token,)


def test_a_reader_still_sees_what_stood_there() -> None:
    assert neutralise("<|im_start|>").text == "\u2039|im_start|\u203a"
    assert neutralise("[INST]").text == "\u27e6INST\u27e7"


@pytest.mark.parametrize("text", ["a < b | c > d", "<b>bold</b>", "[1, 2]", "List[str]", "<stdin>",
                                  "a[SEP", "<https://example.org>", "if a <s and t> b"])
def test_ordinary_text_stays_as_it_is(text: str) -> None:
    result = neutralise(text)
    assert result.text == text
    assert result.tokens == ()


@given(pieces)
def test_neutralising_keeps_the_length_and_is_idempotent(parts: list[str]) -> None:
    text = "".join(parts)
    once = neutralise(text)
    assert len(once.text) == len(text)
    assert neutralise(once.text).text == once.text
    assert not any(token in once.text for token in SPELLINGS)


@given(pieces)
def test_spans_outside_a_token_still_mark_the_same_characters(parts: list[str]) -> None:
    text = "".join(parts)
    after = neutralise(text).text
    changed = [at for at, (old, new) in enumerate(zip(text, after, strict=True)) if old != new]
    assert all(text[at] in "<>[]" for at in changed)
