"""The first schema.

A migration is frozen: it spells its tables out and does not read `feedback.store.tables`, which moves on.
"""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision = "v0001"
down_revision: str | None = None
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None


def upgrade() -> None:
    """Create every table, and in SQLite the triggers that keep ratings and events append-only."""
    _create("prompts", _text("id", unique=True))
    _create("completions", _text("id", unique=True), _text("prompt_id", "prompts.id"), _text("policy_id"))
    _create("items", _text("id", unique=True), _text("queue"), _text("purpose"), sa.Column("round", sa.Integer, nullable=False),
            _text("prompt_id", "prompts.id"), sa.Column("reviews", sa.Integer, nullable=False))
    _create("reviewers", _text("id", unique=True))
    _create("ratings", _text("id", unique=True), _text("item_id", "items.id"), _text("reviewer_id", "reviewers.id"),
            sa.Column("version", sa.Integer, nullable=False), _text("kind"), _text("submitted_at"),
            sa.UniqueConstraint("item_id", "reviewer_id", "version"))
    _create("events", _text("kind"))
    op.create_table("pushes", _text("item_id", "items.id"), _text("record_id"), sa.PrimaryKeyConstraint("item_id", "record_id"))
    op.create_table("desk_marks", _text("name"), sa.Column("value", sa.Text, nullable=False), sa.PrimaryKeyConstraint("name"))
    for table, column in (("completions", "prompt_id"), ("completions", "policy_id"), ("items", "round"),
                          ("ratings", "reviewer_id"), ("ratings", "submitted_at"), ("events", "kind")):
        op.create_index(f"ix_{table}_{column}", table, [column])
    if op.get_bind().dialect.name == "sqlite":
        _refuse_changes("ratings")
        _refuse_changes("events")


def downgrade() -> None:
    """Refuse: the store is append-only, and its first schema has nothing before it."""
    raise NotImplementedError("the first schema cannot be undone; delete the store file instead")


def _create(name: str, *columns: sa.Column[str] | sa.Column[int] | sa.UniqueConstraint) -> None:
    number = sa.Column("number", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=True)
    op.create_table(name, number, *columns, sa.Column("body", sa.Text, nullable=False))


def _text(name: str, refers: str | None = None, *, unique: bool = False) -> sa.Column[str]:
    links = [sa.ForeignKey(refers)] if refers else []
    return sa.Column(name, sa.String(200), *links, nullable=False, unique=unique)


def _refuse_changes(table: str) -> None:
    for verb in ("UPDATE", "DELETE"):
        op.execute(f"CREATE TRIGGER {table}_refuse_{verb.lower()} BEFORE {verb} ON {table} "
                   f"BEGIN SELECT RAISE(ABORT, '{table} are append-only'); END")
