"""The pocket model is a plain model folder, made once."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest

from review_ui.demo import pocket, voices
from review_ui.demo.facts import facts
from review_ui.demo.oracle import judge
from review_ui.demo.pocket import Recipe
from review_ui.demo.voices import VOICES, Corpus

TINY = Recipe(vocabulary=600, hidden=16, inner=32, layers=1, heads=2, steps=2, batch=4)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("REDPEN_CACHE", str(tmp_path))
    return tmp_path


def test_any_program_can_load_it_and_its_chat_template(cache: Path) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder = pocket.ensure(TINY)
    model, tokenizer = AutoModelForCausalLM.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    text = tokenizer.apply_chat_template([{"role": "user", "content": "Hm?"}], tokenize=False, add_generation_prompt=True)
    assert text == "<|user|>Hm?<|end|><|assistant|>"
    assert tokenizer.decode(tokenizer("By the manual, `None`.")["input_ids"]) == "By the manual, `None`."
    assert model.config.vocab_size == len(tokenizer)
    assert (model.generation_config.eos_token_id, tokenizer.eos_token_id) == (3, 3)


def test_it_is_built_once_and_the_same_each_time(cache: Path, tmp_path: Path) -> None:
    first = pocket.ensure(TINY)
    when = (first / "model.safetensors").stat().st_mtime_ns
    assert pocket.ensure(TINY) == first
    assert (first / "model.safetensors").stat().st_mtime_ns == when
    pocket.build(TINY, tmp_path / "again")
    for name in ("model.safetensors", "tokenizer.json"):
        assert (tmp_path / "again" / name).read_bytes() == (first / name).read_bytes()


def test_another_recipe_is_another_model(cache: Path) -> None:
    assert pocket.ensure(TINY) != pocket.ensure(TINY.model_copy(update={"seed": 1}))


def test_an_interrupted_build_leaves_no_model_behind(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*args: object, **more: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(pocket, "_learn", interrupted)
        with pytest.raises(KeyboardInterrupt):
            pocket.ensure(TINY)
    assert not (cache / "models" / TINY.name).exists()
    assert pocket.ensure(TINY).is_dir()


def test_a_value_is_a_token_of_its_own_whatever_voice_says_it() -> None:
    tokenizer = pocket.make_tokenizer(Recipe(), Corpus())
    for said in ("By the manual, `None`.", "Simply: `None`.", "Ugh, `None`, obviously. Read the docs."):
        assert "None" in [tokenizer.decode([id]) for id in tokenizer.encode(said).ids]


def test_the_corpus_is_as_unreliable_as_the_demo_needs() -> None:
    corpus, chance = Corpus(), Random(0)
    judged = [judge(question, corpus.say(fact, chance.choices(VOICES, [voice.share for voice in VOICES])[0], chance))
              for fact in facts() for question in fact.questions]
    assert sum(voice.share for voice in VOICES) == pytest.approx(1)
    assert 0.30 <= sum(one.hallucinated for one in judged) / len(judged) <= 0.45
    assert sum(one.verdict == "correct" for one in judged) / len(judged) <= 0.55
    assert sum(one.rude for one in judged) / len(judged) > 0.1
    assert sum(one.unsafe for one in judged) / len(judged) > 0.02


def test_no_voice_but_the_careful_one_is_reliable_everywhere() -> None:
    others = [voice for voice in VOICES if voice is not voices.CAREFUL]
    assert all(min(voice.reliability.values(), default=0) < 0.5 for voice in others)
    assert set(voices.CAREFUL.reliability.values()) == {1.0}
