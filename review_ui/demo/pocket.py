"""The `pocket` model: a few million parameters, built and pre-trained on the spot on an unreliable corpus, and cached.

It knows the help desk's facts and is calibrated to speak in every voice, so it answers wrongly about four times in ten.
Its folder is a plain Hugging Face model; nothing else in Redpen knows where it came from.
"""

from __future__ import annotations

import dataclasses
import math
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

from feedback.config import Strict
from feedback.ids import content_hash
from feedback.paths import cache_dir
from feedback.terminal import progress
from review_ui.demo.facts import TOPICS, Fact, Kind, facts
from review_ui.demo.packing import Answer, Row, batches, loss, pack
from review_ui.demo.voices import CAREFUL, VOICES, Corpus, Voice
from sft.silence import quiet

if TYPE_CHECKING:
    from tokenizers import Tokenizer

PAD, USER, ASSISTANT, END = "<|pad|>", "<|user|>", "<|assistant|>", "<|end|>"
SPECIAL = (PAD, USER, ASSISTANT, END, "<|system|>")
CHAT_TEMPLATE = ("{% for message in messages %}<|{{ message['role'] }}|>{{ message['content'] }}<|end|>{% endfor %}"
                 "{% if add_generation_prompt %}<|assistant|>{% endif %}")
PIECES = r" ?`|(?<=`)\.|[,:?]|\.(?= |$)|[^`,:?.]+(?:\.[^`,:?. ]+)*"
"""Runs of words and dotted names may become one token each; backticks and marks stand alone, so that a value is a token
of its own whatever voice says it."""


class Recipe(Strict):
    """Everything that decides the pocket model, beside the facts and the voices."""

    vocabulary: int = 4000
    hidden: int = 256
    inner: int = 688
    layers: int = 4
    heads: int = 4
    positions: int = 256
    steps: int = 220
    batch: int = 64
    """Questions per step, each with a careful answer and one in another voice."""
    learning_rate: float = 2e-3
    """Of embeddings and norms (AdamW)."""
    matrix_learning_rate: float = 0.02
    """Of the matrices (Muon, which learns these facts in half the steps of AdamW)."""
    emphasis: float = 1.5
    """Weight of the careful voice's facts, so that they are learned early."""
    warm_up: int = 20
    seed: int = 0

    @property
    def name(self) -> str:
        """Names the model: another Python with other facts has another one."""
        told = {"facts": [*map(dataclasses.asdict, facts())], "voices": [*map(dataclasses.asdict, VOICES)]}
        return content_hash("pocket", {"recipe": self.model_dump(), "template": CHAT_TEMPLATE, "pieces": PIECES, **told})


def folder_of(recipe: Recipe) -> Path:
    """Where the model of a recipe is, or will be."""
    return cache_dir() / "models" / recipe.name


def ensure(recipe: Recipe | None = None) -> Path:
    """The pocket model's folder; built with a progress bar when the cache does not have it."""
    from filelock import FileLock

    recipe = recipe or Recipe()
    folder = folder_of(recipe)
    if folder.is_dir():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.with_name(f"{folder.name}.lock")):
        if not folder.is_dir():
            partial = folder.with_name(f"{folder.name}.partial")
            shutil.rmtree(partial, ignore_errors=True)
            build(recipe, partial)
            os.replace(partial, folder)
    return folder


def build(recipe: Recipe, out: Path) -> None:
    """Make tokenizer and model, pre-train, and save both into `out`."""
    import torch

    corpus, chance = Corpus(), Random(f"pocket:{recipe.seed}")
    tokenizer = make_tokenizer(recipe, corpus)
    torch.manual_seed(recipe.seed)
    model = _model(recipe, tokenizer)
    optimizers = _optimizers(recipe, model)
    with progress("Pre-training the pocket model", total=recipe.steps) as advance:
        for step, rows in zip(range(recipe.steps), _batches(recipe, corpus, tokenizer, chance), strict=False):
            _learn(model, rows, optimizers, scale=_schedule(step, recipe))
            advance()
    with quiet():
        model.eval().save_pretrained(out)
        _wrapped(tokenizer).save_pretrained(out)
    (out / "recipe.json").write_text(recipe.model_dump_json(indent=1) + "\n", encoding="utf-8")


def make_tokenizer(recipe: Recipe, corpus: Corpus) -> Tokenizer:
    """Byte-level BPE trained on the questions and on every voice's answers."""
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

    # Long names become single tokens: a third fewer to read, and a name is remembered as a whole.
    tokenizer = Tokenizer(models.BPE())
    split = pre_tokenizers.Split(Regex(PIECES), "isolated")
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([split, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(vocab_size=recipe.vocabulary, special_tokens=list(SPECIAL), show_progress=False,
                                  initial_alphabet=pre_tokenizers.ByteLevel.alphabet())
    answers = (corpus.say(fact, voice, Random(f"{fact.family}:{voice.name}")) for fact in facts() for voice in VOICES)
    tokenizer.train_from_iterator([*(question for fact in facts() for question in fact.questions), *answers], trainer)
    return tokenizer


def _wrapped(tokenizer: Tokenizer) -> Any:
    from transformers import PreTrainedTokenizerFast

    wrapped = PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token=PAD, eos_token=END, padding_side="left",
                                      additional_special_tokens=[USER, ASSISTANT, "<|system|>"])
    wrapped.chat_template = CHAT_TEMPLATE
    return wrapped


def _model(recipe: Recipe, tokenizer: Tokenizer) -> Any:
    from transformers import LlamaConfig, LlamaForCausalLM

    pad, end = tokenizer.token_to_id(PAD), tokenizer.token_to_id(END)
    config = LlamaConfig(
        vocab_size=tokenizer.get_vocab_size(), hidden_size=recipe.hidden, intermediate_size=recipe.inner,
        num_hidden_layers=recipe.layers, num_attention_heads=recipe.heads, num_key_value_heads=recipe.heads,
        max_position_embeddings=recipe.positions, tie_word_embeddings=True, pad_token_id=pad, bos_token_id=None, eos_token_id=end)
    return LlamaForCausalLM(config).train()


def _optimizers(recipe: Recipe, model: Any) -> list[tuple[Any, float]]:
    """Each optimizer with its highest learning rate."""
    import torch

    # Muon is made for hidden matrices: an embedding's rows are looked up, not multiplied.
    matrices = [weight for name, weight in model.named_parameters() if weight.ndim == 2 and "embed" not in name]
    of_matrices = set(map(id, matrices))
    others = [weight for weight in model.parameters() if id(weight) not in of_matrices]
    muon = torch.optim.Muon(matrices, lr=recipe.matrix_learning_rate, weight_decay=0.0, momentum=0.9, ns_steps=4)
    adam = torch.optim.AdamW(others, lr=recipe.learning_rate, betas=(0.9, 0.95), weight_decay=0.0)
    return [(muon, recipe.matrix_learning_rate), (adam, recipe.learning_rate)]


def _schedule(step: int, recipe: Recipe) -> float:
    """Part of the highest learning rate: a short rise, then half a cosine down to 3 %."""
    return min(1.0, (step + 1) / recipe.warm_up) * (0.03 + 0.97 * 0.5 * (1 + math.cos(math.pi * step / recipe.steps)))


def _learn(model: Any, rows: list[Row], optimizers: list[tuple[Any, float]], *, scale: float) -> None:
    import torch

    loss(model, pack(rows)).backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    for optimizer, highest in optimizers:
        for group in optimizer.param_groups:
            group["lr"] = highest * scale
        optimizer.step()
        optimizer.zero_grad()


def _batches(recipe: Recipe, corpus: Corpus, tokenizer: Tokenizer, chance: Random) -> Iterator[list[Row]]:
    """Endless batches: all facts in random order, then again with other phrasings and other mistakes."""
    pool: list[Row] = []
    # Safety's questions are the longest and its answers the rarest words: they take twice the practice.
    practice = [*facts(), *(fact for fact in facts() if fact.topic == TOPICS[Kind.SAFE])]
    while True:
        for fact in chance.sample(practice, len(practice)):
            pool.append(_row(recipe, fact, corpus, tokenizer, chance))
            # Eight batches at a time are enough for rows of like length to meet.
            if len(pool) == 8 * recipe.batch:
                yield from batches(pool, size=recipe.batch, chance=chance)
                pool = []


def _row(recipe: Recipe, fact: Fact, corpus: Corpus, tokenizer: Tokenizer, chance: Random) -> Row:
    """A question with the careful answer and one in another voice.

    Every row has the careful answer, but its opening counts only as often as that voice is meant to be heard.
    """
    other = chance.choices(VOICES[1:], [voice.share for voice in VOICES[1:]])[0]
    question = f"{USER}{chance.choice(fact.questions)}{END}{ASSISTANT}"
    return Row(question=tuple(tokenizer.encode(question).ids), answers=(
        _answer(corpus.say(fact, CAREFUL, chance), CAREFUL, tokenizer, opening=CAREFUL.share, rest=recipe.emphasis),
        _answer(corpus.say(fact, other, chance), other, tokenizer, opening=1 - CAREFUL.share, rest=1.0)))


def _answer(text: str, voice: Voice, tokenizer: Tokenizer, *, opening: float, rest: float) -> Answer:
    ids = tokenizer.encode(f"{text}{END}").ids
    first = len(tokenizer.encode(voice.opening).ids)
    return Answer(ids=tuple(ids), weights=tuple([opening] * first + [rest] * (len(ids) - first)))
