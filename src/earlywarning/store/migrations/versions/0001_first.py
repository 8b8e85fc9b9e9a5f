"""The first schema: pages, alerts and history, settings versions, dead letters, states."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "pages",
        sa.Column("municipality", sa.String(12), nullable=False),
        sa.Column("day", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("page", sa.LargeBinary, nullable=False),
        sa.Column("events", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("municipality", "day", name="pk_pages"),
    )
    op.create_table(
        "alerts",
        sa.Column("alert_id", sa.String(64), nullable=False),
        sa.Column("municipality", sa.String(12), nullable=False),
        sa.Column("opened_on", sa.Date, nullable=False),
        sa.Column("first_day", sa.Date, nullable=False),
        sa.Column("last_day", sa.Date, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("tendency", sa.String(16), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("observed", sa.Float, nullable=False),
        sa.Column("expected", sa.Float, nullable=False),
        sa.Column("upper_bound", sa.Float, nullable=False),
        sa.Column("recurrence_days", sa.Float, nullable=False),
        sa.Column("settings_version", sa.String(12), nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("alert_id", name="pk_alerts"),
    )
    op.create_index("ix_alerts_opened", "alerts", ["municipality", "opened_on"])
    op.create_index("ix_alerts_state", "alerts", ["municipality", "state"])
    op.create_table(
        "alert_history",
        sa.Column("id", sa.Integer, autoincrement=True, nullable=False),
        sa.Column("alert_id", sa.String(64), nullable=False),
        sa.Column("change", sa.String(16), nullable=False),
        sa.Column("changed_on", sa.Date, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_alert_history"),
    )
    op.create_index("ix_alert_history_alert", "alert_history", ["alert_id", "id"])
    op.create_table(
        "settings_versions",
        sa.Column("number", sa.Integer, autoincrement=True, nullable=False),
        sa.Column("version", sa.String(12), nullable=False),
        sa.Column("applied_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_settings_versions"),
    )
    op.create_table(
        "dead_letters",
        sa.Column("id", sa.Integer, autoincrement=True, nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("municipality", sa.String(12), nullable=False),
        sa.Column("source", sa.String(128)),
        sa.Column("event_id", sa.String(128)),
        sa.Column("kind", sa.String(16)),
        sa.Column("way", sa.String(255), nullable=False),
        sa.Column("position", sa.Integer, nullable=False),
        sa.Column("field", sa.String(64), nullable=False),
        sa.Column("rule", sa.String(64), nullable=False),
        sa.Column("problem", sa.Text, nullable=False),
        sa.Column("payload", sa.Text),
        sa.Column("format", sa.String(80), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("settled_at", sa.DateTime(timezone=True)),
        sa.PrimaryKeyConstraint("id", name="pk_dead_letters"),
    )
    op.create_index("ix_dead_letters_state", "dead_letters", ["state", "id"])
    op.create_index("ix_dead_letters_place", "dead_letters", ["way", "position", "rule"])
    op.create_table(
        "engine_state",
        sa.Column("municipality", sa.String(12), nullable=False),
        sa.Column("clock_day", sa.Integer, nullable=False),
        sa.Column("clock_hour", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("municipality", name="pk_engine_state"),
    )
    op.create_table(
        "source_state",
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_source_state"),
    )
