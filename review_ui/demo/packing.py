"""Training rows of the pocket model: one question with several answers beside each other, each seeing only the question.

    B rows in a batch, L tokens of the longest row, N answer tokens that are learned

Half of a plain row would be the question; here it is paid for once. Attention and positions make each answer look as if
it stood alone behind the question, so the model learns exactly what separate rows would teach.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer's tokens, the end token last, and how much each counts."""

    ids: tuple[int, ...]
    weights: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Row:
    """A question's tokens and answers to it."""

    question: tuple[int, ...]
    answers: tuple[Answer, ...]

    @property
    def length(self) -> int:
        """Tokens that go into the model: of each answer all but the last."""
        return len(self.question) + sum(len(answer.ids) - 1 for answer in self.answers)


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows as tensors."""

    ids_B_L: torch.Tensor
    positions_B_L: torch.Tensor
    mask_B_1_L_L: torch.Tensor
    """Added to attention: 0 where a token may look, a large negative number elsewhere."""
    rows_N: torch.Tensor
    columns_N: torch.Tensor
    """Where each learned token is predicted from."""
    targets_N: torch.Tensor
    weights_N: torch.Tensor


def batches(rows: Sequence[Row], *, size: int, chance: Random) -> Iterator[list[Row]]:
    """The rows in batches of like length, the batches in random order."""
    ordered = sorted(rows, key=lambda row: row.length)
    groups = [list(ordered[start:start + size]) for start in range(0, len(ordered), size)]
    chance.shuffle(groups)
    return iter(groups)


def pack(rows: Sequence[Row]) -> Batch:
    """The rows as one batch, padded on the right with token 0."""
    import torch

    longest = max(row.length for row in rows)
    ids, positions, parts = (torch.full((len(rows), longest), fill) for fill in (0, 0, -1))
    learned: list[tuple[int, int, int, float]] = []
    for number, row in enumerate(rows):
        end = len(row.question)
        ids[number, :end], positions[number, :end], parts[number, :end] = torch.tensor(row.question), torch.arange(end), 0
        for part, answer in enumerate(row.answers, start=1):
            # The question's last token predicts the first token of every answer.
            columns = [len(row.question) - 1, *range(end, end + len(answer.ids) - 1)]
            learned += [(number, *each) for each in zip(columns, answer.ids, answer.weights, strict=True)]
            inside = slice(end, end := end + len(answer.ids) - 1)
            ids[number, inside] = torch.tensor(answer.ids[:-1])
            positions[number, inside] = torch.arange(len(row.question), len(row.question) + len(answer.ids) - 1)
            parts[number, inside] = part
    return Batch(ids, positions, _mask(parts), *(torch.tensor(column) for column in zip(*learned, strict=True)))


def _mask(parts_B_L: torch.Tensor) -> torch.Tensor:
    """A token sees those before it in its own part and in the question; padding sees itself, so that no row is all hidden."""
    import torch

    length = parts_B_L.shape[1]
    earlier = torch.ones(length, length, dtype=torch.bool).tril()
    same = (parts_B_L[:, :, None] == parts_B_L[:, None, :]) | (parts_B_L[:, None, :] == 0)
    sees = (same & earlier) | torch.eye(length, dtype=torch.bool)
    return torch.zeros(sees.shape).masked_fill(~sees, torch.finfo(torch.float32).min)[:, None]


def loss(model: Any, batch: Batch) -> torch.Tensor:
    """Weighted negative log-likelihood of the answers, per row."""
    import torch

    hidden = model.model(input_ids=batch.ids_B_L, attention_mask=batch.mask_B_1_L_L, position_ids=batch.positions_B_L,
                         use_cache=False).last_hidden_state
    # Only where an answer's token is predicted: the vocabulary is the widest layer.
    logits_N_V = model.lm_head(hidden[batch.rows_N, batch.columns_N])
    losses_N = torch.nn.functional.cross_entropy(logits_N_V, batch.targets_N, reduction="none")
    return (losses_N * batch.weights_N).sum() / len(batch.ids_B_L)
