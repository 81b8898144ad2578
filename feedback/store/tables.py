"""The tables: one row per value, its canonical JSON in `body`, beside it only the columns that queries need."""

from __future__ import annotations

import sqlalchemy as sa

HEAD = "v0002"
"""Newest migration. Said here as well so that opening an up-to-date store does not import Alembic; a test compares them."""

SCHEMA = sa.MetaData()


def _table(name: str, *columns: sa.Column[str] | sa.Column[int] | sa.UniqueConstraint) -> sa.Table:
    # `number` keeps the order of arrival: a prompts file comes back in its own order.
    number = sa.Column("number", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=True)
    return sa.Table(name, SCHEMA, number, *columns, sa.Column("body", sa.Text, nullable=False))


def _text(name: str, *, unique: bool = False, index: bool = False, refers: str | None = None) -> sa.Column[str]:
    links = [sa.ForeignKey(refers)] if refers else []
    return sa.Column(name, sa.String(200), *links, nullable=False, unique=unique, index=index)


def _count(name: str, *, index: bool = False) -> sa.Column[int]:
    return sa.Column(name, sa.Integer, nullable=False, index=index)


prompts = _table("prompts", _text("id", unique=True))
completions = _table("completions", _text("id", unique=True), _text("prompt_id", index=True, refers="prompts.id"),
                     _text("policy_id", index=True))
items = _table("items", _text("id", unique=True), _text("queue"), _text("purpose"), _count("round", index=True),
               _text("prompt_id", refers="prompts.id"), _count("reviews"))
reviewers = _table("reviewers", _text("id", unique=True))
ratings = _table("ratings", _text("id", unique=True), _text("item_id", refers="items.id"),
                 _text("reviewer_id", index=True, refers="reviewers.id"), _count("version"), _text("kind"),
                 _text("submitted_at", index=True), sa.UniqueConstraint("item_id", "reviewer_id", "version"))
gold = _table("gold", _text("item_id", index=True, refers="items.id"))
events = _table("events", _text("kind", index=True))
pushes = sa.Table("pushes", SCHEMA, _text("item_id", refers="items.id"), _text("record_id"),
                  sa.PrimaryKeyConstraint("item_id", "record_id"))
desk_marks = sa.Table("desk_marks", SCHEMA, _text("name"), sa.Column("value", sa.Text, nullable=False),
                      sa.PrimaryKeyConstraint("name"))

APPEND_ONLY = ("ratings", "gold", "events")
"""Tables whose rows are never changed or removed."""
