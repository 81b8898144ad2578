"""Known answers of gold items."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision = "v0002"
down_revision: str | None = "v0001"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None


def upgrade() -> None:
    """Create the table, and in SQLite the triggers that keep it append-only."""
    number = sa.Column("number", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=True)
    item = sa.Column("item_id", sa.String(200), sa.ForeignKey("items.id"), nullable=False)
    op.create_table("gold", number, item, sa.Column("body", sa.Text, nullable=False))
    op.create_index("ix_gold_item_id", "gold", ["item_id"])
    if op.get_bind().dialect.name == "sqlite":
        for verb in ("UPDATE", "DELETE"):
            op.execute(f"CREATE TRIGGER gold_refuse_{verb.lower()} BEFORE {verb} ON gold "
                       "BEGIN SELECT RAISE(ABORT, 'gold answers are append-only'); END")


def downgrade() -> None:
    """Refuse: the store is append-only."""
    raise NotImplementedError("the store is append-only; open a copy from before the upgrade instead")
