"""The texts of a ranking as tokens, in TRL's way or in the way of the other stages."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Any

from feedback.schemas import Span
from feedback.training_sets.rows import RankedSet
from sft.chat import FIXED_DATE, answer_text, encode_prompt, prompt_text


@dataclass(frozen=True, slots=True)
class Encoded:
    """A prompt and its K completions as token ids."""

    prompt: list[int]
    completions: list[list[int]]
    marked: list[list[bool]]
    """For each completion, whether each of its tokens lies in a span marked as false; all empty where nothing is marked."""


Encoding = Callable[..., Encoded]
"""`encode(ranking, tokenizer, marks=...)`; without `marks` the spans are not looked at."""


def apart(ranking: RankedSet, tokenizer: Any, *, marks: bool) -> Encoded:
    """Prompt and completions tokenised apart, each answer up to its end-of-turn token: as SFT trains and sampling sees them."""
    prompt = prompt_text(tokenizer, ranking.messages)
    texts = [answer_text(tokenizer, ranking.messages, prompt, text) for text in ranking.completions]
    ids, marked = _ids(tokenizer, texts, ranking, from_the_front=True, marks=marks)
    return Encoded(encode_prompt(tokenizer, ranking.messages), ids, marked)


def together(ranking: RankedSet, tokenizer: Any, *, marks: bool) -> Encoded:
    """TRL's way: prompt and completion tokenised as one text; the prompt ends where the first completion parts from it.

    A template may write the end of a prompt otherwise when an answer follows, or merge tokens across the boundary: what
    differs belongs to the completions, of all of them as soon as of one.
    """
    turns = [{"role": m.role, "content": m.content} for m in ranking.messages]
    texts = [_render(tokenizer, [*turns, {"role": "assistant", "content": text}], answering=False)
             for text in ranking.completions]
    [prompt] = tokenizer([_render(tokenizer, turns, answering=True)], add_special_tokens=False)["input_ids"]
    whole, marked = _ids(tokenizer, texts, ranking, from_the_front=False, marks=marks)
    boundary = min(_agreement(prompt, ids) for ids in whole)
    return Encoded(prompt[:boundary], [ids[boundary:] for ids in whole], [own[boundary:] for own in marked])


def _ids(tokenizer: Any, texts: Sequence[str], ranking: RankedSet, *, from_the_front: bool,
         marks: bool) -> tuple[list[list[int]], list[list[bool]]]:
    """Ids of the texts, and which of them are marked; a completion is looked for `from_the_front` or from the end."""
    spans = ranking.spans if marks else ()
    encoded = tokenizer(list(texts), add_special_tokens=False, return_offsets_mapping=bool(spans))
    if not spans:
        return encoded["input_ids"], [[] for _ in texts]
    starts = [_start(text, own, from_the_front=from_the_front) for text, own in zip(texts, ranking.completions, strict=True)]
    marked = [[start is not None and _touches(place, own, start) for place in offsets]
              for offsets, own, start in zip(encoded["offset_mapping"], spans, starts, strict=True)]
    return encoded["input_ids"], marked


def _start(text: str, completion: str, *, from_the_front: bool) -> int | None:
    """Where the completion begins in the rendered text, which may lack the white space around it; None where it was rewritten."""
    core = completion.strip()
    place = text.find(core) if from_the_front else text.rfind(core)
    return None if place < 0 else place - (len(completion) - len(completion.lstrip()))


def _touches(offsets: tuple[int, int], spans: Sequence[Span], start: int) -> bool:
    """True when a token covers any character of a span; spans count from `start`."""
    return any(offsets[0] < start + span.end and start + span.start < offsets[1] for span in spans)


def _agreement(first: Sequence[int], second: Sequence[int]) -> int:
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(first, second, strict=False)))


def _render(tokenizer: Any, turns: list[dict[str, str]], *, answering: bool) -> str:
    return str(tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=answering, date_string=FIXED_DATE))
