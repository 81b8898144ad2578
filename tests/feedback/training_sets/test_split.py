"""The split: by family, for ever, and closed under asking the same question."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from feedback.config import SplitConfig
from feedback.ids import unit_interval
from feedback.schemas import Message, Prompt
from feedback.training_sets.split import Joined, held_out_families, is_held_out, joined_families, judging_families

SPLIT = SplitConfig()


def ask(text: str, family: str, *, critical: bool = False) -> Prompt:
    return Prompt.of([Message(role="user", content=text)], family=family, critical=critical)


def families(*, held_out: bool, count: int) -> list[str]:
    """The first family names on one side of the split."""
    names = (f"family-{number}" for number in range(1000))
    return [name for name in names if (unit_interval(f"redpen:{name}") < 0.2) is held_out][:count]


def test_a_family_lies_on_the_side_that_its_hash_says_for_ever() -> None:
    # sha256("redpen:family-0") begins with 0xef = 239, and 239/256 = 0.93 is above the share of 0.2; family-4 lies at 0.07
    assert not is_held_out(ask("q", "family-0"), SPLIT)
    assert is_held_out(ask("q", "family-4"), SPLIT)


def test_about_the_asked_share_is_held_out() -> None:
    share = sum(is_held_out(ask("q", f"family-{number}"), SPLIT) for number in range(4000)) / 4000
    assert abs(share - 0.2) < 0.02  # three standard errors: 3 * sqrt(0.2 * 0.8 / 4000) = 0.019


def test_a_critical_question_holds_out_its_whole_family() -> None:
    name = families(held_out=False, count=1)[0]
    prompts = [ask("plain", name), ask("critical", name, critical=True)]
    assert not is_held_out(prompts[0], SPLIT)
    assert held_out_families(prompts, SPLIT) == {name}


def test_a_question_asked_in_a_held_out_family_holds_out_the_other_family_too() -> None:
    kept, held = families(held_out=False, count=2), families(held_out=True, count=1)[0]
    prompts = [ask("What is it?", kept[0]), ask("What is it? ", held), ask("Another one?", kept[1])]
    assert held_out_families(prompts, SPLIT) == {kept[0], held}


def test_families_joined_through_a_third_are_held_out_together() -> None:
    a, b, c = families(held_out=False, count=3)
    prompts = [ask("one", a), ask("one ", b), ask("two", b), ask("two ", c, critical=True)]
    assert held_out_families(prompts, SPLIT) == {a, b, c}


def test_a_synthetic_question_holds_out_nothing_and_follows_the_real_ones_of_its_family() -> None:
    alone, shared = families(held_out=True, count=2)
    written = [ask(f"variation of {name}", name).model_copy(update={"synthetic": True}) for name in (alone, shared)]
    assert held_out_families(written, SPLIT) == set()
    assert held_out_families([*written, ask("asked by people", shared)], SPLIT) == {shared}


NEAR = ("How do I return a parcel that was damaged on its way?", "how do I return the parcel that was damaged on its way")


def test_a_question_added_later_that_is_nearly_a_held_out_one_is_held_out() -> None:
    free, held = families(held_out=False, count=1)[0], families(held_out=True, count=1)[0]
    before = [ask(NEAR[0], held)]
    later = [*before, ask(NEAR[1], free)]
    assert held_out_families(before, SPLIT) == {held}
    assert held_out_families(later, SPLIT) == {held, free}
    group, = joined_families(later, SPLIT)
    assert (group.held_out, group.left_training) == (True, (free,))


def test_families_that_train_and_ask_nearly_the_same_go_on_training_as_one() -> None:
    one, other = sorted(families(held_out=False, count=2))
    prompts = [ask(NEAR[0], one), ask(NEAR[1], other)]
    assert held_out_families(prompts, SPLIT) == set()
    assert joined_families(prompts, SPLIT) == (Joined(families=(one, other), held_out=False, left_training=()),)


def test_a_family_that_left_training_does_not_judge_either() -> None:
    free, held = families(held_out=False, count=1)[0], families(held_out=True, count=1)[0]
    assert judging_families([ask(NEAR[0], held), ask(NEAR[1], free)], SPLIT) == {held}


STOCK = [NEAR[0], NEAR[1], "Where is my parcel?", "How do I pay by card?", "how do i pay with card", "12 + 13?", "12 + 14?"]
asked = st.lists(st.tuples(st.sampled_from(STOCK), st.sampled_from([f"f{n}" for n in range(8)]), st.booleans()), max_size=10)


@given(asked, asked)
def test_a_family_once_held_out_stays_held_out_whatever_is_added(first: list[tuple[str, str, bool]],
                                                                later: list[tuple[str, str, bool]]) -> None:
    half = SplitConfig(held_out_share=0.5)
    prompts = [ask(text, family, critical=critical) for text, family, critical in first]
    grown = prompts + [ask(text, family, critical=critical) for text, family, critical in later]
    assert held_out_families(prompts, half) <= held_out_families(grown, half)


@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.sampled_from(["f1", "f2", "f3", "f4", "f5", "f6"]), st.booleans()),
                max_size=12), st.randoms())
def test_the_order_of_prompts_moves_no_family(rows: list[tuple[str, str, bool]], chance: object) -> None:
    prompts = [ask(text, family, critical=critical) for text, family, critical in rows]
    shuffled = list(prompts)
    chance.shuffle(shuffled)  # type: ignore[attr-defined]
    held_out = held_out_families(prompts, SPLIT)
    assert held_out_families(shuffled, SPLIT) == held_out
    assert {prompt.family for prompt in prompts if is_held_out(prompt, SPLIT)} <= held_out
