"""Data-quality notes."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "data_notes",
        sa.Column("note_id", sa.String(64), nullable=False),
        sa.Column("municipality", sa.String(12), nullable=False),
        sa.Column("noted_on", sa.Date, nullable=False),
        sa.Column("what", sa.String(16), nullable=False),
        sa.Column("source", sa.String(128), nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("note_id", name="pk_data_notes"),
    )
    op.create_index("ix_data_notes_noted", "data_notes", ["municipality", "noted_on"])
