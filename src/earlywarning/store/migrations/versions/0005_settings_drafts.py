"""Drafts of settings; who put a version in force, why, and of which municipality it is."""

import tomllib

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "settings_drafts",
        sa.Column("draft_id", sa.Integer, autoincrement=True, nullable=False),
        sa.Column("municipality", sa.String(12), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("revision", sa.Integer, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("draft_id", name="pk_settings_drafts"),
    )
    op.create_index("ix_settings_drafts_state", "settings_drafts", ["municipality", "state"])
    # The table is small and is made anew, since SQLite adds no column that may not be empty.
    versions = sa.table("settings_versions", *(sa.column(n) for n in ("number", "version", "applied_at", "text")))
    kept = op.get_bind().execute(sa.select(versions).order_by(versions.c.number)).all()
    with op.batch_alter_table("settings_versions") as batch:
        for name, kind in (("municipality", sa.String(12)), ("actor", sa.String(80)), ("reason", sa.Text)):
            batch.add_column(sa.Column(name, kind, nullable=False, server_default=""))
        batch.add_column(sa.Column("draft_id", sa.Integer))
    with op.batch_alter_table("settings_versions") as batch:
        for name in ("municipality", "actor", "reason"):
            batch.alter_column(name, server_default=None)
    changed = sa.table("settings_versions", sa.column("number"), sa.column("municipality"))
    for row in kept:
        values = {"municipality": _code(row.text)}
        op.execute(changed.update().where(changed.c.number == row.number).values(**values))
    op.create_index("ix_settings_versions_municipality", "settings_versions", ["municipality", "number"])


def _code(text: str) -> str:
    try:
        return str(tomllib.loads(text)["municipality"]["code"])[:12]
    except (tomllib.TOMLDecodeError, KeyError, TypeError):
        return ""
