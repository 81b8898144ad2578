"""Rows hold every token once, fit the budget and waste little."""

from __future__ import annotations

import random

from alignment.ranked.packing import Forest, batches_of_similar_length, fill, pack
from tests.alignment.ranked.families import make_forest, make_tree


def log_normal_lengths(count: int, seed: int) -> list[int]:
    chance = random.Random(seed)
    return [max(1, min(2000, round(chance.lognormvariate(5, 0.8)))) for _ in range(count)]


def test_a_row_holds_each_prompt_once_and_each_completion_without_its_last_token():
    tree = make_tree(3, [2, 4])
    assert Forest((tree,)).input_ids == [*tree.prompt, *tree.branches[0][:-1], *tree.branches[1][:-1]]


def test_every_completion_goes_on_at_the_position_where_its_prompt_ends():
    assert Forest((make_tree(3, [2, 4]), make_tree(2, [2]))).positions == [0, 1, 2, 3, 3, 4, 5, 0, 1, 2]


def test_every_completion_token_is_predicted_by_the_token_before_it():
    forest = make_forest()
    predicted = [(forest.input_ids[place], forest.positions[place]) for place in forest.sources]
    expected = []
    for tree in forest.trees:
        for branch in tree.branches:
            whole = tree.prompt + branch
            expected += [(whole[i - 1], i - 1) for i in range(len(tree.prompt), len(whole))]
    assert predicted == expected


def test_equal_completions_are_computed_once():
    tree = make_tree(3, [4, 4, 4], same={2: 0})
    assert (len(tree.branches), tree.branch_of) == (2, (0, 1, 0))


def test_groups_fit_the_budget_and_hold_every_index_once():
    lengths = log_normal_lengths(300, 0)
    groups = fill(lengths, 2048)
    assert sorted(i for group in groups for i in group) == list(range(300))
    assert all(sum(lengths[i] for i in group) <= 2048 for group in groups)


def test_a_tree_larger_than_the_budget_stands_alone():
    assert fill([10, 50, 10], 20) == [[1], [0, 2]]


def test_rows_are_filled_to_at_least_90_percent_on_log_normal_lengths():
    for seed in range(5):
        lengths = log_normal_lengths(400, seed)
        groups = fill(lengths, 4096)
        assert sum(lengths) / (4096 * len(groups)) >= 0.9


def test_packed_rows_compute_no_padding_at_all():
    trees = [make_tree(p, [r, r + 3], seed=p) for p, r in zip(range(3, 30), log_normal_lengths(27, 1), strict=True)]
    rows = pack(trees, 4096)
    assert sum(len(row.input_ids) for row in rows) == sum(tree.tokens for tree in trees)


def test_padded_batches_hold_at_most_a_tenth_of_padding_and_fit_the_budget():
    lengths = log_normal_lengths(200, 3)
    batches = batches_of_similar_length(lengths, 4096)
    assert sorted(i for batch in batches for i in batch) == list(range(200))
    for batch in batches:
        computed = len(batch) * max(lengths[i] for i in batch)
        assert computed <= 4096 or len(batch) == 1
        assert sum(lengths[i] for i in batch) >= 0.9 * computed
