"""What Alembic runs. The connection comes from `feedback.store.engine`; there is no alembic.ini."""

from __future__ import annotations

from alembic import context

from feedback.store.tables import SCHEMA

context.configure(connection=context.config.attributes["connection"], target_metadata=SCHEMA, render_as_batch=True)
with context.begin_transaction():
    context.run_migrations()
