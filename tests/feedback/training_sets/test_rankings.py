"""Ranked sets: the pairs of pairs.jsonl, one for one, and what is known of each answer beside them."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from feedback.schemas import Flag, Span
from feedback.training_sets.rows import RankedSet
from feedback.training_sets.write import TrainingSets, build
from tests.feedback.reviewed import Bench, rate
from tests.feedback.training_sets.stages import STAGE

FALSE = rate("incorrect", flags=[Flag.HALLUCINATED])


def built(bench: Bench) -> TrainingSets:
    return build(bench.contents, STAGE, rewrites=bench.rewrites)


def known(row: RankedSet) -> dict[str, bool | None]:
    return dict(zip(row.completions, row.hallucinated, strict=True))


def test_a_question_is_one_row_of_all_its_compared_answers() -> None:
    bench = Bench()
    bench.ranked("q", ["a", "b", "c"], by=[[[1], [0, 2]]], rewrite="best")
    bench.rated("q", "good", by=["correct"])
    bench.rated("q ", "bad", by=["incorrect"])
    row, = built(bench).rankings
    assert row.completions == ("a", "b", "bad", "best", "c", "good")
    assert {(row.completions[pair.better], row.completions[pair.worse], pair.origin) for pair in row.pairs} == {
        ("b", "a", "ranking"), ("b", "c", "ranking"), ("best", "b", "rewrite"), ("good", "bad", "verdict")}


def test_a_tie_is_told_apart_from_answers_that_were_never_compared() -> None:
    bench = Bench()
    bench.ranked("q", ["a", "b", "c"], by=[[[1], [0, 2]]])
    row, = built(bench).rankings
    assert [(row.completions[i], row.completions[j]) for i, j in row.ties] == [("a", "c")]
    assert len(row.sources.completions) == 3


def test_an_answer_is_false_only_where_reviewers_said_so() -> None:
    bench = Bench()
    bench.ranked("q", ["a", "b", "split"], by=[[[0], [1], [2]]], rewrite="written")
    bench.rated("q", "false", by=[FALSE])
    bench.rated("q", "true", by=["correct"])
    bench.rated("q", "split", by=[FALSE, "correct"])
    row, = built(bench).rankings
    assert known(row) == {"a": None, "b": None, "split": None, "written": None, "false": True, "true": False}


def test_two_verdicts_on_one_text_that_contradict_each_other_leave_it_open() -> None:
    bench = Bench()
    bench.ranked("q", ["a", "b"], by=[[[0], [1]]])
    bench.rated("q", "a", by=[rate("partially correct", flags=[Flag.HALLUCINATED])])
    bench.rated("q", "a ", by=[rate("partially correct")])
    row, = built(bench).rankings
    assert row.hallucinated == ()


def test_marks_come_along_where_reviewers_agree_that_the_answer_is_false() -> None:
    bench = Bench()
    marked = FALSE.model_copy(update={"spans": (Span(start=4, end=9), Span(start=0, end=3))})
    bench.rated("q", "the false answer", by=[marked, marked])
    bench.rated("q", "doubted", by=[marked, "correct"])
    bench.rated("q", "true", by=["correct"])
    bench.ranked("q", ["true", "doubted"], by=[[[0], [1]]])
    row, = built(bench).rankings
    assert dict(zip(row.completions, row.spans, strict=True)) == {
        "the false answer": (Span(start=0, end=3), Span(start=4, end=9)), "doubted": (), "true": ()}


def test_a_mark_beyond_the_end_of_its_text_is_left_out() -> None:
    bench = Bench()
    bench.rated("q", "no", by=[FALSE.model_copy(update={"spans": (Span(start=0, end=3),)})])
    bench.rated("q", "yes", by=["correct"])
    row, = built(bench).rankings
    assert row.spans == ()


@st.composite
def benches(draw: st.DrawFn) -> Bench:
    """Two spellings of a question, answers from a small stock in two spellings, ranked, rated and rewritten."""
    bench = Bench()
    texts = st.sampled_from(["a", "a ", "b", "c", "d", " "])
    for _ in range(draw(st.integers(1, 6))):
        question = draw(st.sampled_from(["q", "q ", "other"]))
        if draw(st.booleans()):
            answers = draw(st.lists(texts, min_size=3, max_size=3))
            tier = draw(st.lists(st.integers(0, 2), min_size=3, max_size=3))
            by = [[[i for i in range(3) if tier[i] == level] for level in sorted(set(tier))]]
            bench.ranked(question, answers, by=by, rewrite=draw(st.sampled_from([None, "d", "e", "e "])))
        else:
            verdict = draw(st.sampled_from(["correct", "incorrect", "partially correct"]))
            bench.rated(question, draw(texts), by=[rate(verdict, flags=draw(st.sampled_from([[], [Flag.HALLUCINATED]])))])
    return bench


@given(benches())
def test_rankings_hold_the_very_pairs_of_the_pairs_file(bench: Bench) -> None:
    sets = built(bench)
    from_rankings = Counter(
        (row.prompt_id, row.messages, row.completions[pair.better], row.completions[pair.worse], pair.reversed_probability,
         pair.weight, pair.margin, pair.origin) for row in sets.rankings for pair in row.pairs)
    assert from_rankings == Counter((pair.prompt_id, pair.messages, pair.chosen, pair.rejected, pair.reversed_probability,
                                     pair.weight, pair.margin, pair.origin) for pair in sets.pairs)


@given(benches())
def test_every_row_stands_for_a_question_of_its_own_and_every_answer_for_a_text(bench: Bench) -> None:
    sets = built(bench)
    assert len({row.messages[0].content.strip() for row in sets.rankings}) == len(sets.rankings)
    for row in sets.rankings:
        assert len({text.strip() for text in row.completions}) == len(row.completions)
        assert not {frozenset(tie) for tie in row.ties} & {frozenset((pair.better, pair.worse)) for pair in row.pairs}
        assert {pair.id for pair in sets.pairs if pair.prompt_id == row.prompt_id}
