"""Rankings become trees: one boundary for all completions, cuts per branch, and a count for everything left out."""

from __future__ import annotations

import pytest

from alignment.ranked.encoding import apart, together
from alignment.ranked.tokens import read_rankings
from feedback.errors import InvalidInput, NothingToDo
from feedback.schemas import Span
from sft.chat import encoder
from tests.alignment.ranked.rankings import ranking, with_pairs
from tests.tiny import TEMPLATE, tiny_tokenizer

HEAD, END = "<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n", "<|im_end|>\n"


def read(*rows, max_length: int | None = None, template: str = TEMPLATE, **others):
    return read_rankings(rows, tiny_tokenizer(template), max_length=max_length, **others)


def decoded(ids) -> str:
    return tiny_tokenizer().decode(ids)


def test_a_tree_is_the_prompt_and_each_answer_with_its_end():
    tree = read(ranking("r", "hi", ["red", "blue pen"])).trees[0]
    assert decoded(tree.prompt) == HEAD
    assert [decoded(branch) for branch in tree.branches] == ["red" + END, "blue pen" + END]


def test_tokens_and_boundary_are_trls(tmp_path):
    from tests.alignment.ranked.rankings import policy, trl_trainer

    row = ranking("r", "hi", ["red", "blue pen"])
    theirs = trl_trainer(tmp_path, [row], model=policy()).train_dataset[0]
    tree = read(row).trees[0]
    assert (list(tree.prompt), [list(b) for b in tree.branches]) == (
        theirs["prompt_ids"], [theirs["chosen_ids"], theirs["rejected_ids"]])


def test_where_a_template_writes_the_prompt_otherwise_all_answers_begin_at_the_earliest_difference():
    # The generation prompt ends in an opened thought that only answers without a "b" keep.
    template = ("{%- for m in messages -%}{{ '<|im_start|>' + m['role'] + '\\n' }}"
                "{%- if m['role'] == 'assistant' and 'b' not in m['content'] -%}{{ '[think]' }}{%- endif -%}"
                "{{ m['content'] + '<|im_end|>\\n' }}{%- endfor -%}"
                "{%- if add_generation_prompt -%}{{ '<|im_start|>assistant\\n[think]' }}{%- endif -%}")
    tree = read(ranking("r", "hi", ["red", "blue", "pen"]), template=template).trees[0]
    assert decoded(tree.prompt) == HEAD
    assert [decoded(branch) for branch in tree.branches] == ["[think]red" + END, "blue" + END, "[think]pen" + END]


def merging_tokenizer():
    """The tokenizer of bytes, but a line break and a following `r` are one token."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    made = Tokenizer(models.BPE(vocab={c: i for i, c in enumerate([*alphabet, "\u010ar"])}, merges=[("\u010a", "r")]))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    made.decoder = decoders.ByteLevel()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=made, eos_token="<|im_end|>", pad_token="<|pad|>",
                                        additional_special_tokens=["<|im_start|>"])
    tokenizer.chat_template = TEMPLATE
    return tokenizer


def test_where_a_token_spans_the_boundary_it_belongs_to_all_answers_or_is_never_made():
    row, tokenizer = ranking("r", "hi", ["red", "blue"]), merging_tokenizer()
    tree = read_rankings([row], tokenizer, max_length=None).trees[0]
    assert tokenizer.decode(tree.prompt) == HEAD.removesuffix("\n")
    assert [tokenizer.decode(branch) for branch in tree.branches] == ["\nred" + END, "\nblue" + END]
    tree = read_rankings([row], tokenizer, max_length=None, encode=apart).trees[0]
    assert tokenizer.decode(tree.prompt) == HEAD
    assert [tokenizer.decode(branch) for branch in tree.branches] == ["red<|im_end|>", "blue<|im_end|>"]


def test_the_stages_tokens_are_those_that_sft_trains_on():
    row, tokenizer = ranking("r", "hi", ["red", " blue pen"]), tiny_tokenizer()
    tree = read_rankings([row], tokenizer, max_length=None, encode=apart).trees[0]
    expected = [encoder(tokenizer)(row.messages, text) for text in row.completions]
    assert [list(tree.prompt)] * 2 == [one.prompt for one in expected]
    assert [list(branch) for branch in tree.branches] == [one.completion for one in expected]


def test_an_answer_that_was_compared_with_none_is_not_computed():
    tree = read(ranking("r", "hi", ["red", "blue", "pen"], [(0, 2, 0.0)])).trees[0]
    assert [decoded(branch) for branch in tree.branches] == ["red" + END, "pen" + END]
    assert [(pair.better, pair.worse) for pair in tree.pairs] == [(0, 1)]


def test_each_answer_is_cut_where_it_exceeds_the_length_by_itself():
    length = len(read(ranking("r", "hi", ["red", "b"])).trees[0].prompt)
    reading = read(ranking("r", "hi", ["red", "a much longer answer"]), max_length=length + 5)
    assert [len(branch) for branch in reading.trees[0].branches] == [5, 5]
    assert reading.trees[0].prompt == read(ranking("r", "hi", ["red", "b"])).trees[0].prompt
    assert reading.counts["truncated"] == 1


def test_a_prompt_that_fills_the_length_is_left_out_and_counted():
    reading = read(ranking("long", "a prompt " * 20, ["red", "blue"]), ranking("short", "hi", ["red", "blue"]), max_length=60)
    assert [tree.name for tree in reading.trees] == ["short"]
    assert (reading.counts["prompt_too_long"], reading.counts["rankings"], reading.counts["trained_rankings"]) == (1, 2, 1)


def test_only_prompts_that_fill_the_length_are_nothing_to_do():
    with pytest.raises(NothingToDo, match=r"raise model\.max_length"):
        read(ranking("r", "hi " * 50, ["red", "blue"]), max_length=30)


def test_an_empty_answer_is_its_end_token():
    tree = read(ranking("r", "hi", ["red", ""])).trees[0]
    assert decoded(tree.branches[1]) == END


def test_answers_that_are_cut_to_the_same_tokens_share_a_branch():
    length = len(read(ranking("r", "hi", ["red", "b"])).trees[0].prompt)
    tree = read(ranking("r", "hi", ["the same beginning", "the same end"]), max_length=length + 8).trees[0]
    assert (len(tree.branches), tree.branch_of) == (1, (0, 0))


def test_a_reward_models_answer_is_left_out_rather_than_cut():
    length = len(read(ranking("r", "hi", ["red", "b"])).trees[0].prompt)
    row = ranking("r", "hi", ["red", "a much longer answer", "b"])
    reading = read(row, max_length=length + 5, whole=True)
    assert [decoded(branch) for branch in reading.trees[0].branches] == ["red" + END, "b" + END]
    assert [(p.better, p.worse) for p in reading.trees[0].pairs] == [(0, 1)]


def test_a_circle_is_kept_as_pairs_and_counted():
    reading = read(ranking("r", "hi", ["a", "b", "c"], [(0, 1, 0.0), (1, 2, 0.0), (2, 0, 0.0)]))
    assert (len(reading.trees[0].pairs), reading.counts["cyclic"]) == (3, 1)


def test_weights_are_scaled_to_a_mean_of_one_over_the_whole_set():
    rows = [with_pairs(ranking("one", "hi", ["a", "b"]), weight=3.0), ranking("two", "hi", ["a", "b"])]
    reading = read(*rows)
    assert [tree.pairs[0].weight for tree in reading.trees] == [1.5, 0.5]


@pytest.mark.parametrize("encode", [together, apart])
def test_a_marked_span_marks_the_tokens_that_it_touches(encode):
    row = ranking("r", "red hi", ["a red pen", "red"], spans=((Span(start=2, end=5),), ()))
    tree = read(row, marks=True, encode=encode).trees[0]
    assert decoded([t for t, m in zip(tree.branches[0], tree.marked[0], strict=True) if m]) == "red"
    assert not any(tree.marked[1])


def test_every_problem_of_the_data_is_named_at_once():
    with pytest.raises(InvalidInput, match="names a completion that is not there") as refused:
        read(ranking("r", "hi", ["a", "b"], [(0, 2, 0.0)], hallucinated=(True,)))
    assert "hallucinated has 1 entries for 2" in str(refused.value)
