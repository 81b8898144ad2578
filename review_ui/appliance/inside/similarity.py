"""Exact nearest neighbours by cosine, over vectors kept in memory in the form that NumPy multiplies."""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import UUID

if TYPE_CHECKING:
    import numpy

# V vectors of one setting, D their dimensions.


@dataclass(frozen=True, slots=True)
class _Table:
    stamp: tuple[Any, ...]
    numbers_V: numpy.ndarray
    unit_VD: numpy.ndarray
    """Each row has length 1; a zero vector stays zero and is similar to nothing."""


class Vectors:
    """The vectors of every setting that was asked about, read again when the table has changed."""

    def __init__(self) -> None:
        self._tables: dict[UUID, _Table] = {}
        self._lock = threading.Lock()

    def nearest(self, connection: sqlite3.Connection, settings_id: UUID, query: Sequence[float], *, among: Sequence[int] | None,
                limit: int) -> list[tuple[int, float]]:
        """Document numbers and scores, best first. The score is (1 + cosine) / 2, as Elasticsearch gives it; `among` keeps
        only these documents."""
        import numpy

        table = self._table(connection, settings_id)
        numbers_V, unit_VD = table.numbers_V, table.unit_VD
        if among is not None:
            kept = numpy.isin(numbers_V, numpy.asarray(among, dtype=numpy.int64))
            numbers_V, unit_VD = numbers_V[kept], unit_VD[kept]
        if not len(numbers_V):
            return []
        vector_D = numpy.asarray(query, dtype=numpy.float32)
        vector_D = vector_D / (numpy.linalg.norm(vector_D) or 1.0)
        scores_V = (1 + numpy.clip(unit_VD @ vector_D, -1, 1)) / 2
        best = numpy.lexsort((numbers_V, -scores_V))[:limit]
        return [(int(numbers_V[index]), float(scores_V[index])) for index in best]

    def _table(self, connection: sqlite3.Connection, settings_id: UUID) -> _Table:
        stamp = connection.execute("SELECT count(*), max(updated_at), max(rowid) FROM vectors WHERE vector_settings_id = ?",
                                   (settings_id.hex,)).fetchone()
        with self._lock:
            table = self._tables.get(settings_id)
            if table is None or table.stamp != stamp:
                table = self._tables[settings_id] = _load(connection, settings_id, stamp)
            return table


def _load(connection: sqlite3.Connection, settings_id: UUID, stamp: tuple[Any, ...]) -> _Table:
    import numpy

    rows = connection.execute(
        """SELECT document.number, vector.value FROM vectors AS vector
           JOIN redpen_documents AS document ON document.record_id = vector.record_id
           WHERE vector.vector_settings_id = ? ORDER BY document.number""", (settings_id.hex,)).fetchall()
    unit_VD = numpy.asarray([json.loads(value) for _, value in rows], dtype=numpy.float32).reshape(len(rows), -1)
    lengths_V1 = numpy.linalg.norm(unit_VD, axis=1, keepdims=True)
    unit_VD = numpy.divide(unit_VD, lengths_V1, out=numpy.zeros_like(unit_VD), where=lengths_V1 > 0)
    return _Table(stamp, numpy.asarray([number for number, _ in rows], dtype=numpy.int64), unit_VD)
