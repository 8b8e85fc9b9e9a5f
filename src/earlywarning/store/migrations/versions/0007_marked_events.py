"""Known events that somebody has marked, against which settings are tried in the lab."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "marked_events",
        sa.Column("mark_id", sa.Integer, nullable=False, autoincrement=True),
        sa.Column("municipality", sa.String(12), nullable=False),
        sa.Column("first_day", sa.Date, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("mark_id", name="pk_marked_events"),
    )
    op.create_index("ix_marked_events_days", "marked_events", ["municipality", "first_day"])
