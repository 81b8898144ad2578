"""Each loss against its formula, written out once more in plain floats, and against what it must do."""

from __future__ import annotations

import math
import random

import pytest
import torch

from alignment.ranked import listwise, pairwise
from alignment.ranked.judged import Counts, Judged, LogRatios
from alignment.ranked.objective import forest_loss
from alignment.ranked.packing import Forest
from alignment.ranked.settings import RankedConfig
from alignment.ranked.trees import Pair, Tree, best_completions, is_cyclic
from tests.alignment.ranked.families import make_tree

CPU = torch.device("cpu")
HS = [-3.0, -0.4, 0.0, 0.7, 2.5]


def tensor(*values: float) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)


def loss_of(z: float) -> float:
    return math.log1p(math.exp(-z))


def above(count: int, pairs: list[tuple[int, int]]) -> torch.Tensor:
    made = torch.zeros(count, count, dtype=torch.bool)
    for i, j in pairs:
        made[i, j] = True
    return made


@pytest.mark.parametrize("p", [0.0, 0.2, 0.5])
def test_sigmoid_is_the_expected_loss_over_the_posterior(p):
    expected = [(1 - p) * loss_of(h) + p * loss_of(-h) for h in HS]
    assert pairwise.sigmoid(tensor(*HS), tensor(p)).tolist() == pytest.approx(expected, abs=1e-14)


@pytest.mark.parametrize("p", [0.1, 0.3])
def test_the_posterior_loss_is_least_at_the_logit_of_being_right(p):
    h = torch.tensor(math.log((1 - p) / p), dtype=torch.float64, requires_grad=True)
    pairwise.sigmoid(h, tensor(p)).sum().backward()
    assert abs(h.grad.item()) < 1e-14


def test_hinge_is_the_expected_hinge():
    expected = [0.8 * max(0, 1 - h) + 0.2 * max(0, 1 + h) for h in HS]
    assert pairwise.hinge(tensor(*HS), tensor(0.2)).tolist() == pytest.approx(expected)


def test_ipo_is_the_expected_square_and_least_where_the_formula_says():
    aim = 1 / (2 * 0.3)
    expected = [0.8 * (d - aim) ** 2 + 0.2 * (d + aim) ** 2 for d in HS]
    assert pairwise.ipo(tensor(*HS), tensor(0.2), beta=0.3).tolist() == pytest.approx(expected)
    least = tensor((1 - 2 * 0.2) / (2 * 0.3)).requires_grad_()
    pairwise.ipo(least, tensor(0.2), beta=0.3).sum().backward()
    assert abs(least.grad.item()) < 1e-14


def test_robust_is_unbiased_under_its_noise():
    # Recorded right with 1 - e and reversed with e, its mean is the loss without noise.
    e, h = 0.3, tensor(*HS)
    mean = (1 - e) * pairwise.robust(h, noise_rate=e) + e * pairwise.robust(-h, noise_rate=e)
    assert mean.tolist() == pytest.approx([loss_of(z) for z in HS])


def test_the_posterior_and_the_noise_rate_are_different_losses():
    assert pairwise.sigmoid(tensor(0.7), tensor(0.2)).item() != pytest.approx(pairwise.robust(tensor(0.7), noise_rate=0.2).item())


def f_dpo(m: float, false_better: bool, false_worse: bool, known: bool = True, margin: float = 2.0) -> float:
    return pairwise.f_dpo(tensor(m), torch.tensor([false_better]), torch.tensor([false_worse]), torch.tensor([known]), beta=0.5,
                          margin=margin).item()


@pytest.mark.parametrize(("false_better", "false_worse", "argument"), [
    (False, False, 0.7), (True, True, 0.7), (False, True, 0.7 - 2), (True, False, -0.7 - 2)])
def test_f_dpo_swaps_a_false_answer_recorded_above_a_sound_one_and_asks_a_margin(false_better, false_worse, argument):
    assert f_dpo(0.7, false_better, false_worse) == pytest.approx(loss_of(0.5 * argument))


def test_f_dpo_without_a_margin_is_dpo_on_the_swapped_pairs_and_leaves_undecided_verdicts_alone():
    assert f_dpo(0.7, True, False, margin=0) == pytest.approx(loss_of(-0.35))
    assert f_dpo(0.7, True, False, known=False) == pytest.approx(loss_of(0.35))


def test_plackett_luce_of_a_full_ranking_is_the_textbook_product():
    s = [0.3, -1.0, 0.8, 0.1]
    expected = -sum(s[k] - math.log(sum(math.exp(x) for x in s[k:])) for k in range(3))
    everyone = [(i, j) for i in range(4) for j in range(i + 1, 4)]
    assert listwise.plackett_luce(tensor(*s), above(4, everyone)).item() == pytest.approx(expected, abs=1e-14)


def test_plackett_luce_of_two_is_dpo():
    assert listwise.plackett_luce(tensor(0.2, 0.9), above(2, [(0, 1)])).item() == pytest.approx(loss_of(0.2 - 0.9))


def test_no_tied_completion_enters_a_plackett_luce_term():
    # 0 and 1 are tied above 2: -log e^a/(e^a + e^c) - log e^b/(e^b + e^c)
    a, b, c = 0.3, -0.2, 0.5
    expected = loss_of(a - c) + loss_of(b - c)
    assert listwise.plackett_luce(tensor(a, b, c), above(3, [(0, 2), (1, 2)])).item() == pytest.approx(expected)


def test_lipo_lambda_is_the_published_sum():
    chance = random.Random(0)
    s = [chance.gauss(0, 1) for _ in range(4)]
    pairs = [(0, 1), (0, 2), (0, 3), (1, 3), (2, 3)]  # 1 and 2 are tied
    psi = [(3 + 0) / 3, (1 + 0.5) / 3, (1 + 0.5) / 3, 0.0]
    tau = [1 + sum(other > own for other in s) for own in s]
    expected = 0.0
    for i in range(4):
        for j in range(4):
            if psi[i] > psi[j]:
                gain = abs(2 ** psi[i] - 2 ** psi[j])
                expected += gain * abs(1 / math.log(1 + tau[i]) - 1 / math.log(1 + tau[j])) * loss_of(s[i] - s[j])
    assert listwise.lipo_lambda(tensor(*s), above(4, pairs)).item() == pytest.approx(expected, abs=1e-13)


def test_no_gradient_goes_through_the_lambda_weights():
    s = tensor(0.4, 0.1, -0.3).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: listwise.lipo_lambda(x, above(3, [(0, 1), (0, 2), (1, 2)])), s)


def test_a_circle_is_found_and_a_ranking_is_none():
    assert is_cyclic([Pair(0, 1, 0), Pair(1, 2, 0), Pair(2, 0, 0)])
    assert not is_cyclic([Pair(0, 1, 0), Pair(0, 2, 0), Pair(1, 2, 0)])


def test_the_best_beat_somebody_and_lose_to_nobody():
    assert best_completions(make_tree(2, [1, 2, 3], pairs=[(2, 0, 0.1), (1, 0, 0.0)])) == (1, 2)
    assert best_completions(make_tree(2, [1, 2], pairs=[])) == ()


def ratios_of(forest: Forest, *, span_mask: bool = False) -> tuple[Judged, LogRatios, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    count = sum(forest.branch_lengths)
    logps = -torch.rand(count, generator=generator, dtype=torch.float64)
    reference = -torch.rand(count, generator=generator, dtype=torch.float64)
    judged = Judged.of(forest, CPU)
    return judged, LogRatios.of(logps, reference, forest, judged, span_mask=span_mask), logps, reference


def total(forest: Forest, beta: float = 0.2, window: Counts | None = None, span_mask: bool = False, **settings) -> float:
    judged, ratios, *_ = ratios_of(forest, span_mask=span_mask)
    config = RankedConfig(**settings)
    return forest_loss(config, forest, judged, ratios, beta=beta, window=window or Counts.of(forest)).item()


FOREST = Forest((make_tree(3, [4, 2, 5], pairs=[(0, 1, 0.1), (0, 2, 0.0), (1, 2, 0.3)], seed=1),
                 make_tree(2, [3, 3, 2, 6], pairs=[(3, 1, 0.0), (0, 2, 0.2)], same={1: 0}, seed=2)))


def textbook_scores(beta: float) -> list[float]:
    _, _, logps, reference = ratios_of(FOREST)
    sums = [part.sum().item() for part in (logps - reference).split(FOREST.branch_lengths)]
    branches = [0, 1, 2, 3, 3, 4, 5]
    return [beta * sums[branch] for branch in branches]


def test_the_loss_is_the_mean_over_pairs_of_all_rankings():
    s = textbook_scores(0.2)
    pairs = [(0, 1, 0.1), (0, 2, 0.0), (1, 2, 0.3), (6, 4, 0.0), (3, 5, 0.2)]
    expected = sum((1 - p) * loss_of(s[i] - s[j]) + p * loss_of(s[j] - s[i]) for i, j, p in pairs) / 5
    assert total(FOREST) == pytest.approx(expected, abs=1e-12)


def test_by_prompts_every_ranking_counts_the_same():
    s = textbook_scores(0.2)
    first = sum(loss_of(s[i] - s[j]) for i, j in [(0, 1), (0, 2), (1, 2)]) / 3
    second = sum(loss_of(s[i] - s[j]) for i, j in [(6, 4), (3, 5)]) / 6
    assert total(FOREST, normalisation="prompts", posterior=False) == pytest.approx((first + second) / 2, abs=1e-12)


def test_weights_multiply_and_do_not_renormalise():
    tree = FOREST.trees[0]
    doubled = Forest((Tree(tree.name, tree.prompt, tree.branches, tree.branch_of,
                           tuple(Pair(p.better, p.worse, p.reversed_probability, 2.0) for p in tree.pairs)),))
    assert total(doubled) == pytest.approx(2 * total(Forest((tree,))), abs=1e-12)


def test_parts_of_a_window_add_up_to_the_whole():
    window = Counts.of(FOREST)
    for name in ("sigmoid", "plackett_luce", "lipo_lambda"):
        parts = sum(total_of_part(place, name, window) for place in range(2))
        assert parts == pytest.approx(total(FOREST, losses=(name,)), abs=1e-12)


def total_of_part(place: int, name: str, window: Counts) -> float:
    _, _, logps, reference = ratios_of(FOREST)
    lengths = [sum(len(branch) for branch in tree.branches) for tree in FOREST.trees]
    own = Forest((FOREST.trees[place],))
    judged = Judged.of(own, CPU)
    ratios = LogRatios.of(logps.split(lengths)[place], reference.split(lengths)[place], own, judged, span_mask=False)
    return forest_loss(RankedConfig(losses=(name,)), own, judged, ratios, beta=0.2, window=window).item()


def test_a_circle_is_left_out_of_plackett_luce_and_kept_as_pairs():
    circle = make_tree(3, [2, 3, 4], pairs=[(0, 1, 0.0), (1, 2, 0.0), (2, 0, 0.0)])
    forest = Forest((circle,))
    assert (Counts.of(forest).rankings, Counts.of(forest).pairs) == (0, 3)
    assert total(forest, losses=("plackett_luce",)) == 0
    assert total(forest) > 0


def test_a_marked_span_is_not_rewarded_above_and_alone_punished_below():
    marked = ((True, False, False, True), (False, True))
    tree = make_tree(3, [4, 2])
    forest = Forest((Tree(tree.name, tree.prompt, tree.branches, tree.branch_of, tree.pairs, marked=marked),))
    _, _, logps, reference = ratios_of(forest)
    d = (logps - reference).tolist()
    expected = loss_of(0.2 * ((d[1] + d[2]) - d[5]))
    assert total(forest, span_mask=True) == pytest.approx(expected, abs=1e-12)


def test_without_marks_the_span_mask_changes_nothing():
    assert total(FOREST, span_mask=True) == total(FOREST)


def test_sft_is_the_mean_over_the_tokens_of_the_best():
    _, _, logps, _ = ratios_of(FOREST)
    parts = logps.split(FOREST.branch_lengths)
    best = [parts[0], parts[3], parts[5]]  # of the second ranking, 0 and 3 lose to nobody
    expected = -sum(part.sum().item() for part in best) / sum(len(part) for part in best)
    assert total(FOREST, losses=("sft",)) == pytest.approx(expected)


def test_equal_completions_recorded_apart_cost_ln_2():
    assert total(Forest((make_tree(3, [4, 4], same={1: 0}),))) == pytest.approx(math.log(2))


def test_losses_are_added_with_their_weights():
    expected = total(FOREST) + 0.5 * total(FOREST, losses=("sft",))
    assert total(FOREST, losses=("sigmoid", "sft"), loss_weights=(1.0, 0.5)) == pytest.approx(expected, abs=1e-12)


def test_settings_refuse_a_missing_weight_and_a_noise_rate_near_one_half():
    with pytest.raises(ValueError, match="give one for each"):
        RankedConfig(losses=("sigmoid", "sft"), loss_weights=(1.0,))
    with pytest.raises(ValueError, match="less than or equal to"):
        RankedConfig(noise_rate=0.45)
