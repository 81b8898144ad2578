"""What reviewers said of an item on which they disagree, for the person who settles it: every word, and nobody's name. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from string import ascii_uppercase
from typing import assert_never

from feedback.ids import CompletionId
from feedback.schemas import RankAnswer, RateAnswer


def said(answers: Sequence[RateAnswer | RankAnswer], *, texts: Sequence[str], names: Mapping[CompletionId, str]) -> str:
    """One paragraph for each answer, in the order given.

    `texts`: the answers that were judged, in display order; marks quote the first. `names`: their fields by completion.
    """
    paragraphs = (f"Reviewer {ascii_uppercase[place % 26]}: " + "\n".join(_lines(answer, texts[0], names))
                  for place, answer in enumerate(answers))
    return "\n\n".join(paragraphs) or "(nothing)"


def _lines(answer: RateAnswer | RankAnswer, text: str, names: Mapping[CompletionId, str]) -> Iterator[str]:
    match answer:
        case RateAnswer():
            yield answer.verdict.value
            chosen = {name: value if isinstance(value, str) else ", ".join(value) for name, value in answer.choices.items()}
            if rated := "; ".join(f"{name} {value}" for name, value in {**chosen, **answer.criteria}.items()):
                yield rated
            yield from (flag.value for flag in answer.flags)
            yield from (f"marked as {span.label}: \N{LEFT DOUBLE QUOTATION MARK}{text[span.start:span.end]}"
                        "\N{RIGHT DOUBLE QUOTATION MARK}" for span in answer.spans)
        case RankAnswer():
            tiers = [" = ".join(names[one].replace("_", " ").capitalize() for one in tier) for tier in answer.tiers]
            yield ", then ".join(tiers)
        case _:
            assert_never(answer)
    if answer.rewrite:
        yield f"better: {answer.rewrite}"
    if answer.comment:
        yield f"comment: {answer.comment}"
