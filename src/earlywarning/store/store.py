"""Keeps what the engine changes, in one transaction, on SQLite or PostgreSQL; and reads it back."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, Self

import msgspec
import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from earlywarning.core.alert_record import Alert, AlertChange
from earlywarning.core.changes import Changes, DeadLetter
from earlywarning.store import tables as t
from earlywarning.store.lock import WriterLock

_alert_decoder = msgspec.json.Decoder(Alert)


class StoreError(RuntimeError):
    """The store cannot be used; says what to do."""


class StoredDeadLetter(msgspec.Struct, frozen=True):
    """A dead letter with its number and what became of it: waiting, replayed, or refused again."""

    id: int
    letter: DeadLetter
    state: str
    settled_at: datetime | None


class Store:
    """One store. Readers may work beside the one writer."""

    def __init__(self, engine: sa.Engine, lock: WriterLock | None) -> None:
        self._engine, self._lock = engine, lock
        self._insert = postgresql.insert if engine.dialect.name == "postgresql" else sqlite.insert

    @classmethod
    def open(cls, url: str, *, writer: bool = False, holder: str = "") -> Self:
        """Open a store, making or migrating its schema when opened for writing.

        holder: what others are told when they find the store in use. Raises StoreLocked, StoreError.
        """
        engine = _engine(url)
        shown = engine.url.render_as_string(hide_password=True)
        lock = None
        try:
            if engine.dialect.name == "sqlite" and engine.url.database and writer:
                Path(engine.url.database).parent.mkdir(parents=True, exist_ok=True)
            lock = WriterLock(engine, holder) if writer else None
            with engine.connect() as connection:
                _migrate(connection, writer=writer, shown=shown)
        except (SQLAlchemyError, OSError) as error:
            if lock:
                lock.release()
            engine.dispose()
            raise StoreError(_advice(shown, error)) from error
        except StoreError:
            if lock:
                lock.release()
            engine.dispose()
            raise
        return cls(engine, lock)

    def close(self) -> None:
        """Close all connections and let the next writer in."""
        self._engine.dispose()
        if self._lock:
            self._lock.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @contextmanager
    def _begin(self) -> Iterator[sa.Connection]:
        try:
            with self._engine.begin() as connection:
                yield connection
        except (SQLAlchemyError, OSError) as error:
            raise StoreError(_advice(self._engine.url.render_as_string(hide_password=True), error)) from error

    def ping(self) -> None:
        """Raises StoreError when the store does not answer."""
        with self._begin() as c:
            c.execute(sa.select(sa.func.count()).select_from(t.engine_state))

    # ---- writing --------------------------------------------------------------------------------------------------

    def commit(
        self,
        changes: Changes | None,
        dead_letters: Sequence[DeadLetter] = (),
        source_state: Mapping[str, str] | None = None,
        settled: Mapping[int, str] | None = None,
    ) -> None:
        """Keep all of it in one transaction, or nothing. settled: what became of dead letters, by their number."""
        now = datetime.now(UTC)
        with self._begin() as c:
            if changes is not None:
                self._keep_changes(c, changes)
            if dead_letters:
                self._keep_dead_letters(c, dead_letters)
            for name, body in (source_state or {}).items():
                self._upsert(c, t.source_state, [{"name": name, "body": body}])
            for number, state in (settled or {}).items():
                c.execute(t.dead_letters.update().where(t.dead_letters.c.id == number).values(state=state, settled_at=now))

    def _keep_changes(self, c: sa.Connection, changes: Changes) -> None:
        municipality = changes.municipality
        if changes.pages:
            rows = [
                {"municipality": municipality, "day": day, "page": page, "events": changes.page_events[day]}
                for day, page in changes.pages.items()
            ]
            self._upsert(c, t.pages, rows)
        if changes.alerts:
            self._upsert(c, t.alerts, [_alert_row(a) for a in changes.alerts])
        if changes.history:
            c.execute(
                t.alert_history.insert(),
                [
                    {"alert_id": h.alert.alert_id, "change": h.change, "changed_on": h.on, "body": _json(h.alert)}
                    for h in changes.history
                ],
            )
        if changes.clock_day:
            state = {"municipality": municipality, "clock_day": changes.clock_day, "clock_hour": changes.clock_hour}
            self._upsert(c, t.engine_state, [state])

    def _keep_dead_letters(self, c: sa.Connection, letters: Sequence[DeadLetter]) -> None:
        """A file fed again brings the same dead letters again: those that still wait are not kept twice."""
        d = t.dead_letters.c
        known: set[tuple[str, int, str, str | None]] = set()
        ways = {letter.way for letter in letters if letter.way not in ("http", "police-feed")}
        for way in ways:
            places = [x.position for x in letters if x.way == way]
            query = sa.select(d.way, d.position, d.rule, d.event_id).where(
                d.way == way, d.state == "waiting", d.position.between(min(places), max(places))
            )
            known.update(c.execute(query).tuples())
        rows = [
            {**msgspec.structs.asdict(letter), "state": "waiting"}
            for letter in letters
            if (letter.way, letter.position, letter.rule, letter.event_id) not in known
        ]
        if rows:
            c.execute(t.dead_letters.insert(), rows)

    def _upsert(self, c: sa.Connection, table: sa.Table, rows: list[dict[str, Any]]) -> None:
        statement = self._insert(table)
        keys = [column.name for column in table.primary_key]
        values = {column.name: statement.excluded[column.name] for column in table.columns if column.name not in keys}
        c.execute(statement.on_conflict_do_update(index_elements=keys, set_=values), rows)

    def add_settings_version(self, version: str, text: str, at: datetime) -> int:
        """Keep settings that are put in force; returns their number. The same text as the last is not kept twice."""
        with self._begin() as c:
            s = t.settings_versions.c
            last = c.execute(sa.select(s.number, s.text).order_by(s.number.desc()).limit(1)).first()
            if last is not None and last.text == text:
                return int(last.number)
            result = c.execute(t.settings_versions.insert().values(version=version, applied_at=at, text=text))
            return int(result.inserted_primary_key[0]) if result.inserted_primary_key else 0

    # ---- reading --------------------------------------------------------------------------------------------------

    def pages(
        self, municipality: str, first_day: int | None = None, last_day: int | None = None
    ) -> Iterator[tuple[int, bytes]]:
        """(day, page) in the order of the days."""
        p = t.pages.c
        query = sa.select(p.day, p.page).where(p.municipality == municipality).order_by(p.day)
        if first_day is not None:
            query = query.where(p.day >= first_day)
        if last_day is not None:
            query = query.where(p.day <= last_day)
        with self._begin() as c:
            for row in c.execute(query).tuples():
                yield row[0], row[1]

    def page_span(self, municipality: str) -> tuple[int, int] | None:
        """First and last day that have a page."""
        p = t.pages.c
        with self._begin() as c:
            row = c.execute(sa.select(sa.func.min(p.day), sa.func.max(p.day)).where(p.municipality == municipality)).one()
        return None if row[0] is None else (row[0], row[1])

    def engine_state(self, municipality: str) -> tuple[int, int] | None:
        """(clock day, clock hour) at the last commit."""
        e = t.engine_state.c
        with self._begin() as c:
            row = c.execute(sa.select(e.clock_day, e.clock_hour).where(e.municipality == municipality)).first()
        return None if row is None else (row[0], row[1])

    def alerts(
        self,
        *,
        municipality: str | None = None,
        states: Sequence[str] = (),
        since: date | None = None,
        until: date | None = None,
        limit: int | None = None,
    ) -> list[Alert]:
        """Alerts, the newest first; since and until are days on which they were opened."""
        a = t.alerts.c
        query = sa.select(a.body).order_by(a.opened_on.desc(), a.alert_id)
        if municipality is not None:
            query = query.where(a.municipality == municipality)
        if states:
            query = query.where(a.state.in_(states))
        if since is not None:
            query = query.where(a.opened_on >= since)
        if until is not None:
            query = query.where(a.opened_on <= until)
        with self._begin() as c:
            return [_alert_decoder.decode(body) for body in c.execute(query.limit(limit)).scalars()]

    def alert(self, alert_id: str) -> Alert | None:
        """One alert, None when there is none of that id."""
        with self._begin() as c:
            body = c.execute(sa.select(t.alerts.c.body).where(t.alerts.c.alert_id == alert_id)).scalar()
        return None if body is None else _alert_decoder.decode(body)

    def alert_counts(self) -> list[tuple[str, str, int]]:
        """(tendency, state, how many)."""
        a = t.alerts.c
        with self._begin() as c:
            rows = c.execute(sa.select(a.tendency, a.state, sa.func.count()).group_by(a.tendency, a.state))
            return [(r[0], r[1], r[2]) for r in rows]

    def history(self, alert_id: str) -> list[AlertChange]:
        """An alert's changes, the oldest first."""
        h = t.alert_history.c
        query = sa.select(h.change, h.changed_on, h.body).where(h.alert_id == alert_id).order_by(h.id)
        with self._begin() as c:
            return [AlertChange(r[0], r[1], _alert_decoder.decode(r[2])) for r in c.execute(query).tuples()]

    def dead_letters(
        self,
        *,
        state: str | None = "waiting",
        rule: str | None = None,
        source: str | None = None,
        after_id: int = 0,
        limit: int | None = None,
    ) -> list[StoredDeadLetter]:
        """Dead letters in the order in which they came."""
        d = t.dead_letters.c
        query = sa.select(t.dead_letters).where(d.id > after_id).order_by(d.id).limit(limit)
        for given, column in ((state, d.state), (rule, d.rule), (source, d.source)):
            if given is not None:
                query = query.where(column == given)
        with self._begin() as c:
            rows = c.execute(query).mappings().all()
        names = [f.name for f in msgspec.structs.fields(DeadLetter)]
        return [
            StoredDeadLetter(
                row["id"],
                DeadLetter(**{name: _aware(row[name]) for name in names}),
                row["state"],
                _aware(row["settled_at"]),
            )
            for row in rows
        ]

    def dead_letter_counts(self) -> list[tuple[str, str, str, str, int]]:
        """(rule, field, source, state, how many), the most first."""
        d = t.dead_letters.c
        source = sa.func.coalesce(d.source, "")
        n = sa.func.count()
        query = sa.select(d.rule, d.field, source, d.state, n).group_by(d.rule, d.field, source, d.state).order_by(n.desc())
        with self._begin() as c:
            return [(r[0], r[1], r[2], r[3], r[4]) for r in c.execute(query)]

    def settings_versions(self) -> list[tuple[int, str, datetime, str]]:
        """(number, version, put in force at, text), the oldest first."""
        s = t.settings_versions.c
        with self._begin() as c:
            rows = c.execute(sa.select(s.number, s.version, s.applied_at, s.text).order_by(s.number)).tuples()
            return [(r[0], r[1], _aware(r[2]), r[3]) for r in rows]

    def source_state(self, name: str) -> str | None:
        """What a source keeps between runs."""
        with self._begin() as c:
            return c.execute(sa.select(t.source_state.c.body).where(t.source_state.c.name == name)).scalar()


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()


def _aware(value: Any) -> Any:
    """SQLite forgets the time zone: what is stored is UTC."""
    return value.replace(tzinfo=UTC) if isinstance(value, datetime) and value.tzinfo is None else value


def _alert_row(alert: Alert) -> dict[str, Any]:
    names = [c.name for c in t.alerts.columns if c.name != "body"]
    return {**{name: getattr(alert, name) for name in names}, "body": _json(alert)}


def _engine(url: str) -> sa.Engine:
    if url.startswith("postgresql://"):
        url = "postgresql+psycopg://" + url.removeprefix("postgresql://")
    try:
        parsed = sa.make_url(url)
    except SQLAlchemyError as error:
        raise StoreError(f"store.url {url!r} is not a database URL; write sqlite:///file.db or postgresql://...") from error
    if parsed.get_backend_name() == "postgresql":
        try:
            return sa.create_engine(parsed, pool_pre_ping=True)
        except ModuleNotFoundError as error:
            raise StoreError("PostgreSQL needs the extra: pip install 'earlywarning[postgresql]'") from error
    engine = sa.create_engine(parsed, connect_args={"timeout": 30})

    @sa.event.listens_for(engine, "connect")
    def _set_up(connection: Any, _: object) -> None:
        cursor = connection.cursor()
        cursor.execute("pragma journal_mode=wal")
        cursor.execute("pragma synchronous=full")
        cursor.execute("pragma foreign_keys=on")
        cursor.close()

    return engine


def _migrate(connection: sa.Connection, *, writer: bool, shown: str) -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["connection"] = connection
    script = ScriptDirectory.from_config(config)
    newest = script.get_current_head()
    has = sa.inspect(connection).has_table("alembic_version")
    now = connection.execute(sa.text("select version_num from alembic_version")).scalar() if has else None
    connection.rollback()
    if now == newest:
        return
    if now is not None and now not in {s.revision for s in script.walk_revisions()}:
        raise StoreError(f"the store {shown} has schema {now}, made by a newer version; this version knows {newest}: upgrade")
    if not writer:
        what = "is empty" if now is None else f"has the older schema {now}"
        raise StoreError(f"the store {shown} {what}; start the service once (earlywarning run) or ingest a file")
    command.upgrade(config, "head")
    connection.commit()


def _advice(shown: str, error: Exception) -> str:
    """What an operator should do about a database error."""
    cause = str(error.orig if isinstance(error, DBAPIError) else error).strip().split("\n")[0]
    low = cause.lower()
    if "not a database" in low or "malformed" in low:
        way_out = "it is not a sound database file; restore it from a backup, or name another file"
    elif "readonly" in low or "read-only" in low or "permission" in low:
        way_out = "give the service's user write access to the file and its folder"
    elif "unable to open" in low or "no such file" in low:
        way_out = "check that the folder exists and may be written to"
    elif "full" in low or "no space" in low:
        way_out = "free space on the disk; nothing that was accepted is lost"
    elif "locked" in low:
        way_out = "another program holds the database; close it"
    elif "connection" in low or "connect" in low:
        way_out = "check that the database server runs and that store.url is right"
    else:
        way_out = "see the database's own log"
    return f"store {shown}: {cause}; {way_out}"
