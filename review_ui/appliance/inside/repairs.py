"""Mistakes of argilla-server 2.8.0 that people would meet, put right."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from argilla_server.models import Record, Vector
from sqlalchemy.orm import defaultload


def read_records_with_vectors() -> None:
    """Load the name of a vector together with it: without, reading one record that has vectors is an error 500.

    Only where one record is read: queries for many name their own way of loading, and two ways contradict each other.
    """
    original = Record.get.__func__

    async def get(cls: type[Record], db: Any, id: Any, options: Sequence[Any] = ()) -> Any:
        return await original(cls, db, id, [*options, defaultload(Record.vectors).selectinload(Vector.vector_settings)])

    Record.get = classmethod(get)
