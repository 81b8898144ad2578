"""Chat control tokens inside content, made harmless.

A tokenizer reads `<|im_start|>` or `[INST]` as a command even where a person or a model wrote it as text: trained on,
it would teach the model to open turns that nobody took. The outer brackets become look-alikes, so that

* a reader sees what stood there: `<|im_start|>` stands in single guillemets then, `[INST]` in ⟦white brackets⟧;
* the text keeps its length, so the spans that reviewers marked stay where they are;
* no tokenizer folds it back: neither pair of brackets has a Unicode compatibility form.

Every `<|...|>` counts, whoever's token it is. Of the others only spellings that open or close a turn, a text or a tool
call somewhere do; HTML stays as it is, but for `<s>` and `</s>`, which are the ends of a text to Llama 2 and Mistral.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_ANGLED = (
    r"<\|[^<>|\s]{1,64}\|>",                                    # ChatML, Llama 3, Phi, Qwen, Cohere, GPT
    r"<\|[A-Za-z_]{1,32}>", r"<[A-Za-z_]{1,32}\|>",             # Gemma 4's <|turn> and <turn|>
    r"<｜[^<>｜\s]{1,64}｜>",                                    # noqa: RUF001 - DeepSeek writes fullwidth bars
    r"<</?SYS>>", r"</?s>",
    r"<(?:bos|eos|pad|unk|mask|sep|cls)>",
    r"<(?:start|end)_of_(?:turn|utterance|image|text|header|role|message)>",
    r"<fim_(?:prefix|middle|suffix|pad)>", r"<unused\d{1,4}>", r"<extra_id_\d{1,3}>",
)
_SQUARE = (
    r"\[/?(?:INST|AVAILABLE_TOOLS|TOOL_CALLS|TOOL_RESULTS|TOOL_CONTENT|SYSTEM_PROMPT|MODEL_SETTINGS|ARGS|CALL_ID|THINK)\]",
    r"\[g?MASK\]",
)
_GUILLEMETS = ("\u2039", "\u203a")
_WHITE_BRACKETS = ("\u27e6", "\u27e7")
_TOKEN = re.compile("|".join(_ANGLED + _SQUARE))


@dataclass(frozen=True, slots=True)
class Neutralised:
    """A text that a tokenizer reads as text."""

    text: str
    """As long as the original, character by character."""
    tokens: tuple[str, ...]
    """The control tokens found, in order, as they were written. Empty when nothing was changed."""


def neutralise(text: str) -> Neutralised:
    """`text` with every known control token defused. Doing it twice changes nothing more."""
    found: list[str] = []

    def defuse(match: re.Match[str]) -> str:
        token = match.group()
        found.append(token)
        left, right = _GUILLEMETS if token.startswith("<") else _WHITE_BRACKETS
        return f"{left}{token[1:-1]}{right}"

    return Neutralised(text=_TOKEN.sub(defuse, text), tokens=tuple(found))
