"""Answers packed beside each other learn exactly what they would alone."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest

from review_ui.demo.packing import Answer, Batch, Row, batches, loss, pack

QUESTION = (5, 6, 7, 8)
FIRST = Answer(ids=(11, 12, 3), weights=(0.25, 1.5, 1.5))
SECOND = Answer(ids=(13, 14, 15, 16, 3), weights=(0.75, 1.0, 1.0, 1.0, 1.0))


@pytest.fixture(scope="module")
def model() -> Any:
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    return LlamaForCausalLM(LlamaConfig(vocab_size=20, hidden_size=16, intermediate_size=32, num_hidden_layers=2,
                                        num_attention_heads=2, num_key_value_heads=2, pad_token_id=0)).eval()


def alone(model: Any, answer: Answer) -> float:
    """The weighted negative log-likelihood of one answer behind the question, the plain way."""
    import torch

    ids = torch.tensor([[*QUESTION, *answer.ids]])
    with torch.no_grad():
        logps = model(input_ids=ids).logits[0].log_softmax(-1)
    places = range(len(QUESTION) - 1, ids.shape[1] - 1)
    return -sum(weight * float(logps[place, id]) for place, id, weight in zip(places, answer.ids, answer.weights, strict=True))


def packed(model: Any, *rows: Row, batch: Batch | None = None) -> float:
    """The loss of the rows, or of a batch made otherwise."""
    return float(loss(model, batch or pack(rows)).detach())


def test_a_packed_row_has_the_loss_of_its_answers_apart(model: Any) -> None:
    assert packed(model, Row(QUESTION, (FIRST, SECOND))) == pytest.approx(alone(model, FIRST) + alone(model, SECOND), rel=1e-5)


def test_padding_changes_nothing(model: Any) -> None:
    rows = [Row(QUESTION, (FIRST, SECOND)), Row(QUESTION, (FIRST,))]
    apart = [packed(model, row) for row in rows]
    assert packed(model, *rows) == pytest.approx(sum(apart) / 2, rel=1e-5)


def test_answers_do_not_see_each_other(model: Any) -> None:
    """The check above would fail: with a plain causal mask the second answer reads the first."""
    batch = pack([Row(QUESTION, (FIRST, SECOND))])
    batch.mask_B_1_L_L[:] = 0
    assert packed(model, batch=batch) != pytest.approx(alone(model, FIRST) + alone(model, SECOND), rel=1e-3)


def test_every_row_is_in_one_batch_with_rows_of_like_length() -> None:
    rows = [Row(QUESTION + (5,) * n, (FIRST,)) for n in range(10)]
    made = list(batches(Random(0).sample(rows, 10), size=4, chance=Random(1)))
    assert sorted(row.length for batch in made for row in batch) == sorted(row.length for row in rows)
    assert sorted(max(row.length for row in batch) - min(row.length for row in batch) for batch in made) == [1, 3, 3]
