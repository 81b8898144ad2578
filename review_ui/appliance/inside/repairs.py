"""Mistakes of argilla-server 2.8.0 that people would meet, put right."""

from __future__ import annotations

from argilla_server.models import Record, Vector
from sqlalchemy import event, inspect
from sqlalchemy.orm import ORMExecuteState, Session, defaultload


def read_records_with_vectors() -> None:
    """Load the name of a vector together with it: without, reading one record that has vectors is an error 500."""
    records = inspect(Record)

    def with_name(state: ORMExecuteState) -> None:
        if state.is_select and state.bind_mapper is records:
            state.statement = state.statement.options(defaultload(Record.vectors).joinedload(Vector.vector_settings))

    event.listen(Session, "do_orm_execute", with_name)
