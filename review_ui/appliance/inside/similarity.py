"""Exact nearest neighbours by cosine, over vectors kept in memory in the form that NumPy multiplies."""

from __future__ import annotations

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
        if not len(numbers_V):
            return []
        vector_D = numpy.asarray(query, dtype=numpy.float32)
        vector_D = vector_D / (numpy.linalg.norm(vector_D) or 1.0)
        scores_V = (1 + numpy.clip(unit_VD @ vector_D, -1, 1)) / 2
        if among is not None:
            # Scores are picked out, not vectors: those would be copied.
            kept = numpy.isin(numbers_V, numpy.asarray(among, dtype=numpy.int64))
            numbers_V, scores_V = numbers_V[kept], scores_V[kept]
        if len(scores_V) > limit > 0:
            # Only those that may be among the best are sorted; equal scores at the edge are all kept until then.
            kept = scores_V >= numpy.partition(scores_V, -limit)[-limit]
            numbers_V, scores_V = numbers_V[kept], scores_V[kept]
        best = numpy.lexsort((numbers_V, -scores_V))[:limit]
        return [(int(numbers_V[index]), float(scores_V[index])) for index in best]

    def _table(self, connection: sqlite3.Connection, settings_id: UUID) -> _Table:
        with self._lock:
            known = self._tables.get(settings_id)
            stamp = _stamp(connection, settings_id)
            if known is not None and known.stamp == stamp:
                return known
            if known is not None and known.stamp != _stamp(connection, settings_id, last=known.stamp[2]):
                # Not only new ones: some were changed or removed.
                known = None
            self._tables[settings_id] = _load(connection, settings_id, stamp, known or _nothing(connection, settings_id))
            return self._tables[settings_id]


def _stamp(connection: sqlite3.Connection, settings_id: UUID, *, last: int | None = None) -> tuple[Any, ...]:
    """Changes when a vector does; of the rows up to `last` alone when it is given."""
    return tuple(connection.execute("SELECT count(*), max(updated_at), max(rowid) FROM vectors WHERE vector_settings_id = ? "
                                    "AND rowid <= coalesce(?, rowid)", (settings_id.hex, last)).fetchone())


def _nothing(connection: sqlite3.Connection, settings_id: UUID) -> _Table:
    import numpy

    (dimensions,) = connection.execute("SELECT dimensions FROM vectors_settings WHERE id = ?", (settings_id.hex,)).fetchone()
    return _Table((0, None, 0), numpy.empty(0, dtype=numpy.int64), numpy.empty((0, dimensions), dtype=numpy.float32))


def _load(connection: sqlite3.Connection, settings_id: UUID, stamp: tuple[Any, ...], known: _Table) -> _Table:
    """The known vectors and the newer ones. Rows are read one by one: as JSON they take twenty times the memory."""
    import numpy
    from pydantic_core import from_json

    rows = connection.execute(
        """SELECT document.number, vector.value FROM vectors AS vector
           JOIN redpen_documents AS document ON document.record_id = vector.record_id
           WHERE vector.vector_settings_id = ? AND vector.rowid > ?""", (settings_id.hex, known.stamp[2] or 0))
    before, dimensions = known.unit_VD.shape
    numbers_V = numpy.empty(stamp[0], dtype=numpy.int64)
    unit_VD = numpy.empty((stamp[0], dimensions), dtype=numpy.float32)
    numbers_V[:before], unit_VD[:before] = known.numbers_V, known.unit_VD
    count = before
    for number, value in rows:
        vector_D = numpy.asarray(from_json(value), dtype=numpy.float32)
        if len(vector_D) == dimensions:
            numbers_V[count], unit_VD[count] = number, vector_D / (numpy.linalg.norm(vector_D) or 1.0)
            count += 1
    return _Table(stamp, numbers_V[:count], unit_VD[:count])
