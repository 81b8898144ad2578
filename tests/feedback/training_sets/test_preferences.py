"""Pairs: a tie is never one, and everybody's judgement of two texts is one pair or none."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from feedback.aggregation.conclusions import Outcome, PairVerdict
from feedback.schemas import Flag
from feedback.training_sets.rows import PreferencePair
from feedback.training_sets.write import TrainingSets, build
from tests.feedback.reviewed import Bench, rate
from tests.feedback.training_sets.stages import STAGE


def built(bench: Bench) -> TrainingSets:
    return build(bench.contents, STAGE, rewrites=bench.rewrites)


def preferred(sets: TrainingSets) -> list[tuple[str, str, str]]:
    return sorted((pair.chosen, pair.rejected, pair.origin) for pair in sets.pairs)


def test_a_ranking_gives_a_pair_for_every_two_answers_not_tied() -> None:
    bench = Bench()
    bench.ranked("q", ["a", "b", "c"], by=[[[1], [0, 2]]])
    sets = built(bench)
    assert preferred(sets) == [("b", "a", "ranking"), ("b", "c", "ranking")]
    assert sets.card.comparisons == {"judged": 3, "decided": 2, "ties": 1, "undecided": 0, "equal_texts": 0}


def test_the_margin_counts_tiers_and_the_doubt_counts_votes() -> None:
    bench = Bench()
    bench.ranked("q", ["a", "b", "c"], by=[[[0], [1], [2]], [[0], [1, 2]]])
    alone = Bench()
    alone.ranked("q", ["a", "b", "c"], by=[[[0], [1], [2]]])
    pair = next(pair for pair in built(bench).pairs if (pair.chosen, pair.rejected) == ("a", "c"))
    assert pair.margin == pytest.approx(1.5)  # (2 + 1) / 2
    one_word, = (pair for pair in built(alone).pairs if (pair.chosen, pair.rejected) == ("a", "c"))
    assert 0 < pair.reversed_probability < one_word.reversed_probability


def test_a_batch_of_ties_gives_no_pair_and_says_so() -> None:
    bench = Bench()
    bench.ranked("q", ["a", "b", "c"], by=[[[0, 1, 2]]])
    bench.rated("q", "a", by=["correct"])
    sets = built(bench)
    assert sets.pairs == ()
    assert sets.rankings == ()
    assert sets.card.said[1] == "no pairs: all 3 compared are ties, and a tie is never trained on as a preference"


def test_a_rewrite_is_preferred_to_what_it_improves_and_nothing_else() -> None:
    bench = Bench()
    bench.ranked("q", ["a", "b", "c"], by=[[[0, 1], [2]]], rewrite="better")
    rewritten = [pair for pair in built(bench).pairs if pair.origin == "rewrite"]
    assert sorted(pair.rejected for pair in rewritten) == ["a", "b"]
    assert all(pair.chosen == "better" and len(pair.sources.completions) == 1 for pair in rewritten)


def test_a_rewrite_by_somebody_reliable_is_doubted_less_than_one_by_a_stranger() -> None:
    known, unknown = Bench(), Bench()
    for number in range(20):
        known.rated(f"known {number}", "a", by=["correct" if number % 2 else "incorrect"] * 3)
    for bench in (known, unknown):
        bench.ranked("q", ["a", "b"], by=[[[0], [1]]], rewrite="better")
    doubts = [next(pair.reversed_probability for pair in built(bench).pairs if pair.origin == "rewrite")
              for bench in (known, unknown)]
    # one vote of a stranger: 0.18; who is right in 0.95 errs a fifth as often as a stranger
    assert doubts == [pytest.approx(0.04, abs=0.02), pytest.approx(0.18, abs=0.01)]


def test_a_correct_answer_is_preferred_to_an_incorrect_one_of_the_same_question() -> None:
    bench = Bench()
    good, bad = bench.rated("q", "right", by=["correct"]), bench.rated("q", "wrong", by=["incorrect"])
    bench.rated("another question", "wrong too", by=["incorrect"])
    pair, = built(bench).pairs
    assert (pair.chosen, pair.rejected, pair.origin) == ("right", "wrong", "verdict")
    assert pair.sources.completions == tuple(sorted((good.id, bad.id)))
    assert len(pair.sources.ratings) == 2
    # Each verdict is right with 0.744 (accuracies around 0.75, and one in 25 is anything): both wrong or both right
    assert pair.reversed_probability == pytest.approx(0.256**2 / (0.256**2 + 0.744**2), abs=0.001)


@pytest.mark.parametrize("worse", [rate(criteria={"safety": 1}), rate("partially correct", flags=[Flag.HALLUCINATED])])
def test_a_good_answer_is_preferred_to_an_unsafe_and_to_a_false_one(worse: object) -> None:
    bench = Bench()
    bench.rated("q", "good", by=["correct"])
    bench.rated("q", "bad", by=[worse])  # type: ignore[list-item]
    assert preferred(built(bench)) == [("good", "bad", "verdict")]


def test_a_correct_answer_that_is_unsafe_is_preferred_to_nothing() -> None:
    bench = Bench()
    bench.rated("q", "unsafe", by=[rate(criteria={"safety": 1})])
    bench.rated("q", "wrong", by=["incorrect"])
    assert built(bench).pairs == ()


def test_a_question_with_many_answers_gives_each_of_them_one_pair() -> None:
    bench = Bench()
    for text in "abcd":
        bench.rated("q", f"right {text}", by=["correct"])
    for text in "xy":
        bench.rated("q", f"wrong {text}", by=["incorrect"])
    pairs = built(bench).pairs
    assert len(pairs) == 4
    assert {pair.chosen for pair in pairs} == {f"right {text}" for text in "abcd"}
    assert {pair.rejected for pair in pairs} == {"wrong x", "wrong y"}


def test_edits_that_contradict_each_other_give_no_pair_and_no_demonstration() -> None:
    bench = Bench()
    bench.rated("q", "yes", by=[rate("partially correct", rewrite="no")])
    bench.rated("q", "no", by=[rate("partially correct", rewrite="yes")])
    sets = built(bench)
    assert (sets.pairs, sets.sft) == ((), ())
    assert sets.card.rewrites_refused == {"the same text was judged partially correct": 2}


def test_judgements_that_agree_are_one_pair_with_all_their_sources() -> None:
    bench = Bench()
    bench.ranked("q", ["a", "b"], by=[[[0], [1]]])
    bench.rated("q", "a", by=["correct"])
    bench.rated("q", "b", by=["incorrect"])
    sets = built(bench)
    pair, = sets.pairs
    assert pair.origin == "ranking"
    assert len(pair.sources.ratings) == 3
    assert sets.card.preferences_left_out["merged into a pair of the same texts"] == 1


def test_judgements_that_contradict_each_other_give_no_pair() -> None:
    bench = Bench()
    bench.ranked("q", ["a", "b"], by=[[[0], [1]]])
    bench.rated("q", "a", by=["incorrect"])
    bench.rated("q", "b", by=["correct"])
    sets = built(bench)
    assert sets.pairs == ()
    assert sets.card.preferences_left_out["contradicted by another judgement of the same texts"] == 2


def test_equal_and_empty_texts_are_never_a_pair() -> None:
    bench = Bench()
    bench.ranked("q", ["a", "a ", "b"], by=[[[0], [1], [2]]])
    bench.ranked("other", ["a", " "], by=[[[0], [1]]])
    sets = built(bench)
    assert [(chosen.strip(), rejected) for chosen, rejected, _ in preferred(sets)] == [("a", "b")]
    assert sets.card.comparisons["equal_texts"] == 1
    assert sets.card.preferences_left_out["an empty text"] == 1
    assert all(text.strip() for row in sets.rankings for text in row.completions)


tiers = st.lists(st.integers(0, 2), min_size=3, max_size=3)


@st.composite
def ranked_benches(draw: st.DrawFn) -> Bench:
    bench = Bench()
    for number in range(draw(st.integers(1, 3))):
        panel = draw(st.lists(tiers, min_size=1, max_size=3))
        by = [[[i for i in range(3) if tier[i] == level] for level in sorted(set(tier))] for tier in panel]
        bench.ranked(f"q{number}", [f"a{number}", f"b{number}", f"c{number}"], by=by)
    return bench


def test_a_tie_side_by_side_outweighs_what_separate_verdicts_suggest() -> None:
    bench = Bench()
    bench.ranked("q", ["a", "b"], by=[[[0, 1]]])
    bench.rated("q", "a", by=["correct"])
    bench.rated("q", "b", by=["incorrect"])
    sets = built(bench)
    assert sets.pairs == ()
    assert sets.card.preferences_left_out["tied in a ranking of the same texts"] == 1


def no_tie_becomes_a_preference(pairs_of: Callable[[TrainingSets], Sequence[tuple[str, str]]], bench: Bench) -> None:
    """The property: decided pairs, ties and undecided add up to what was judged, and exactly the decided ones train."""
    sets = built(bench)
    verdicts = [pair for verdict in sets.material.verdicts.rank for pair in verdict.pairs]
    tied = [pair for pair in verdicts if pair.outcome is Outcome.TIE]
    undecided = [pair for pair in verdicts if pair.outcome is Outcome.UNDECIDED]
    assert len(pairs_of(sets)) + len(tied) + len(undecided) == len(verdicts) == sets.card.comparisons["judged"]
    assert sets.card.comparisons["ties"] == len(tied)
    assert sets.card.comparisons["undecided"] == len(undecided)


def written(sets: TrainingSets) -> Sequence[tuple[str, str]]:
    return [(pair.chosen, pair.rejected) for pair in sets.pairs]


@given(ranked_benches())
def test_pairs_ties_and_undecided_add_up_to_the_judged_pairs(bench: Bench) -> None:
    no_tie_becomes_a_preference(written, bench)


def test_a_builder_that_trains_on_ties_fails_that_property() -> None:
    def with_ties(sets: TrainingSets) -> Sequence[tuple[str, str]]:
        """What two published codebases do: the first of two equal answers is the chosen one."""
        verdicts: list[PairVerdict] = [pair for verdict in sets.material.verdicts.rank for pair in verdict.pairs]
        return [(pair.first, pair.second) for pair in verdicts if pair.outcome is not Outcome.UNDECIDED]

    bench = Bench()
    bench.ranked("q", ["a", "b", "c"], by=[[[0, 1], [2]]])
    no_tie_becomes_a_preference(written, bench)
    with pytest.raises(AssertionError):
        no_tie_becomes_a_preference(with_ties, bench)


@given(ranked_benches())
def test_no_pair_doubts_itself_more_than_a_coin_would(bench: Bench) -> None:
    pairs: tuple[PreferencePair, ...] = built(bench).pairs
    assert all(0 <= pair.reversed_probability <= 0.5 and pair.margin >= 1 and pair.chosen != pair.rejected for pair in pairs)
