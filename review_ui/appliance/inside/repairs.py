"""Mistakes of argilla-server 2.8.0 that people would meet, put right."""

from __future__ import annotations

from argilla_server.models import Vector
from sqlalchemy import inspect


def read_records_with_vectors() -> None:
    """Load the name of a vector together with it: without, reading one record that has vectors is an error 500.

    Set as the relationship's own habit: an option added to a query would contradict those that name another way of loading.
    """
    name = inspect(Vector).relationships["vector_settings"]
    name.lazy = "selectin"
    name.strategy_key = (("lazy", "selectin"),)
