"""Whether a store holds together: the database itself, every page and record in it, and each beside the others."""

import sqlite3
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import msgspec
import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray

from earlywarning.core.action_plan import ActionPlan
from earlywarning.core.alert_record import Alert
from earlywarning.core.calendar import date_of, instant_of
from earlywarning.core.casework import Answer, Casework
from earlywarning.core.data_notes import DataNote
from earlywarning.core.ledger import STANDING
from earlywarning.core.marked_events import MarkedEvent
from earlywarning.core.pages import PageError, decode_page, join_pages
from earlywarning.core.settings_draft import Draft
from earlywarning.runtimes.forgetting import Forgot, runs_of
from earlywarning.store import tables as t
from earlywarning.store.snapshot import opened

Record = TypeVar("Record")
_MOST_TOLD = 5  # of one sort
_STATE_AFTER = {"opened": "open", "updated": "open", "reopened": "open", "settled": "settled", "withdrawn": "withdrawn"}
_SETTLED = {"waiting": False, "delivered": True, "dead": True, "dropped": True}
_LETTERS = ("waiting", "replayed", "refused again")


class Check(NamedTuple):
    """One check: what was looked at, how much of it, what is wrong, and what is only to be known."""

    what: str
    looked_at: str
    problems: list[str]
    notes: Sequence[str] = ()


class _Found:
    """Problems of one check, each sort told a few times only."""

    def __init__(self) -> None:
        self.problems: list[str] = []
        self._of_sort: Counter[str] = Counter()

    def add(self, sort: str, detail: str) -> None:
        self._of_sort[sort] += 1
        if self._of_sort[sort] <= _MOST_TOLD:
            self.problems.append(f"{detail}: {sort}")

    def all(self) -> list[str]:
        more = [f"and {n - _MOST_TOLD} more: {sort}" for sort, n in self._of_sort.items() if n > _MOST_TOLD]
        return [*self.problems, *more]


def check_store(file: Path, *, database: str, at: datetime) -> list[Check]:
    """Look through a snapshot of the newest schema. database: which one the store is or was in. at: when the snapshot was made.

    What one check needs of another that failed is passed over: a damaged database gives one problem, not a hundred.
    """
    checks = [_database(file)]
    if checks[0].problems:
        return checks
    looks: tuple[Callable[[sa.Connection], Check], ...] = (
        _pages, _alerts, _casework, _outbox, lambda c: _audit(c, database), lambda c: _clock(c, at), _settings, _others,
    )  # fmt: skip
    with opened(file) as connection:
        return [*checks, *(look(connection) for look in looks)]


def _database(file: Path) -> Check:
    problems: list[str] = []
    with closing(sqlite3.connect(file)) as c:
        try:
            said = [row[0] for row in c.execute("pragma integrity_check(20)")]
            problems += [] if said == ["ok"] else [f"database: {line}" for line in said]
            lost_rows = c.execute("pragma foreign_key_check").fetchall()
            problems += [f"{row[0]}, row {row[1]}: points to a row of {row[2]} that is not there" for row in lost_rows]
            triggers = {row[0] for row in c.execute("select name from sqlite_master where type = 'trigger'")}
            if missing := {"audit_is_kept", "audit_is_not_cut"} - triggers:
                problems.append(f"audit: its guards {', '.join(sorted(missing))} are gone, so entries could be changed")
        except sqlite3.DatabaseError as error:
            problems.append(f"database: {error}")
    engine = sa.create_engine(f"sqlite:///{file}", poolclass=sa.NullPool)
    try:
        there = sa.inspect(engine)
        for table in t.metadata.sorted_tables:
            if not there.has_table(table.name):
                problems.append(f"database: the table {table.name} is missing")
            elif lost := {c.name for c in table.columns} - {c["name"] for c in there.get_columns(table.name)}:
                problems.append(f"database: {table.name} has no {', '.join(sorted(lost))}")
    except sa.exc.SQLAlchemyError as error:
        problems.append(f"database: {str(error).splitlines()[0]}")
    return Check("database", f"{file.stat().st_size:,} bytes", problems)


def _pages(c: sa.Connection) -> Check:
    found, rows, n = _Found(), 0, 0
    for municipality, day, blob, events in c.execute(sa.select(t.pages)):
        n += 1
        where = f"page {municipality}/{date_of(day)}"
        try:
            page = decode_page(blob)
        except (PageError, ValueError, KeyError) as error:
            found.add(f"cannot be read ({error})", where)
            continue
        rows += len(page)
        if page.day != day:
            found.add("is stored under another day than its own", where)
        if len(page) != events:
            found.add(f"holds another number of events than is stored beside it ({events})", where)
        lengths = {len(v) for v in page.columns.values()}
        if len(lengths) != 1:
            found.add("has columns of different lengths", where)
        elif any(len(page.columns[k]) and int(page.columns[k].max()) >= len(page.codes[k]) for k in page.codes):
            found.add("names codes that it does not hold", where)
    return Check("pages", f"{n:,} pages, {rows:,} rows", found.all())


def _decoded(rows: Iterable[Any], kind: type[Record], found: _Found, what: str) -> Iterator[tuple[Any, Record]]:
    """(row, record) of bodies that can be read; the others are problems. A row's first column names it, its last is the body."""
    decoder = msgspec.json.Decoder(kind)
    for row in rows:
        try:
            yield row, decoder.decode(row[-1])
        except msgspec.DecodeError as error:
            found.add(f"cannot be read ({error})", f"{what} {row[0]}")


def _agrees(row: Any, record: object, table: sa.Table, found: _Found, what: str) -> None:
    """Columns beside a body say what the body says."""
    for name in (c.name for c in table.columns if c.name != "body"):
        if getattr(row, name) != getattr(record, name):
            found.add(f"{name} is not what its record says", f"{what} {row[0]}")


def _of_a_desk(c: sa.Connection) -> bool:
    """Whether the store is that of a desk, which gets alerts, pages and clock one after the other."""
    s = t.source_state.c
    return c.execute(sa.select(s.name).where(s.name.like("number:%")).limit(1)).first() is not None


def _alerts(c: sa.Connection) -> Check:
    found, notes = _Found(), _Found()
    missed = notes if _of_a_desk(c) else found  # a desk that was away for long may miss steps
    states: dict[str, str] = {}
    for row, alert in _decoded(c.execute(sa.select(t.alerts)), Alert, found, "alert"):
        states[row.alert_id] = alert.state
        _agrees(row, alert, t.alerts, found, "alert")
    h, last, n = t.alert_history.c, dict[str, str](), 0
    known = set(c.execute(sa.select(t.alerts.c.alert_id)).scalars())
    query = sa.select(h.id, h.alert_id, h.change, h.body).order_by(h.id)
    for row, told in _decoded(c.execute(query), Alert, found, "alert history"):
        n += 1
        if row.alert_id not in known:
            found.add("tells of an alert that is not there", f"alert history {row.id}")
        if told.alert_id != row.alert_id:
            found.add("holds another alert than it is kept for", f"alert history {row.id}")
        if row.alert_id not in last and row.change != "opened":
            missed.add("its history does not begin with its opening", f"alert {row.alert_id}")
        last[row.alert_id] = row.change
    for alert_id, state in states.items():
        ended = last.get(alert_id)
        if ended is None:
            missed.add("has no history", f"alert {alert_id}")
        elif _STATE_AFTER.get(ended) != state:
            missed.add(f"is {state}, but its history ends otherwise", f"alert {alert_id}")
    return Check("alerts", f"{len(known):,} alerts, {n:,} changes", found.all(), notes.all())


def _casework(c: sa.Connection) -> Check:
    found, n = _Found(), 0
    known = set(c.execute(sa.select(t.alerts.c.alert_id)).scalars())
    a = t.audit.c
    uncut = c.execute(sa.select(sa.func.min(a.id))).scalar() in (None, 1)
    taken = sa.select(a.subject, sa.func.count()).where(a.answer_id.is_not(None)).group_by(a.subject)
    answers = {row[0]: int(row[1]) for row in c.execute(taken)}
    kept = runs_of(c)
    for row, case in _decoded(c.execute(sa.select(t.casework)), Casework, found, "casework"):
        n += 1
        _agrees(row, case, t.casework, found, "casework")
        if row.alert_id not in known:
            found.add("is of an alert that is not there", f"casework {row.alert_id}")
        run = kept.get(row.municipality)
        if uncut and not (run and case.opened_at.date() < run.kept_from["names"]) and answers.get(row.alert_id, 0) < case.revision:
            found.add("has changed more often than the audit log tells", f"casework {row.alert_id}")
        if case.merged_into and case.merged_into not in known and not _may_have_gone(case.merged_into, run):
            found.add("was merged into an alert that is not there", f"casework {row.alert_id}")
    return Check("casework", f"{n:,} cases", found.all())


def _may_have_gone(alert_id: str, run: Forgot | None) -> bool:
    """Whether retention may have taken an alert, by the day of its opening that its id tells."""
    if run is None:
        return False
    try:
        opened_on = datetime.strptime(alert_id.split("-")[1], "%y%m%d").date()  # noqa: DTZ007  # a local day
        return opened_on < max(run.kept_from["alerts"], run.alerts_before or date.min)
    except (IndexError, ValueError):
        return False


def _outbox(c: sa.Connection) -> Check:
    found, n = _Found(), 0
    known = set(c.execute(sa.select(t.alerts.c.alert_id)).scalars())
    o = t.outbox.c
    for row in c.execute(sa.select(o.id, o.municipality, o.alert_id, o.state, o.settled_at, o.body)):
        n += 1
        where = f"message {row.id}"
        if row.state not in _SETTLED:
            found.add("is in a state that there is not", where)
        elif _SETTLED[row.state] != (row.settled_at is not None):
            found.add("its state and the time at which it was settled do not agree", where)
        if row.alert_id and row.alert_id.count("-") == 2 and row.alert_id not in known:
            found.add("is about an alert that is not there", where)
        if not _is_json(row.body):
            found.add("its body cannot be read", where)
    return Check("outbox", f"{n:,} messages", found.all())


def _audit(c: sa.Connection, database: str) -> Check:
    found, notes, a = _Found(), list[str](), t.audit.c
    numbers = np.array(c.execute(sa.select(a.id).order_by(a.id)).scalars().all(), dtype=np.int64)
    gaps = np.flatnonzero(np.diff(numbers) != 1)
    gaps, cut = _not_cut(c, numbers, gaps)
    told = [f"audit: {numbers[i + 1] - numbers[i] - 1} entries are missing after number {numbers[i]}" for i in gaps[:_MOST_TOLD]]
    if cut:
        notes.append(f"audit: {cut} entries are missing among those that are older than retention keeps")
    if database == "postgresql":
        # A transaction that was rolled back uses numbers up there.
        notes += [f"{line}, or were never written (PostgreSQL uses up the numbers of what is rolled back)" for line in told]
        told = []
    if len(numbers) and numbers[0] > 1:
        notes.append(f"audit: begins at number {int(numbers[0])}; entries may be cut when they are two years old")
    twice = sa.select(a.answer_id).where(a.answer_id.is_not(None)).group_by(a.answer_id).having(sa.func.count() > 1)
    for answer_id in c.execute(twice).scalars():
        found.add("was taken twice", f"audit: answer {answer_id}")
    for row in c.execute(sa.select(a.id, a.answer_id, a.body)):
        if row.answer_id is None:
            if not _is_json(row.body):
                found.add("cannot be read", f"audit {row.id}")
            continue
        for _ in _decoded([row], Answer, found, "audit"):
            pass
    return Check("audit", f"{len(numbers):,} entries", [*told, *found.all()], notes)


def _not_cut(c: sa.Connection, numbers: NDArray[np.int64], gaps: NDArray[np.int64]) -> tuple[NDArray[np.int64], int]:
    """The gaps that no retention explains, and how many entries it does: of several municipalities each may keep its own for
    another time."""
    limit = max((run.kept_from["names"] for run in runs_of(c).values()), default=None)
    if limit is None or not len(gaps):
        return gaps, 0
    a = t.audit.c
    youngest = c.execute(sa.select(sa.func.max(a.id)).where(a.at < datetime.combine(limit, time(), tzinfo=UTC))).scalar() or 0
    old = numbers[gaps] <= youngest
    return gaps[~old], int((numbers[gaps[old] + 1] - numbers[gaps[old]] - 1).sum())


def _clock(c: sa.Connection, at: datetime) -> Check:
    found, notes, told = _Found(), list[str](), list[str]()
    desk = _of_a_desk(c)
    clocks = {row.municipality: row for row in c.execute(sa.select(t.engine_state))}
    for own in c.execute(sa.select(t.pages.c.municipality).distinct()).scalars().all():
        if own not in clocks:
            found.add("has pages, but no clock", f"municipality {own}")
    for own, clock in clocks.items():
        told.append(str(date_of(clock.clock_day)))
        blobs = c.execute(sa.select(t.pages.c.page).where(t.pages.c.municipality == own)).scalars()
        try:
            rows = join_pages(decode_page(blob) for blob in blobs).columns
        except (PageError, ValueError, KeyError):
            continue  # told by the check of the pages
        superseded = rows["superseded"][rows["superseded"] != STANDING]
        ahead = {
            "an event arrived": int(rows["arrived"].max(initial=0)) > clock.clock_day,
            "an event was replaced": int(superseded.max(initial=0)) > clock.clock_day,
            "an event was recorded": int(rows["recorded"].max(initial=0)) > clock.clock_hour,
        }
        for what, is_so in ahead.items():
            if is_so and not desk:
                found.add(f"stands before the day or hour on which {what}", f"clock of {own}")
        opened_on = c.execute(sa.select(sa.func.max(t.alerts.c.opened_on)).where(t.alerts.c.municipality == own)).scalar()
        if opened_on is not None and opened_on > date_of(clock.clock_day) and not desk:
            found.add("stands before the day on which an alert was opened", f"clock of {own}")
        if instant_of(clock.clock_hour) > at + timedelta(days=2):
            notes.append(f"clock of {own}: stands after the time of this check; some supplier's clock was ahead, or it is a replay")
    return Check("clock", ", ".join(told) or "not begun", found.all(), notes)


def _settings(c: sa.Connection) -> Check:
    s = t.settings_versions.c
    rows = c.execute(sa.select(s.number, s.version, s.text).order_by(s.number)).all()
    numbers = [row.number for row in rows]
    problems = [] if numbers == sorted(set(numbers)) else ["settings versions: their numbers do not rise"]
    used = set(c.execute(sa.select(t.alerts.c.settings_version).distinct()).scalars())
    unknown = sorted(used - {row.version for row in rows})
    notes = [f"settings: alerts were judged by {', '.join(unknown)}, of which no text is kept"] if unknown and rows else []
    return Check("settings", f"{len(rows):,} versions", problems, notes)


def _others(c: sa.Connection) -> Check:
    found, n = _Found(), 0
    for row, note in _decoded(c.execute(sa.select(t.data_notes)), DataNote, found, "data note"):
        n += 1
        _agrees(row, note, t.data_notes, found, "data note")
    for row, draft in _decoded(c.execute(sa.select(t.settings_drafts)), Draft, found, "draft of settings"):
        n += 1
        # The record is written before the database has given the draft its number.
        for name in ("municipality", "state", "revision"):
            if getattr(row, name) != getattr(draft, name):
                found.add(f"{name} is not what its record says", f"draft of settings {row.draft_id}")
    for row, mark in _decoded(c.execute(sa.select(t.marked_events)), MarkedEvent, found, "known event"):
        n += 1
        if (row.municipality, row.first_day) != (mark.municipality, mark.first):
            found.add("its place or day is not what its record says", f"known event {row.mark_id}")
    p, d = t.plans.c, t.dead_letters.c
    for _ in _decoded(c.execute(sa.select(p.number, p.body)), ActionPlan, found, "plan"):
        n += 1
    for row in c.execute(sa.select(d.id, d.state, d.settled_at, d.payload)):
        n += 1
        if row.state not in _LETTERS:
            found.add("is in a state that there is not", f"dead letter {row.id}")
        if row.payload is not None and not _is_json(row.payload):
            found.add("its payload cannot be read", f"dead letter {row.id}")
    return Check("data notes, drafts, plans, dead letters", f"{n:,} records", found.all())


def _is_json(text: str) -> bool:
    try:
        msgspec.json.decode(text)
    except msgspec.DecodeError:
        return False
    return True
