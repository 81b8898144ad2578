"""Mistakes of argilla-server 2.8.0 that people would meet, put right."""

from __future__ import annotations

from argilla_server.models import Record, Vector
from sqlalchemy import Select, event
from sqlalchemy.orm import ORMExecuteState, Session, defaultload


def read_records_with_vectors() -> None:
    """Load the name of a vector together with it: without, reading one record that has vectors is an error 500."""
    def with_name(state: ORMExecuteState) -> None:
        if isinstance(state.statement, Select) and any(one["expr"] is Record for one in state.statement.column_descriptions):
            state.statement = state.statement.options(defaultload(Record.vectors).joinedload(Vector.vector_settings))

    event.listen(Session, "do_orm_execute", with_name)
