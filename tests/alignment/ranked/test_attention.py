"""A packed row gives every completion the log-probabilities it has alone, and so the same gradients."""

from __future__ import annotations

import pytest
import torch

from alignment.ranked.masks import tree_mask
from alignment.ranked.packing import Forest, Trunk
from alignment.ranked.scoring import score, using
from alignment.ranked.settings import RankedConfig
from alignment.ranked.support import choose, obstacle
from alignment.ranked.trees import Tree
from alignment.ranked.two_parts import TwoParts
from feedback.errors import InvalidInput
from tests.alignment.ranked.families import FAMILIES, make_forest, make_tree, tiny_model, tokens

CPU = torch.device("cpu")


def scores(model, forest: Forest, path: str):
    with using(model, path):
        return score(model, forest, path, config=model.config.get_text_config(), device=CPU, budget=40)


def logps_and_gradients(model, forest: Forest, path: str) -> tuple[torch.Tensor, torch.Tensor]:
    model.zero_grad()
    with using(model, path):
        logps = score(model, forest, path, config=model.config.get_text_config(), device=CPU, budget=40).logps
        logps.sin().sum().backward()
    return logps.detach(), torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])


def alone(model, prompt: tuple[int, ...], completion: tuple[int, ...]) -> torch.Tensor:
    """The textbook: one ordinary row, all logits, log-softmax."""
    with torch.no_grad():
        logits = model(input_ids=torch.tensor([prompt + completion]), use_cache=False).logits[0].double()
    return logits.log_softmax(-1)[len(prompt) - 1:-1].gather(1, torch.tensor(completion)[:, None])[:, 0]


@pytest.mark.parametrize("path", ["split", "mask", "rows"])
@pytest.mark.parametrize("family", FAMILIES)
def test_every_path_gives_the_log_probabilities_of_a_row_alone(family, path):
    model, forest = tiny_model(family), make_forest()
    expected = torch.cat([alone(model, tree.prompt, branch) for tree in forest.trees for branch in tree.branches])
    assert torch.allclose(scores(model, forest, path).logps, expected, rtol=0, atol=1e-12)


def test_the_last_network_works_where_it_is_read_and_is_itself_again_afterwards():
    model, forest = tiny_model("llama", lora=False), make_forest()
    network, seen = model.model.layers[-1].mlp, []
    handle = network.down_proj.register_forward_pre_hook(lambda _, given: seen.append(given[0].shape[1]))
    scores(model, forest, "split")
    handle.remove()
    assert seen == [len(set(forest.sources))]
    assert seen[0] < len(forest.input_ids)
    assert network(torch.zeros(1, 5, 32, dtype=torch.float64)).shape == (1, 5, 32)


@pytest.mark.filterwarnings("ignore:flex_attention called without torch.compile")
@pytest.mark.parametrize("family", FAMILIES)
def test_the_gpus_attention_gives_the_same_as_far_as_a_cpu_can_tell(family):
    model, forest = tiny_model(family), make_forest()
    with torch.no_grad():
        assert torch.allclose(scores(model, forest, "flex").logps, scores(model, forest, "rows").logps, rtol=0, atol=1e-12)


def test_a_cpu_takes_split_attention_and_refuses_the_gpus_by_name():
    model = tiny_model("llama", lora=False)
    assert choose(model, RankedConfig(), device=CPU).path == "split"
    with pytest.raises(InvalidInput, match="no backward pass on a cpu"):
        choose(model, RankedConfig(attention="flex"), device=CPU)


@pytest.mark.parametrize(("prompt", "branches"), [(40, (17, 1, 0, 33)), (3, (64,)), (70, (0, 0)), (1, (5, 9))])
def test_attention_in_two_parts_is_attention_under_a_mask(prompt, branches):
    trunk = Trunk(0, prompt, branches)
    query, key, value = (torch.randn(1, 4, trunk.length, 16, dtype=torch.float64, requires_grad=True) for _ in range(3))
    tree = Tree("t", (0,) * prompt, tuple((0,) * (count + 1) for count in branches), tuple(range(len(branches))), ())
    mask = tree_mask(Forest((tree,)), window=None, device=CPU)
    found = TwoParts.apply(query, key, value, (trunk,), None)
    expected = torch.nn.functional.scaled_dot_product_attention(query, key, value, attn_mask=mask)
    weights = torch.randn_like(found)
    for ours, theirs in zip(*(torch.autograd.grad((out * weights).sum(), (query, key, value)) for out in (found, expected)),
                            strict=True):
        assert torch.allclose(ours, theirs, rtol=0, atol=1e-12)
    assert torch.allclose(found, expected, rtol=0, atol=1e-13)


@pytest.mark.parametrize("checkpointing", [False, True])
@pytest.mark.parametrize("family", FAMILIES)
def test_gradients_of_a_packed_row_are_those_of_separate_rows(family, checkpointing):
    model, forest = tiny_model(family), make_forest()
    expected = logps_and_gradients(model, forest, "rows")
    if checkpointing:
        model.train()
        model.activation_checkpointing_enable({"use_reentrant": False})
        model.enable_input_require_grads()
    for path in ("split", "mask"):
        found = logps_and_gradients(model, forest, path)
        assert torch.allclose(found[0], expected[0], rtol=0, atol=1e-12)
        assert torch.cosine_similarity(found[1], expected[1], dim=0) > 1 - 1e-10


@pytest.mark.parametrize(("dtype", "gap", "cosine"), [(torch.float32, 1e-5, 0.999999), (torch.bfloat16, 0.15, 0.99)])
@pytest.mark.parametrize("family", ["llama", "mistral with a window", "gemma 3"])
def test_lower_precision_stays_as_close_as_it_can(family, dtype, gap, cosine):
    model, forest = tiny_model(family, dtype=dtype), make_forest()
    expected = logps_and_gradients(model, forest, "rows")
    found = logps_and_gradients(model, forest, "split")
    assert (found[0] - expected[0]).abs().max() < gap
    assert torch.cosine_similarity(found[1].double(), expected[1].double(), dim=0) > cosine


@pytest.mark.parametrize("path", ["split", "mask"])
def test_a_completion_is_blind_to_what_its_siblings_say_and_to_their_order(path):
    model, tree = tiny_model("llama"), make_tree(6, [5, 4, 7])
    first, second, third = tree.branches

    def first_branch(*branches: tuple[int, ...]) -> torch.Tensor:
        changed = make_tree(6, [5, 4, 7])
        forest = Forest((type(tree)(changed.name, tree.prompt, branches, tuple(range(len(branches))), ()),))
        found = scores(model, forest, path).logps.split(forest.branch_lengths)
        return found[branches.index(first)]

    expected = first_branch(first, second, third)
    for branches in [(first, tokens(4, 99), third), (third, second, first), (first,)]:
        assert torch.allclose(first_branch(*branches), expected, rtol=0, atol=1e-13)


def test_a_mask_of_ones_would_have_leaked_which_this_test_would_see():
    model, tree = tiny_model("llama"), make_tree(6, [5, 4])
    row = torch.tensor([tree.prompt + tree.branches[0] + tree.branches[1]])
    with torch.no_grad():
        logits = model(input_ids=row, attention_mask=torch.ones_like(row)).logits[0]
    leaked = logits.log_softmax(-1)[11:14].gather(1, torch.tensor(tree.branches[1][1:])[:, None])[:, 0]
    assert (leaked - alone(model, tree.prompt, tree.branches[1])[1:]).abs().max() > 1e-3


def test_a_switched_model_still_answers_ordinary_calls():
    model = tiny_model("mistral with a window")
    row = torch.tensor([tokens(20, 5), tokens(20, 6)])
    seen = torch.ones_like(row)
    seen[1, :4] = 0
    with torch.no_grad():
        expected = model(input_ids=row, attention_mask=seen).logits
        with using(model, "split"):
            assert torch.allclose(model(input_ids=row, attention_mask=seen).logits, expected, rtol=0, atol=1e-12)


def test_the_switch_is_undone_after_an_error():
    model = tiny_model("llama")
    before = model.config._attn_implementation
    with pytest.raises(RuntimeError, match="stop"), using(model, "split"):
        raise RuntimeError("stop")
    assert model.config._attn_implementation == before


def tiny_of(name: str, **changes):
    import transformers

    from alignment.ranked.head import add_branch_head
    from tests.alignment.ranked.families import SHAPE

    torch.manual_seed(0)
    model = transformers.AutoModelForCausalLM.from_config(getattr(transformers, name)(**SHAPE | changes), dtype=torch.float32)
    add_branch_head(model)
    return model


def test_a_mixture_of_experts_is_trained_one_row_per_completion_and_says_so():
    choice = choose(tiny_of("MixtralConfig", num_local_experts=2), RankedConfig(), device=CPU)
    assert (choice.path, "mixture of experts" in choice.reason) == ("rows", True)


def test_an_unknown_model_whose_attention_does_more_falls_back_to_rows():
    choice = choose(tiny_of("Gemma2Config", head_dim=8, sliding_window=None), RankedConfig(), device=CPU)
    assert (choice.path, "softcap" in choice.reason) == ("rows", True)


def test_an_unknown_model_that_gives_the_same_numbers_is_packed():
    assert choose(tiny_of("Olmo2Config"), RankedConfig(), device=CPU).path == "split"


def test_a_path_asked_for_by_name_is_refused_where_it_would_be_wrong():
    with pytest.raises(InvalidInput, match="use auto or rows"):
        choose(tiny_of("MixtralConfig", num_local_experts=2), RankedConfig(attention="split"), device=CPU)


@pytest.mark.parametrize("family", FAMILIES)
def test_verified_families_have_no_obstacle(family):
    assert obstacle(tiny_model(family, lora=False).config) is None
