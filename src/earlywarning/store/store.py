"""Keeps what the engine changes, in one transaction, on SQLite or PostgreSQL; and reads it back."""

import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, date, datetime
from threading import Lock
from typing import Any, Self

import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import SQLAlchemyError

from earlywarning.core.alert_record import Alert, AlertChange
from earlywarning.core.alerts import SCANNED
from earlywarning.core.changes import Changes, DeadLetter
from earlywarning.core.data_notes import DataNote
from earlywarning.store import tables as t
from earlywarning.store.errors import StoreError, advice
from earlywarning.store.lock import WriterLock
from earlywarning.store.opening import bring_up_to_date, check_sound, make_engine
from earlywarning.store.rows import alert_row, dead_letter_row, json_text, read_alert
from earlywarning.store.source_states import last_event

_note_decoder = msgspec.json.Decoder(DataNote)
_SETTLE = (
    t.dead_letters.update()
    .where(t.dead_letters.c.id == sa.bindparam("number"))
    .values(state=sa.bindparam("outcome"), settled_at=sa.bindparam("at"))
)


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
        self._shown = engine.url.render_as_string(hide_password=True)
        self.insert = postgresql.insert if engine.dialect.name == "postgresql" else sqlite.insert
        self._one_at_a_time = Lock()  # the writer's threads
        # Of this process: who shows what is kept looks whether they have risen. news: commits of alerts, or of what goes with them.
        self._telling, self.commits, self.news = Lock(), 0, 0
        self._touched: dict[tuple[str, int], int] = {}  # by municipality and day: the commit that kept its page last

    @classmethod
    def open(cls, url: str, *, writer: bool = False, holder: str = "") -> Self:
        """Open a store, making or migrating its schema when opened for writing.

        holder: what others are told when they find the store in use. Raises StoreLocked, StoreError.
        """
        try:
            engine = make_engine(url, writer=writer)
        except OSError as error:
            raise StoreError(advice(url, error)) from error
        lock = None
        try:
            lock = WriterLock(engine, holder) if writer else None
            with lock.session() if lock else engine.connect() as connection:
                if writer:
                    check_sound(connection)
                bring_up_to_date(connection, writer=writer)
        except BaseException as error:
            if lock:
                lock.release()
            engine.dispose()
            if isinstance(error, SQLAlchemyError | OSError):
                raise StoreError(advice(engine.url.render_as_string(hide_password=True), error)) from error
            raise
        return cls(engine, lock)

    @property
    def url(self) -> str:
        """Where it is, for another process to read it; holds the password."""
        return self._engine.url.render_as_string(hide_password=False)

    def close(self) -> None:
        """Close all connections and let the next writer in. SQLite's log is written back, so that the file alone holds all."""
        if self._lock:
            self.tidy()
        self._engine.dispose()
        if self._lock:
            self._lock.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        """A connection to read on, in one transaction. Raises StoreError."""
        try:
            with self._engine.begin() as connection:
                yield connection
        except (SQLAlchemyError, OSError) as error:
            raise StoreError(advice(self._shown, error)) from error

    @contextmanager
    def writing(self) -> Iterator[sa.Connection]:
        """The connection to write on, in one transaction that is kept whole or not at all. Raises StoreError."""
        if self._lock is None:
            raise StoreError(f"the store {self._shown} was opened for reading; open it with writer=True to write")
        try:
            with self._one_at_a_time, self._lock.session() as connection, connection.begin():
                yield connection
        except (SQLAlchemyError, OSError) as error:
            raise StoreError(advice(self._shown, error)) from error

    @contextmanager
    def aside(self) -> Iterator[sa.Connection]:
        """A connection to write what the writer's lock does not guard: accounts, sessions, tokens. Raises StoreError."""
        try:
            with self._engine.connect().execution_options(writes=True) as connection, connection.begin():
                yield connection
        except (SQLAlchemyError, OSError) as error:
            raise StoreError(advice(self._shown, error)) from error

    def ping(self) -> None:
        """Raises StoreError when the store does not answer."""
        with self.reading() as c:
            c.execute(sa.select(sa.func.count()).select_from(t.engine_state))

    # ---- writing --------------------------------------------------------------------------------------------------

    def commit(
        self,
        changes: Changes | None,
        dead_letters: Sequence[DeadLetter] = (),
        source_state: Mapping[str, str] | None = None,
        settled: Mapping[int, str] | None = None,
        also: Sequence[Callable[[sa.Connection], None]] = (),
    ) -> None:
        """Keep all of it in one transaction, or nothing.

        settled: what became of dead letters, by their number. also: what else is written in the same transaction (cases.py,
        outbox.py), after the changes.
        """
        now = datetime.now(UTC)
        with self.writing() as c:
            if changes is not None:
                self._keep_changes(c, changes)
            if dead_letters:
                self._keep_dead_letters(c, dead_letters)
            for name, body in (source_state or {}).items():
                self.upsert(c, t.source_state, [{"name": name, "body": body}])
            if settled:
                outcomes = [{"number": number, "outcome": state, "at": now} for number, state in settled.items()]
                c.execute(_SETTLE, outcomes)
            for write in also:
                write(c)
        with self._telling:
            # In this order: who sees the new number finds the days that belong to it.
            if changes is not None:
                self._touched.update({(changes.municipality, day): self.commits + 1 for day in changes.pages})
            self.commits += 1
            self.news += bool(also or (changes is not None and (changes.alerts or changes.history)))

    def touched(self, municipality: str, since: int) -> list[int]:
        """Days whose pages were kept by this process after its commit number `since`."""
        return [day for (own, day), at in list(self._touched.items()) if own == municipality and at > since]

    def _keep_changes(self, c: sa.Connection, changes: Changes) -> None:
        municipality = changes.municipality
        if changes.pages:
            rows = [
                {"municipality": municipality, "day": day, "page": page, "events": changes.page_events[day]}
                for day, page in changes.pages.items()
            ]
            self.upsert(c, t.pages, rows)
        if changes.alerts:
            self.upsert(c, t.alerts, [alert_row(a) for a in changes.alerts])
        if changes.history:
            c.execute(
                t.alert_history.insert(),
                [
                    {"alert_id": h.alert.alert_id, "change": h.change, "changed_on": h.on, "body": json_text(h.alert)}
                    for h in changes.history
                ],
            )
        if changes.notes:
            names = [column.name for column in t.data_notes.columns if column.name != "body"]
            self.upsert(
                c, t.data_notes, [{**{n: getattr(note, n) for n in names}, "body": json_text(note)} for note in changes.notes]
            )
        if changes.clock_day:
            state = {"municipality": municipality, "clock_day": changes.clock_day, "clock_hour": changes.clock_hour}
            self.upsert(c, t.engine_state, [state])
        if changes.last_event:
            body = "{} {}".format(*changes.last_event)
            self.upsert(c, t.source_state, [{"name": last_event(municipality), "body": body}])

    def _keep_dead_letters(self, c: sa.Connection, letters: Sequence[DeadLetter]) -> None:
        """A file fed again brings the same dead letters again: those that still wait are not kept twice."""
        d = t.dead_letters.c
        rows = [dead_letter_row(letter) for letter in letters]
        places: dict[str, list[int]] = {}
        for row in rows:
            if row["way"] not in ("http", "police-feed"):
                places.setdefault(row["way"], []).append(row["position"])
        known: set[tuple[str, int, str, str | None]] = set()
        for way, positions in places.items():
            query = sa.select(d.way, d.position, d.rule, d.event_id).where(
                d.way == way, d.state == "waiting", d.position.between(min(positions), max(positions))
            )
            known.update((r[0], r[1], r[2], r[3]) for r in c.execute(query))
        new = [row for row in rows if (row["way"], row["position"], row["rule"], row["event_id"]) not in known]
        if new:
            c.execute(t.dead_letters.insert(), new)

    def upsert(self, c: sa.Connection, table: sa.Table, rows: list[dict[str, Any]]) -> None:
        """Put rows in, in place of those with the same primary key."""
        statement = self.insert(table)
        keys = [column.name for column in table.primary_key]
        values = {column.name: statement.excluded[column.name] for column in table.columns if column.name not in keys}
        c.execute(statement.on_conflict_do_update(index_elements=keys, set_=values), rows)

    def tidy(self) -> None:
        """Write SQLite's log back into the database; for idle moments. Where that fails (the disk is full), the log waits."""
        if self._engine.dialect.name == "sqlite":
            with suppress(SQLAlchemyError, sqlite3.Error, OSError), self._engine.connect() as c:
                c.rollback()
                c.connection.cursor().execute("pragma wal_checkpoint(passive)")

    @property
    def dialect(self) -> str:
        """sqlite, or postgresql."""
        return self._engine.dialect.name

    def maintain(self, statement: str) -> Sequence[Any]:
        """Run a statement outside of any transaction; returns its first row. Raises StoreError."""
        try:
            with self._one_at_a_time, self._engine.connect() as c:
                if self.dialect != "sqlite":
                    c.execution_options(isolation_level="AUTOCOMMIT").exec_driver_sql(statement)
                    return ()
                c.rollback()
                return c.connection.cursor().execute(statement).fetchone() or ()
        except (SQLAlchemyError, OSError, sqlite3.Error) as error:
            raise StoreError(advice(self._shown, error)) from error

    # ---- reading --------------------------------------------------------------------------------------------------

    def pages(self, municipality: str, first_day: int | None = None, last_day: int | None = None) -> Iterator[tuple[int, bytes]]:
        """(day, page) in the order of the days."""
        p = t.pages.c
        query = sa.select(p.day, p.page).where(p.municipality == municipality).order_by(p.day)
        if first_day is not None:
            query = query.where(p.day >= first_day)
        if last_day is not None:
            query = query.where(p.day <= last_day)
        with self.reading() as c:
            for row in c.execute(query):
                yield row[0], row[1]

    def page_span(self, municipality: str) -> tuple[int, int] | None:
        """First and last day that have a page."""
        p = t.pages.c
        with self.reading() as c:
            row = c.execute(sa.select(sa.func.min(p.day), sa.func.max(p.day)).where(p.municipality == municipality)).one()
        return None if row[0] is None else (row[0], row[1])

    def engine_state(self, municipality: str) -> tuple[int, int] | None:
        """(clock day, clock hour) at the last commit."""
        e = t.engine_state.c
        with self.reading() as c:
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
        with self.reading() as c:
            return [read_alert(body) for body in c.execute(query.limit(limit)).scalars()]

    def opening_days(self, municipality: str) -> list[date]:
        """Days on which alerts about counts were opened."""
        a = t.alerts.c
        query = sa.select(a.opened_on).where(a.municipality == municipality, a.tendency.in_(SCANNED)).distinct()
        with self.reading() as c:
            return list(c.execute(query.order_by(a.opened_on)).scalars())

    def alert(self, alert_id: str) -> Alert | None:
        """One alert, None when there is none of that id."""
        with self.reading() as c:
            body = c.execute(sa.select(t.alerts.c.body).where(t.alerts.c.alert_id == alert_id)).scalar()
        return None if body is None else read_alert(body)

    def alert_counts(self) -> list[tuple[str, str, int]]:
        """(tendency, state, how many)."""
        a = t.alerts.c
        with self.reading() as c:
            rows = c.execute(sa.select(a.tendency, a.state, sa.func.count()).group_by(a.tendency, a.state))
            return [(r[0], r[1], r[2]) for r in rows]

    def history(self, alert_id: str) -> list[AlertChange]:
        """An alert's changes, the oldest first."""
        h = t.alert_history.c
        query = sa.select(h.change, h.changed_on, h.body).where(h.alert_id == alert_id).order_by(h.id)
        with self.reading() as c:
            return [AlertChange(r[0], r[1], read_alert(r[2])) for r in c.execute(query)]

    def data_notes(
        self, *, municipality: str | None = None, since: date | None = None, until: date | None = None, limit: int | None = None
    ) -> list[DataNote]:
        """Data-quality notes, the newest first; since and until are days on which they were noted."""
        n = t.data_notes.c
        query = sa.select(n.body).order_by(n.noted_on.desc(), n.note_id).limit(limit)
        if municipality is not None:
            query = query.where(n.municipality == municipality)
        if since is not None:
            query = query.where(n.noted_on >= since)
        if until is not None:
            query = query.where(n.noted_on <= until)
        with self.reading() as c:
            return [_note_decoder.decode(body) for body in c.execute(query).scalars()]

    def dead_letters(
        self,
        *,
        state: str | None = "waiting",
        municipality: str | None = None,
        rule: str | None = None,
        source: str | None = None,
        after_id: int = 0,
        limit: int | None = None,
    ) -> list[StoredDeadLetter]:
        """Dead letters in the order in which they came."""
        d = t.dead_letters.c
        query = sa.select(t.dead_letters).where(d.id > after_id).order_by(d.id).limit(limit)
        for given, column in ((state, d.state), (municipality, d.municipality), (rule, d.rule), (source, d.source)):
            if given is not None:
                query = query.where(column == given)
        with self.reading() as c:
            rows = c.execute(query).mappings().all()
        names = [f.name for f in msgspec.structs.fields(DeadLetter)]
        return [
            StoredDeadLetter(
                row["id"],
                DeadLetter(**{name: row[name] for name in names}),
                row["state"],
                row["settled_at"],
            )
            for row in rows
        ]

    def dead_letter_counts(self, municipality: str | None = None) -> list[tuple[str, str, str, str, int]]:
        """(rule, field, source, state, how many), the most first."""
        d = t.dead_letters.c
        source = sa.func.coalesce(d.source, "")
        n = sa.func.count()
        query = sa.select(d.rule, d.field, source, d.state, n).group_by(d.rule, d.field, source, d.state).order_by(n.desc())
        if municipality is not None:
            query = query.where(d.municipality == municipality)
        with self.reading() as c:
            return [(r[0], r[1], r[2], r[3], r[4]) for r in c.execute(query)]

    def settings_versions(self) -> list[tuple[int, str, datetime, str]]:
        """(number, version, put in force at, text), the oldest first."""
        s = t.settings_versions.c
        with self.reading() as c:
            rows = c.execute(sa.select(s.number, s.version, s.applied_at, s.text).order_by(s.number))
            return [(r[0], r[1], r[2], r[3]) for r in rows]

    def source_state(self, name: str) -> str | None:
        """What a source keeps between runs."""
        with self.reading() as c:
            return c.execute(sa.select(t.source_state.c.body).where(t.source_state.c.name == name)).scalar()
