"""Items to records and answers to ratings: what goes out comes back, and what cannot be read is named."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from feedback.desk.codec import decode_answer, encode_answer, record_of
from feedback.desk.page_text import EMPTY, JOINER
from feedback.errors import InvalidInput
from feedback.schemas import Completion, Flag, Message, Prompt, RankAnswer, RateAnswer, ReviewItem, Span, VerdictValue
from tests.people import a_completion, a_prompt, a_rank_item, a_rate_answer, a_rate_item, a_rubric

RUBRIC = a_rubric()
CHARACTERS = st.characters(exclude_categories=["Cs"], exclude_characters=JOINER) | st.sampled_from("<&/b#🙂\r\n")
TEXTS = st.text(CHARACTERS, min_size=1, max_size=60)
WRITTEN = TEXTS.filter(lambda text: bool(text.strip()))


def rate_case(text: str) -> tuple[ReviewItem, dict[Any, Completion]]:
    completion = a_completion(a_prompt(), text=text)
    return a_rate_item(completion), {completion.id: completion}


def rank_case(count: int) -> tuple[ReviewItem, dict[Any, Completion]]:
    prompt = a_prompt()
    completions = [a_completion(prompt, index) for index in range(count)]
    return a_rank_item(completions), {completion.id: completion for completion in completions}


def values(**changed: Any) -> dict[str, Any]:
    """A submitted rate form, some of it changed; None removes a question."""
    item, completions = rate_case("Answer")
    full = encode_answer(a_rate_answer(), item=item, completions=completions) | changed
    return {name: value for name, value in full.items() if value is not None}


@st.composite
def rate_answers(draw: st.DrawFn) -> tuple[str, RateAnswer]:
    text = draw(TEXTS)
    ends = sorted(draw(st.sets(st.integers(0, len(text)), max_size=6)))
    spans = tuple(Span(start=start, end=end) for start, end in zip(ends[::2], ends[1::2], strict=False))
    answer = RateAnswer(
        criteria={criterion.name: draw(st.sampled_from(criterion.scale)) for criterion in RUBRIC.criteria},
        verdict=draw(st.sampled_from(VerdictValue)), flags=tuple(flag for flag in Flag if draw(st.booleans())), spans=spans,
        rewrite=draw(st.none() | WRITTEN.map(lambda written: f"better: {written}{text}")), comment=draw(st.none() | WRITTEN))
    return text, answer


@given(rate_answers())
def test_a_rate_answer_comes_back_as_it_went_out(case: tuple[str, RateAnswer]) -> None:
    text, answer = case
    item, completions = rate_case(text)
    sent = encode_answer(answer, item=item, completions=completions)
    assert decode_answer(sent, item=item, completions=completions, rubric=RUBRIC) == answer


@given(st.integers(2, 6), st.randoms(use_true_random=False), st.none() | WRITTEN)
def test_a_ranking_comes_back_whatever_the_display_order_was(count: int, chance: Any, rewrite: str | None) -> None:
    item, completions = rank_case(count)
    tiers: list[list[Any]] = [[] for _ in range(count)]
    for completion in completions:
        tiers[chance.randrange(count)].append(completion)
    answer = RankAnswer(tiers=tuple(tuple(sorted(tier)) for tier in tiers if tier), rewrite=rewrite and f"better {rewrite}")
    sent = encode_answer(answer, item=item, completions=completions)
    assert decode_answer(sent, item=item, completions=completions, rubric=RUBRIC) == answer


def test_the_answers_stand_in_display_order_and_the_ranking_names_them_by_place() -> None:
    item, completions = rank_case(3)
    record = record_of(item, prompt=a_prompt(), completions=completions)
    first, second, third = item.completion_ids
    assert [record.fields[f"answer_{number}"] for number in (1, 2, 3)] == [completions[one].text for one in item.completion_ids]
    sent = encode_answer(RankAnswer(tiers=((third,), tuple(sorted((first, second))))), item=item, completions=completions)
    assert {entry["value"]: entry["rank"] for entry in sent["ranking"]} == {"answer_3": 1, "answer_1": 2, "answer_2": 2}


def test_spans_are_counted_in_characters_though_browsers_count_code_units() -> None:
    text = "🙂🙂 wrong 🙂"
    item, completions = rate_case(text)
    sent = values(spans=[{"label": "hallucinated", "start": 5, "end": 10}])
    (span,) = decode_answer(sent, item=item, completions=completions, rubric=RUBRIC).spans  # type: ignore[union-attr]
    assert text[span.start:span.end] == "wrong"


def test_words_pasted_from_the_answer_bring_no_invisible_characters_along() -> None:
    item, completions = rate_case("use <b>")
    pasted = record_of(item, prompt=a_prompt(), completions=completions).fields["answer"]
    answer = decode_answer(values(rewrite=f"never {pasted}"), item=item, completions=completions, rubric=RUBRIC)
    assert answer.rewrite == "never use <b>"


def test_conversations_show_who_said_what_and_single_questions_only_themselves() -> None:
    talk = Prompt.of([Message(role="system", content="Be brief."), Message(role="user", content="Why?")])
    item, completions = rate_case("Because.")
    assert record_of(item, prompt=talk, completions=completions).fields["prompt"] == "System:\nBe brief.\n\nUser:\nWhy?"
    assert record_of(item, prompt=a_prompt(), completions=completions).fields["prompt"] == a_prompt().text


def test_a_reference_is_shown_only_where_there_is_one() -> None:
    item, completions = rate_case("x")
    assert "reference" not in record_of(item, prompt=a_prompt(reference=None), completions=completions).fields
    assert record_of(item, prompt=a_prompt(reference="`3`"), completions=completions).fields["reference"] == "`3`"


def test_an_empty_answer_is_said_to_be_empty() -> None:
    completion = Completion.of(**{**a_completion(a_prompt()).model_dump(exclude={"id", "choice"}), "text": "",
                                  "decoding": a_completion(a_prompt()).decoding})
    record = record_of(a_rate_item(completion), prompt=a_prompt(), completions={completion.id: completion})
    assert record.fields["answer"] == EMPTY


@pytest.mark.parametrize("rewrite", [None, "", "  \n", "Answer", "Answer \r\n", "Answer\N{NO-BREAK SPACE}"])
def test_an_empty_or_unchanged_rewrite_is_none(rewrite: str | None) -> None:
    item, completions = rate_case("Answer")
    assert decode_answer(values(rewrite=rewrite), item=item, completions=completions, rubric=RUBRIC).rewrite is None


@pytest.mark.parametrize(("changed", "message"), [
    ({"accuracy": 9}, r"accuracy: found 9; expected one of \[1, 2, 3, 4, 5\]"),
    ({"accuracy": "4"}, "accuracy: found '4'"),
    ({"accuracy": True}, "accuracy: found True"),
    ({"tone": None}, "tone: found nothing"),
    ({"verdict": None}, "verdict: found nothing"),
    ({"verdict": "maybe"}, "verdict: found 'maybe'; expected one of"),
    ({"flags": ["rude"]}, "flags: found"),
    ({"spans": [{"label": "hallucinated", "start": 2, "end": 99}]}, "spans: found"),
    ({"spans": [{"label": "hallucinated", "start": 3, "end": 3}]}, "spans: found"),
    ({"spans": [{"label": "dull", "start": 0, "end": 1}]}, "spans: found"),
    ({"spans": "all of it"}, "spans: found 'all of it'"),
    ({"comment": 7}, "comment: found 7; expected a text"),
    ({"mood": "good"}, "mood: the rubric has no such question"),
])
def test_what_cannot_be_read_is_named(changed: dict[str, Any], message: str) -> None:
    item, completions = rate_case("Answer")
    with pytest.raises(InvalidInput, match=message):
        decode_answer(values(**changed), item=item, completions=completions, rubric=RUBRIC)


@pytest.mark.parametrize("ranking", [
    None, [], "answer_3", [("answer_1", 1)], [("answer_1", 1), ("answer_2", None)], [("answer_1", 1), ("answer_1", 2)],
    [("answer_1", 1), ("x", 2)],
])
def test_a_ranking_that_is_not_whole_is_refused(ranking: Any) -> None:
    item, completions = rank_case(2)
    sent = [{"value": name, "rank": rank} for name, rank in ranking] if isinstance(ranking, list) else ranking
    with pytest.raises(InvalidInput, match="ranking: found"):
        decode_answer({"ranking": sent}, item=item, completions=completions, rubric=RUBRIC)


def test_all_problems_of_a_form_are_told_at_once() -> None:
    item, completions = rate_case("Answer")
    with pytest.raises(InvalidInput, match="accuracy") as refusal:
        decode_answer(values(accuracy=0, verdict="", mood=1), item=item, completions=completions, rubric=RUBRIC)
    assert len(refusal.value.problems) == 3
