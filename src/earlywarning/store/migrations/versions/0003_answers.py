"""What the group does: casework, audit, outbox, mutes, action plans."""

import sqlalchemy as sa
from alembic import op

from earlywarning.store.tables import Instant

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_SQLITE = (
    """create trigger audit_is_kept before update on audit
    begin select raise(abort, 'the audit log is only ever added to'); end""",
    """create trigger audit_is_not_cut before delete on audit when old.at > datetime('now', '-24 months')
    begin select raise(abort, 'the audit log is kept for two years'); end""",
)
_POSTGRESQL = (
    """create function audit_guard() returns trigger language plpgsql as $$
    begin
        if tg_op = 'UPDATE' then raise exception 'the audit log is only ever added to'; end if;
        if old.at > now() - interval '24 months' then raise exception 'the audit log is kept for two years'; end if;
        return old;
    end $$""",
    "create trigger audit_is_kept before update or delete on audit for each row execute function audit_guard()",
)


def upgrade() -> None:
    op.create_table(
        "casework",
        sa.Column("alert_id", sa.String(64), nullable=False),
        sa.Column("municipality", sa.String(12), nullable=False),
        sa.Column("stage", sa.String(16), nullable=False),
        sa.Column("assessment", sa.String(16)),
        sa.Column("opened_at", Instant, nullable=False),
        sa.Column("acknowledged_at", Instant),
        sa.Column("revision", sa.Integer, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("alert_id", name="pk_casework"),
    )
    op.create_index("ix_casework_stage", "casework", ["municipality", "stage"])
    op.create_table(
        "audit",
        sa.Column("id", sa.Integer, autoincrement=True, nullable=False),
        sa.Column("municipality", sa.String(12), nullable=False),
        sa.Column("at", Instant, nullable=False),
        sa.Column("actor", sa.String(80), nullable=False),
        sa.Column("action", sa.String(32), nullable=False),
        sa.Column("subject", sa.String(96), nullable=False),
        sa.Column("answer_id", sa.String(64)),
        sa.Column("reason", sa.String(64), nullable=False),
        sa.Column("note", sa.Text, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_audit"),
    )
    op.create_index("ix_audit_subject", "audit", ["subject", "id"])
    op.create_index("ix_audit_at", "audit", ["municipality", "at"])
    op.create_index("ix_audit_answer", "audit", ["answer_id"])
    for statement in _POSTGRESQL if op.get_bind().dialect.name == "postgresql" else _SQLITE:
        op.execute(statement)
    op.create_table(
        "outbox",
        sa.Column("id", sa.Integer, autoincrement=True, nullable=False),
        sa.Column("key", sa.String(64), nullable=False),
        sa.Column("municipality", sa.String(12), nullable=False),
        sa.Column("channel", sa.String(64), nullable=False),
        sa.Column("recipient", sa.String(64), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("alert_id", sa.String(64), nullable=False),
        sa.Column("language", sa.String(2), nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("created_at", Instant, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("next_at", Instant, nullable=False),
        sa.Column("settled_at", Instant),
        sa.Column("problem", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_outbox"),
        sa.UniqueConstraint("key", name="uq_outbox_key"),
    )
    op.create_index("ix_outbox_due", "outbox", ["state", "channel", "next_at"])
    op.create_index("ix_outbox_alert", "outbox", ["channel", "alert_id", "id"])
    op.create_table(
        "mutes",
        sa.Column("mute_id", sa.String(32), nullable=False),
        sa.Column("municipality", sa.String(12), nullable=False),
        sa.Column("first_day", sa.Date, nullable=False),
        sa.Column("last_day", sa.Date, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("ended_at", Instant),
        sa.PrimaryKeyConstraint("mute_id", name="pk_mutes"),
    )
    op.create_index("ix_mutes_days", "mutes", ["municipality", "last_day"])
    op.create_table(
        "plans",
        sa.Column("number", sa.Integer, autoincrement=True, nullable=False),
        sa.Column("municipality", sa.String(12), nullable=False),
        sa.Column("version", sa.String(12), nullable=False),
        sa.Column("applied_at", Instant, nullable=False),
        sa.Column("actor", sa.String(80), nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_plans"),
    )
    op.create_index("ix_plans_municipality", "plans", ["municipality", "number"])
