"""No reviewer alone steers a model: what the rows of those who gave more than their share weigh."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from feedback.errors import InvalidInput
from feedback.ids import ReviewerId

ROUNDS = 200


def capped_weights(rows: Sequence[Collection[ReviewerId]], *, most: float) -> list[float]:
    """A weight for each row, at most 1, so that nobody's part of all weight exceeds `most`.

    `rows`: the reviewers that each training row rests on; a row's weight is shared evenly between them, and is the mean of
    their factors. With fewer than 1 / `most` reviewers the nearest thing is that all have equal parts. A row of nobody weighs 1.
    For `weight` of pairs and examples; reliability enters `reversed_probability` instead, never both.
    Raises InvalidInput when `most` is not above 0 and at most 1.
    """
    if not 0 < most <= 1:
        raise InvalidInput(f"a reviewer's greatest share is {most}; use a number above 0 and at most 1, such as 0.3")
    everybody = sorted({reviewer for row in rows for reviewer in row})
    if not everybody:
        return [1.0] * len(rows)
    limit = max(most, 1 / len(everybody))
    factor = dict.fromkeys(everybody, 1.0)
    for _ in range(ROUNDS):
        weights = [_weight(row, factor) for row in rows]
        part = dict.fromkeys(everybody, 0.0)
        for row, weight in zip(rows, weights, strict=True):
            for reviewer in row:
                part[reviewer] += weight / len(row)
        total = sum(part.values())
        over = {reviewer: held for reviewer, held in part.items() if held > (limit + 1e-9) * total}
        if not over:
            break
        for reviewer, held in over.items():
            # What the others hold stays: f * held / (f * held + rest) = limit.
            rest = total - held
            factor[reviewer] *= min(1.0, limit / (1 - limit) * rest / held) if limit < 1 else 1.0
    # Where all hold the same, everybody was scaled; the largest weighs 1 again.
    largest = max(factor.values())
    return [_weight(row, {reviewer: value / largest for reviewer, value in factor.items()}) for row in rows]


def _weight(row: Collection[ReviewerId], factor: dict[ReviewerId, float]) -> float:
    return sum(factor[reviewer] for reviewer in row) / len(row) if row else 1.0
