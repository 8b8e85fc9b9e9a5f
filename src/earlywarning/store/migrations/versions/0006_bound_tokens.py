"""Tokens that are bound to a source, and attempts to sign in that all processes count together."""

import sqlalchemy as sa
from alembic import op

from earlywarning.store.tables import Instant

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("tokens", sa.Column("source", sa.String(64)))
    op.create_table(
        "sign_in_attempts",
        sa.Column("id", sa.Integer, nullable=False, autoincrement=True),
        sa.Column("municipality", sa.String(12), nullable=False),
        sa.Column("key_hash", sa.String(64), nullable=False),
        sa.Column("at", Instant, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_sign_in_attempts"),
    )
    op.create_index("ix_sign_in_attempts_key", "sign_in_attempts", ["municipality", "key_hash", "at"])
