"""The tables, alike on SQLite and PostgreSQL. A change here needs a migration in the same commit."""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    Column,
    Date,
    DateTime,
    Float,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
)


class Instant(TypeDecorator[datetime]):
    """A moment, in and out in UTC. SQLite has no time zones: it would keep the wall clock of whatever zone came in."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Any) -> datetime | None:
        """To UTC. Raises ValueError for a datetime without a time zone."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"{value} has no time zone; the store keeps UTC")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Any) -> datetime | None:
        """Aware, in UTC."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
    }
)

pages = Table(
    "pages",
    metadata,
    Column("municipality", String(12), primary_key=True),
    Column("day", Integer, primary_key=True, autoincrement=False),  # local day since 1970-01-01
    Column("page", LargeBinary, nullable=False),
    Column("events", Integer, nullable=False),
)

alerts = Table(
    "alerts",
    metadata,
    Column("alert_id", String(64), primary_key=True),
    Column("municipality", String(12), nullable=False),
    Column("opened_on", Date, nullable=False),
    Column("first_day", Date, nullable=False),
    Column("last_day", Date, nullable=False),
    Column("state", String(16), nullable=False),
    Column("tendency", String(16), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("observed", Float, nullable=False),
    Column("expected", Float, nullable=False),
    Column("upper_bound", Float, nullable=False),
    Column("recurrence_days", Float, nullable=False),
    Column("settings_version", String(12), nullable=False),
    Column("body", Text, nullable=False),  # the whole Alert as JSON
    Index("ix_alerts_opened", "municipality", "opened_on"),
    Index("ix_alerts_state", "municipality", "state"),
)

alert_history = Table(
    "alert_history",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("alert_id", String(64), nullable=False),
    Column("change", String(16), nullable=False),
    Column("changed_on", Date, nullable=False),
    Column("body", Text, nullable=False),
    Index("ix_alert_history_alert", "alert_id", "id"),
)

data_notes = Table(
    "data_notes",
    metadata,
    Column("note_id", String(64), primary_key=True),
    Column("municipality", String(12), nullable=False),
    Column("noted_on", Date, nullable=False),
    Column("what", String(16), nullable=False),
    Column("source", String(128), nullable=False),
    Column("body", Text, nullable=False),  # the whole DataNote as JSON
    Index("ix_data_notes_noted", "municipality", "noted_on"),
)

settings_versions = Table(
    "settings_versions",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=True),
    Column("version", String(12), nullable=False),
    Column("applied_at", Instant, nullable=False),
    Column("text", Text, nullable=False),
    Column("municipality", String(12), nullable=False),
    Column("actor", String(80), nullable=False),  # empty: whoever edited the file
    Column("reason", Text, nullable=False),
    Column("draft_id", Integer),
    Index("ix_settings_versions_municipality", "municipality", "number"),
)

settings_drafts = Table(
    "settings_drafts",
    metadata,
    Column("draft_id", Integer, primary_key=True, autoincrement=True),
    Column("municipality", String(12), nullable=False),
    Column("state", String(16), nullable=False),  # draft, applied, withdrawn
    Column("revision", Integer, nullable=False),
    Column("body", Text, nullable=False),  # the whole Draft as JSON
    Index("ix_settings_drafts_state", "municipality", "state"),
)

dead_letters = Table(
    "dead_letters",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("received_at", Instant, nullable=False),
    Column("municipality", String(12), nullable=False),
    Column("source", String(128)),
    Column("event_id", String(128)),
    Column("kind", String(16)),
    Column("way", String(255), nullable=False),
    Column("position", Integer, nullable=False),
    Column("field", String(64), nullable=False),
    Column("rule", String(64), nullable=False),
    Column("problem", Text, nullable=False),
    Column("payload", Text),
    Column("format", String(80), nullable=False),
    Column("state", String(16), nullable=False),  # waiting, replayed, refused again
    Column("settled_at", Instant),
    Index("ix_dead_letters_state", "state", "id"),
    Index("ix_dead_letters_place", "way", "position", "rule"),
)

engine_state = Table(
    "engine_state",
    metadata,
    Column("municipality", String(12), primary_key=True),
    Column("clock_day", Integer, nullable=False),
    Column("clock_hour", Integer, nullable=False),
)

source_state = Table(
    "source_state",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("body", Text, nullable=False),
)

casework = Table(
    "casework",
    metadata,
    Column("alert_id", String(64), primary_key=True),
    Column("municipality", String(12), nullable=False),
    Column("stage", String(16), nullable=False),
    Column("assessment", String(16)),
    Column("opened_at", Instant, nullable=False),
    Column("acknowledged_at", Instant),
    Column("revision", Integer, nullable=False),
    Column("body", Text, nullable=False),  # the whole Casework as JSON
    Index("ix_casework_stage", "municipality", "stage"),
)

# Rows are only ever added: triggers refuse to change one, and to delete one that is younger than two years.
audit = Table(
    "audit",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("municipality", String(12), nullable=False),
    Column("at", Instant, nullable=False),
    Column("actor", String(80), nullable=False),
    Column("action", String(32), nullable=False),
    Column("subject", String(96), nullable=False),  # an alert's id, or what else was changed
    Column("answer_id", String(64)),  # of an answer that was taken
    Column("reason", String(64), nullable=False),
    Column("note", Text, nullable=False),
    Column("body", Text, nullable=False),  # JSON: the answer, or what was refused and why
    Index("ix_audit_subject", "subject", "id"),
    Index("ix_audit_at", "municipality", "at"),
    Index("ix_audit_answer", "answer_id"),
)

outbox = Table(
    "outbox",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("key", String(64), nullable=False, unique=True),
    Column("municipality", String(12), nullable=False),
    Column("channel", String(64), nullable=False),
    Column("recipient", String(64), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("alert_id", String(64), nullable=False),
    Column("language", String(2), nullable=False),
    Column("body", Text, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("state", String(16), nullable=False),  # waiting, delivered, dead, dropped
    Column("attempts", Integer, nullable=False),
    Column("next_at", Instant, nullable=False),
    Column("settled_at", Instant),
    Column("problem", Text, nullable=False),  # of the last attempt
    Index("ix_outbox_due", "state", "channel", "next_at"),
    Index("ix_outbox_alert", "channel", "alert_id", "id"),
)

mutes = Table(
    "mutes",
    metadata,
    Column("mute_id", String(32), primary_key=True),
    Column("municipality", String(12), nullable=False),
    Column("first_day", Date, nullable=False),
    Column("last_day", Date, nullable=False),
    Column("body", Text, nullable=False),  # JSON: areas, categories, reason, who and when
    Column("ended_at", Instant),
    Index("ix_mutes_days", "municipality", "last_day"),
)

plans = Table(
    "plans",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=True),
    Column("municipality", String(12), nullable=False),
    Column("version", String(12), nullable=False),
    Column("applied_at", Instant, nullable=False),
    Column("actor", String(80), nullable=False),
    Column("body", Text, nullable=False),  # the whole action plan as JSON
    Index("ix_plans_municipality", "municipality", "number"),
)

accounts = Table(
    "accounts",
    metadata,
    Column("municipality", String(12), primary_key=True),
    Column("name", String(80), primary_key=True),
    Column("role", String(16), nullable=False),
    Column("districts", Text, nullable=False),  # codes as a JSON list; empty: the whole municipality
    Column("password_hash", Text),  # argon2id; none until the person has chosen one
    Column("set_up_hash", String(64)),  # SHA-256 of the one-time link
    Column("set_up_until", Instant),
    Column("created_at", Instant, nullable=False),
    Column("disabled_at", Instant),
    Index("ix_accounts_set_up", "set_up_hash"),
)

sessions = Table(
    "sessions",
    metadata,
    Column("session_hash", String(64), primary_key=True),  # SHA-256 of the cookie
    Column("municipality", String(12), nullable=False),
    Column("name", String(80), nullable=False),
    Column("begun_at", Instant, nullable=False),
    Column("seen_at", Instant, nullable=False),
    Index("ix_sessions_name", "municipality", "name"),
)

tokens = Table(
    "tokens",
    metadata,
    Column("token_hash", String(64), primary_key=True),  # SHA-256 of the token
    Column("municipality", String(12), nullable=False),
    Column("name", String(80), nullable=False),
    Column("use", String(16), nullable=False),  # events, reading, or a role
    Column("created_at", Instant, nullable=False),
    Column("revoked_at", Instant),
    Column("source", String(64)),  # whose events alone it may send; none: those of all
    Index("ix_tokens_name", "municipality", "name"),
)

sign_in_attempts = Table(
    "sign_in_attempts",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("municipality", String(12), nullable=False),
    Column("key_hash", String(64), nullable=False),  # SHA-256 of municipality and name, or address
    Column("at", Instant, nullable=False),
    Index("ix_sign_in_attempts_key", "municipality", "key_hash", "at"),
)

marked_events = Table(
    "marked_events",
    metadata,
    Column("mark_id", Integer, primary_key=True, autoincrement=True),
    Column("municipality", String(12), nullable=False),
    Column("first_day", Date, nullable=False),
    Column("body", Text, nullable=False),  # JSON: name, days, areas, categories, who and when
    Index("ix_marked_events_days", "municipality", "first_day"),
)
