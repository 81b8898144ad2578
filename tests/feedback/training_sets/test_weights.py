"""What rows count: topics have their shares, nobody more than the cap, and the mean is 1."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from feedback.errors import InvalidInput
from feedback.ids import ReviewerId
from feedback.training_sets.weights import LEAST_FACTOR, Weighed, times, topic_weights, weigh_rows
from feedback.training_sets.write import SetsStage, TrainingSets, build
from tests.feedback.reviewed import Bench
from tests.feedback.training_sets.stages import STAGE


def weigh(*rows: str, most: float = 0.5) -> Weighed:
    """Rows by letters: "ab" rests on a and b."""
    return weigh_rows([[ReviewerId(name) for name in row] for row in rows], wanted=[1.0] * len(rows), most=most)


def test_a_reviewer_above_the_cap_counts_exactly_the_cap() -> None:
    found = weigh(*["a"] * 8, "b", "c")
    assert [(share.reviewer, share.before) for share in found.shares] == [("a", 0.8), ("b", 0.1), ("c", 0.1)]
    assert found.shares[0].after == pytest.approx(0.5)
    # b and c keep 1 each, so a's eight rows share 2: 0.25 each, and the mean of 0.4 becomes 1
    assert found.weights == pytest.approx([0.625] * 8 + [2.5, 2.5])


def test_a_row_of_several_counts_for_each_of_them_in_equal_parts() -> None:
    assert {share.reviewer: share.before for share in weigh("ab", "a").shares} == {"a": 0.75, "b": 0.25}


@pytest.mark.parametrize("rows", [("a",) * 9, (*("a",) * 9, "b"), ("ab", "ab")])
def test_with_too_few_reviewers_for_a_cap_nothing_changes(rows: tuple[str, ...]) -> None:
    assert set(weigh(*rows).weights) == {1.0}


def test_a_few_rows_of_others_never_outweigh_everything() -> None:
    found = weigh(*["a"] * 1000, "b", "c")
    assert max(found.weights) / min(found.weights) == pytest.approx(1 / LEAST_FACTOR)
    assert found.shares[0].after > 0.9


@given(st.lists(st.sets(st.sampled_from("abcde"), min_size=1).map("".join), min_size=1, max_size=40),
       st.sampled_from([0.3, 0.5, 0.9]))
def test_the_mean_is_one_and_a_cap_never_makes_the_largest_share_larger(rows: list[str], most: float) -> None:
    found = weigh(*rows, most=most)
    assert sum(found.weights) / len(rows) == pytest.approx(1)
    largest = max(share.before for share in found.shares)
    assert all(share.after <= max(most, largest) + 1e-6 for share in found.shares)


def test_topics_have_the_shares_that_the_mixture_gives_them() -> None:
    weights = topic_weights(["law"] * 8 + ["tax", None], {"law": 0.5})
    assert weights == pytest.approx([0.625] * 8 + [2.5, 2.5])


def test_a_topic_without_rows_gives_its_share_back() -> None:
    assert topic_weights(["law", "law"], {"law": 0.4, "tax": 0.6}) == pytest.approx([1, 1])


def test_a_mixture_that_leaves_nothing_for_other_topics_is_refused() -> None:
    with pytest.raises(InvalidInput, match=r"add up to 1, and 1 rows have other topics or none"):
        topic_weights(["law", "tax", None], {"law": 0.5, "tax": 0.5})


def test_repetition_is_right_on_average_and_the_same_each_time() -> None:
    found = [times(1.25, f"row {n}") for n in range(2000)]
    assert set(found) == {1, 2}
    assert sum(found) / 2000 == pytest.approx(1.25, abs=0.03)  # three standard errors: 3 * sqrt(0.25 * 0.75 / 2000) = 0.029
    assert times(1.0, "row") == 1


def a_panel() -> Bench:
    """Reviewer 0 rates everything, 1 and 2 a little: pairs of three origins and two topics."""
    bench = Bench()
    for n in range(12):
        bench.prompt(f"q{n}", topic="law" if n % 3 else "tax")
        bench.rated(f"q{n}", "yes", by=["correct"] * (3 if n == 0 else 1))
        bench.ranked(f"q{n}", ["a", "b"], by=[[[0], [1]]])
    bench.ranked("q1", ["c", "d"], by=[[[0], [1]]] * 3)
    return bench


def weighed(**sets: object) -> TrainingSets:
    bench = a_panel()
    stage = SetsStage.model_validate({"sets": sets, "split": STAGE.split.model_dump()})
    return build(bench.contents, stage, rewrites=bench.rewrites)


def test_a_cap_lowers_the_rows_of_one_reviewer_and_the_card_says_by_how_much() -> None:
    made = weighed(max_reviewer_share=0.8)
    alone = {row.weight for row in made.pairs if len(row.sources.reviewers) == 1}
    assert max(alone) < 1 < max(row.weight for row in made.pairs)
    assert made.card.reviewers["pairs"][0].after == pytest.approx(0.8)
    assert "95% of the pairs rest on reviewer sim-0; capped, they count 80%" in made.card.said
    assert {pair.weight for row in made.rankings for pair in row.pairs} == {row.weight for row in made.pairs}


def test_a_mixture_by_topic_is_kept_and_reported() -> None:
    made = weighed(mixture={"tax": 0.5}, max_reviewer_share=1)
    assert made.card.topics == {"law": 0.5, "tax": 0.5}
    assert sum(row.weight for row in made.sft if row.topic == "tax") == pytest.approx(len(made.sft) / 2)


def test_pairs_of_an_origin_count_what_the_settings_say() -> None:
    bench = a_panel()
    bench.rated("q2", "no", by=["incorrect"])
    stage = SetsStage.model_validate({"sets": {"origin_weights": {"verdict": 3}, "max_reviewer_share": 1},
                                      "split": STAGE.split.model_dump()})
    weights = {pair.origin: pair.weight for pair in build(bench.contents, stage, rewrites={}).pairs}
    assert weights["verdict"] == pytest.approx(3 * weights["ranking"])
