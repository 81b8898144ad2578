"""Conversations as token ids, by the model's own chat template, the same way for training and for sampling."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from feedback.errors import InvalidInput
from feedback.schemas import Message

DEFAULT_TEMPLATE = (
    "{{ bos_token or '' }}"
    "{%- for message in messages -%}"
    "{{ message['role'].capitalize() + ': ' + message['content'] }}"
    "{{ (eos_token if message['role'] == 'assistant' else '') + '\\n' }}"
    "{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{ 'Assistant:' }}{%- endif -%}"
)
"""For a base that never saw a chat template: `User: ...`, `Assistant: ...`, each answer ended by the end-of-sequence token."""

FIXED_DATE = "26 Jul 2024"
"""Some templates print today's date into the system turn; a fixed one keeps the same row the same tokens on every day."""


@dataclass(frozen=True)
class Encoded:
    """A prompt and its completion as token ids."""

    prompt: list[int]
    """Up to and including the generation prompt: exactly what the model sees before it answers."""
    completion: list[int]
    """The answer and the token that ends it."""

    def __len__(self) -> int:
        return len(self.prompt) + len(self.completion)


def ensure_template(tokenizer: Any) -> str | None:
    """Give a tokenizer without a chat template the default one; returns the template given, None when it had its own."""
    if tokenizer.chat_template:
        return None
    tokenizer.chat_template = DEFAULT_TEMPLATE
    return DEFAULT_TEMPLATE


def prompt_text(tokenizer: Any, messages: Sequence[Message]) -> str:
    """The conversation as text, ending where the assistant begins to speak."""
    return _render(tokenizer, [{"role": m.role, "content": m.content} for m in messages], answering=True)


def encode_prompt(tokenizer: Any, messages: Sequence[Message]) -> list[int]:
    """Token ids of `prompt_text`."""
    return _ids(tokenizer, prompt_text(tokenizer, messages))


def encoder(tokenizer: Any) -> Callable[[Sequence[Message], str], Encoded]:
    """A function that encodes (messages, completion), each prompt's ids computed once however many completions it has.

    Prompt and completion are tokenised apart: no token spans the boundary, so training sees the context that sampling has.
    """
    prompts: dict[tuple[Message, ...], tuple[str, list[int]]] = {}

    def encode(messages: Sequence[Message], completion: str) -> Encoded:
        key = tuple(messages)
        if key not in prompts:
            text = prompt_text(tokenizer, messages)
            prompts[key] = (text, _ids(tokenizer, text))
        text, ids = prompts[key]
        return Encoded(prompt=ids, completion=_ids(tokenizer, answer_text(tokenizer, key, text, completion)))

    return encode


def answer_text(tokenizer: Any, messages: tuple[Message, ...], prompt: str, completion: str) -> str:
    """What the template writes after the generation prompt, up to the end-of-turn token and not beyond it."""
    turns = [{"role": m.role, "content": m.content} for m in messages] + [{"role": "assistant", "content": completion}]
    whole = _render(tokenizer, turns, answering=False)
    end = tokenizer.eos_token
    if not whole.startswith(prompt):
        # Some templates write an answer otherwise once it is in the past, with its hidden thoughts cut out.
        return completion.strip() + end
    answer, found, _ = whole[len(prompt):].partition(end)
    return (answer if found else answer.rstrip()) + end


def _render(tokenizer: Any, turns: list[dict[str, str]], *, answering: bool) -> str:
    from jinja2 import TemplateError

    def render(messages: list[dict[str, str]]) -> str:
        text = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=answering, date_string=FIXED_DATE)
        return str(text)

    try:
        return render(turns)
    except TemplateError as error:
        if turns[0]["role"] == "system" and len(turns) > 1:
            # Some models have no system turn and refuse one; their makers put its text before the first question.
            first = {"role": turns[1]["role"], "content": f"{turns[0]['content']}\n\n{turns[1]['content']}"}
            return _render(tokenizer, [first, *turns[2:]], answering=answering)
        roles = ", ".join(turn["role"] for turn in turns)
        raise InvalidInput(f"the model's chat template refuses turns in the order {roles} ({error}); "
                           "reorder the conversation, user and assistant in turn, the user last") from None


def _ids(tokenizer: Any, text: str) -> list[int]:
    # The template writes the special tokens itself; adding them again would double the first one.
    return list(tokenizer(text, add_special_tokens=False)["input_ids"])


def to_text(tokenizer: Any, ids: Sequence[int]) -> str:
    """The answer's text, without special tokens and the white space around it."""
    return str(tokenizer.decode(ids, skip_special_tokens=True)).strip()


def stop_ids(tokenizer: Any, model: Any = None) -> list[int]:
    """Tokens that end an answer: the tokenizer's end token, and those of the model's generation settings."""
    configured = getattr(getattr(model, "generation_config", None), "eos_token_id", None)
    found = configured if isinstance(configured, list) else [configured]
    return sorted({i for i in [*found, tokenizer.eos_token_id] if i is not None})
