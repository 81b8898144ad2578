"""Reviewers are weighed by how they rate: better than counting votes where they differ, no worse where they do not."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from feedback.aggregation.manners import of_labels, of_scale
from feedback.aggregation.panel import Panel
from feedback.aggregation.reliability import weigh
from tests.benchmarks.panels import Setting, accuracy, caught, majority_accuracy, make, mean_accuracy, weighed


def a_panel(rows: list[tuple[int, int, int]], *, labels: int = 2, ordered: bool = False) -> Panel:
    """(item, reviewer, label) rows as a panel."""
    item, reviewer, label = (np.array(column) for column in zip(*rows, strict=True))
    return Panel(item=item, reviewer=reviewer, label=label, items=int(item.max()) + 1, reviewers=int(reviewer.max()) + 1,
                 labels=labels, ordered=ordered)


@pytest.mark.parametrize("manners", [of_labels(2), of_labels(5), of_scale(3), of_scale(5), of_scale(20)])
def test_every_manner_is_a_distribution_and_their_shares_add_up(manners: object) -> None:
    assert np.allclose(manners.table.sum(axis=2), 1)  # type: ignore[attr-defined]
    assert manners.share.sum() == pytest.approx(1)  # type: ignore[attr-defined]
    assert (manners.table > 0).all()  # type: ignore[attr-defined]


def test_the_accuracy_of_an_unknown_reviewer_is_the_priors_mean() -> None:
    # Beta(6, 2): 6 / (6 + 2); one in 100 gives one of two labels throughout: 0.99 * 0.75 + 0.01 * 0.5 = 0.7475
    manners = of_labels(2)
    assert manners.share @ manners.accuracy == pytest.approx(0.7475, abs=0.001)


def test_one_rating_is_the_verdict() -> None:
    truth = weigh(a_panel([(0, 0, 1), (1, 1, 0)])).truth
    assert truth.argmax(axis=1).tolist() == [1, 0]
    assert truth.max() < 0.85


def test_two_equal_reviewers_who_disagree_leave_it_open() -> None:
    truth = weigh(a_panel([(0, 0, 1), (0, 1, 0)])).truth
    assert truth[0].tolist() == pytest.approx([0.5, 0.5])


def test_a_reviewer_who_is_always_against_counts_the_other_way_round() -> None:
    rows = [(item, reviewer, item % 2) for item in range(30) for reviewer in range(3)]
    rows += [(item, 3, 1 - item % 2) for item in range(30)]
    rows += [(30, 3, 1)]
    weighed = weigh(a_panel(rows))
    assert weighed.accuracy[3] < 0.25
    assert weighed.truth[30].argmax() == 0


def test_who_sees_one_of_two_labels_better_is_believed_on_that_one() -> None:
    # Of twelve, six miss 3 in 8 of the 1s and are never wrong to say 1; six are right in 13 of 16 whatever is shown.
    rows = [(item, reviewer, item % 2 if reviewer < 6 and item % 2 == 0 else said)
            for item in range(160) for reviewer in range(12)
            for said in [item % 2 if (item // 2 * 5 + reviewer * 3) % 16 >= (6 if reviewer < 6 else 3) else 1 - item % 2]]
    rows += [(160, 0, 1), (160, 6, 0), (161, 0, 0), (161, 6, 1)]
    weighed = weigh(a_panel(rows), known={item: item % 2 for item in range(160)})
    # The first say 1 in 10 of 16 where it is so and never elsewhere: that stands. Their 0 is worth 16 : 6, the other's 1 13 : 3.
    assert weighed.truth[160, 1] > 0.7
    assert weighed.truth[161, 1] > 0.5
    assert weighed.accuracy[[0, 6]] == pytest.approx([13 / 16, 13 / 16], abs=0.04)


def test_a_label_that_is_common_is_found_to_be_so() -> None:
    # Each of three is right in 8 of 10, and 9 of 10 truths are 0. Two who say 1 against one who says 0 are more likely wrong:
    # 0.1 * 0.8 * 0.8 * 0.2 against 0.9 * 0.2 * 0.2 * 0.8, so that a 1 needs all three (0.1 * 0.512 against 0.9 * 0.008).
    chance = np.random.default_rng(0)
    truth = (chance.random(1000) < 0.1).astype(int)
    said = np.where(chance.random((1000, 3)) < 0.8, truth[:, None], 1 - truth[:, None])
    found = weigh(a_panel([(item, reviewer, int(said[item, reviewer])) for item in range(1000) for reviewer in range(3)]))
    assert (found.likeliest == (said.sum(axis=1) == 3)).all()
    assert found.truth[:, 0].mean() == pytest.approx(0.9, abs=0.03)


def test_who_is_right_about_a_common_label_is_not_taken_for_one_who_always_gives_it() -> None:
    # 9 of 10 truths are 0. One reviewer is right in 97 of 100, two in 60: these say 1 of four in ten and agree on it by chance.
    chance = np.random.default_rng(1)
    truth = (chance.random(600) < 0.1).astype(int)
    said = np.where(chance.random((600, 3)) < [0.97, 0.6, 0.6], truth[:, None], 1 - truth[:, None])
    found = weigh(a_panel([(item, reviewer, int(said[item, reviewer])) for item in range(600) for reviewer in range(3)]))
    assert found.accuracy.argmax() == 0
    assert (found.likeliest == truth).mean() > 0.9


@pytest.mark.parametrize("labels", [2, 3])
def test_two_who_saw_a_rare_error_are_not_overruled_by_its_being_rare(labels: int) -> None:
    # One answer in ten is wrong. Three reviewers see 6 in 10 of those, and 2 in 100 where nothing is wrong. That two of them see
    # one happens in 0.1 * 3 * 0.6 * 0.6 * 0.4 = 0.043 where there is one, in 0.9 * 3 * 0.02 * 0.02 * 0.98 = 0.001 where not.
    chance = np.random.default_rng(0)
    truth = np.where(chance.random(1000) < 0.1, chance.integers(1, labels, 1000), 0)
    seen = chance.random((1000, 3)) < np.where(truth > 0, 0.6, 0.02)[:, None]
    said = np.where(seen, np.where(truth > 0, truth, chance.integers(1, labels, 1000))[:, None], 0)
    found = weigh(a_panel([(item, reviewer, int(said[item, reviewer])) for item in range(1000) for reviewer in range(3)],
                          labels=labels))
    assert ((found.likeliest > 0) == (seen.sum(axis=1) >= 2)).all()


def test_a_severe_reviewer_is_read_with_his_severity() -> None:
    rows = [(item, reviewer, 1 + item % 3) for item in range(30) for reviewer in range(3)]
    rows += [(item, 3, item % 3) for item in range(30)]
    rows += [(30, 3, 1)]
    assert weigh(a_panel(rows, labels=5, ordered=True)).truth[30].argmax() == 2


def test_two_equal_reviewers_of_good_answers_come_out_as_their_mean() -> None:
    # 7 of 10 answers deserve the highest number, and either reviewer is a number off in one of six. Both cannot be too lenient.
    chance = np.random.default_rng(0)
    truth = chance.choice(5, 400, p=[0.02, 0.03, 0.05, 0.2, 0.7])
    said = np.clip(np.round(truth[:, None] + chance.normal(0, 0.5, (400, 2))), 0, 4).astype(int)
    found = weigh(a_panel([(item, reviewer, int(said[item, reviewer])) for item in range(400) for reviewer in range(2)],
                          labels=5, ordered=True))
    mean = np.floor(said.mean(axis=1) + 0.5)
    assert (found.likeliest == truth).mean() > (mean == truth).mean() - 0.01


def test_known_items_tell_who_is_right_where_votes_cannot() -> None:
    rows = [(item, 0, 0) for item in range(20)] + [(item, 1, 1) for item in range(20)]
    truth = weigh(a_panel(rows), known=dict.fromkeys(range(6), 1)).truth
    assert truth[:6, 1].tolist() == [1] * 6
    assert truth[19].argmax() == 1


def test_the_interval_of_an_accuracy_narrows_with_ratings() -> None:
    few, many = (weigh(a_panel([(item, reviewer, 0) for item in range(count) for reviewer in range(3)])) for count in (2, 60))
    assert (few.high - few.low)[0] > 2 * (many.high - many.low)[0]
    assert many.low[0] <= many.accuracy[0] <= many.high[0]


def test_reviewers_who_all_say_the_same_of_everything_are_believed() -> None:
    # one label throughout may be a habit; that all have the same habit is less likely than that the items are alike
    panel = a_panel([(item, reviewer, 4) for item in range(60) for reviewer in range(3)], labels=5, ordered=True)
    weighed = weigh(panel)
    assert (weighed.likeliest == 4).all()
    assert (weighed.posterior @ weighed.manners.bearing).min() > 0.5


def test_the_rating_of_a_rare_label_stands_when_it_is_the_only_one() -> None:
    rows = [(item, reviewer, 0) for item in range(50) for reviewer in range(3)] + [(50, 0, 1)]
    weighed = weigh(a_panel(rows))
    assert weighed.likeliest[50] == 1
    assert weighed.truth[50, 1] > 0.6


def gain(setting: Setting, *, repeats: int = 6) -> float:
    """Mean accuracy above the better of majority and mean, in points of 100."""
    made = [make(setting, f"test:{number}") for number in range(repeats)]
    counted = max(np.mean([majority_accuracy(each) for each in made]),
                  np.mean([mean_accuracy(each) for each in made]) if setting.ordered else 0)
    return 100 * float(np.mean([accuracy(each, weighed(each)) for each in made]) - counted)


@pytest.mark.parametrize("setting", [
    Setting(20, 3, 0.0), Setting(5, 3, 0.2), Setting(20, 3, 0.2, "measured", labels=5), Setting(20, 5, 0.3, labels=2),
    Setting(5, 3, 0.0, "uneven"),
], ids=str)
def test_where_reviewers_differ_weighing_them_beats_counting(setting: Setting) -> None:
    assert gain(setting) > 0.5


@pytest.mark.parametrize("setting", [
    Setting(20, 1, 0.2), Setting(5, 1, 0.0, "measured", labels=5), Setting(20, 3, 0.0, spread=False),
    Setting(5, 3, 0.0, labels=2, spread=False),
], ids=str)
def test_where_nothing_can_be_learned_weighing_is_no_worse(setting: Setting) -> None:
    # 0.5 points is the promise; on 6 panels of 200 items the gain itself is uncertain by about 0.4.
    assert gain(setting) > -1.0


def test_the_dishonest_are_proposed_and_hardly_anybody_else() -> None:
    made = [make(Setting(20, 3, 0.2), f"test:{number}") for number in range(6)]
    found = [caught(each, weighed(each)) for each in made]
    assert np.mean([share for share, _ in found]) > 0.7  # type: ignore[arg-type]
    assert np.mean([share for _, share in found]) <= 0.05


@settings(max_examples=30)
@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 3), st.integers(0, 2)), min_size=1, max_size=20,
                unique_by=lambda row: row[:2]), st.booleans(), st.permutations(range(4)))
def test_verdicts_ignore_row_order_and_reviewer_names(rows: list[tuple[int, int, int]], ordered: bool, names: list[int]) -> None:
    def truths(changed: list[tuple[int, int, int]]) -> np.ndarray:
        panel = a_panel([*changed, (6, 0, 0), (6, 1, 0), (6, 2, 0), (6, 3, 0)], labels=3, ordered=ordered)
        return weigh(panel).truth

    renamed = [(item, names[reviewer], label) for item, reviewer, label in reversed(rows)]
    assert truths(renamed) == pytest.approx(truths(rows), abs=1e-4)
