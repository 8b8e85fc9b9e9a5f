"""What would the settings have given? A history is judged day by day with what had been recorded by then."""

import csv
import gzip
import io
import operator
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import IO, NamedTuple

from earlywarning.core.alert_record import Alert
from earlywarning.core.areas import AreaRegister, load_areas
from earlywarning.core.categories import COLUMNS, ROOT, CategoryTree, load_categories
from earlywarning.core.engine import Engine
from earlywarning.core.events import AnyEvent
from earlywarning.settings import Mapping
from earlywarning.sources.files import EventFile, FileProblem

_BATCH = 5_000
_LATEST = datetime(2200, 1, 1, tzinfo=UTC)  # a back-test has no present against which an event could lie in the future
_GROUPED = ("code", "group", "kind")  # the short form of a category file: two levels, no names
_ALERT_COLUMNS = (
    "alert_id", "opened_on", "areas", "categories", "areas_when_opened", "categories_when_opened", "tendency", "kind", "window",
    "first_day", "last_day", "observed", "expected", "upper_bound", "p_value", "recurrence_days",
)  # fmt: skip


class Backtest(NamedTuple):
    """alerts: those opened from the first judged day on, in order. rejected: events left out, by rule; events: all read."""

    alerts: list[Alert]
    events: int
    rejected: Counter[str]
    weeks: float

    @property
    def per_week(self) -> float:
        """Alerts a week."""
        return len(self.alerts) / self.weeks if self.weeks else 0.0


def read_registers(areas: Path, categories: Path, municipality: str) -> tuple[AreaRegister, CategoryTree]:
    """Registers from files; a category file may be of the short form code,group,kind.

    Raises RegisterError naming file, place and rule, and FileProblem for a file that cannot be read.
    """
    register = load_areas(_bytes(areas), file=areas.name, municipality=municipality)
    text = _bytes(categories).decode("utf-8-sig", errors="replace")
    header = tuple(cell.strip() for cell in text.split("\n", 1)[0].split(","))
    if sorted(header) == sorted(_GROUPED):
        text = _long_form(text)
    return register, load_categories(text, file=categories.name)


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise FileProblem(f"{path}: cannot be opened ({error.strerror})") from error


def _long_form(text: str) -> str:
    """A category file of the short form as one of the long form; line n stays line n, groups follow at the end."""
    rows = list(csv.DictReader(io.StringIO(text)))
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    for row in rows:
        code, group = (row.get("code") or "").strip(), (row.get("group") or "").strip()
        writer.writerow([code, group, code, code, "", "reported"])
    for group in dict.fromkeys((row.get("group") or "").strip() for row in rows):
        if group:
            writer.writerow([group, "", group, group, "1", "reported"])
    return out.getvalue()


def read_events(
    paths: Sequence[Path], municipality: str, timezone: str, mapping: Mapping | None = None, rejected: Counter[str] | None = None
) -> list[AnyEvent]:
    """All events of some files, in the order in which they were recorded.

    A CSV file without a mapping has event fields for columns; source and municipality may be missing from it, and are then
    the file's name and the municipality's code. What cannot be read is counted in `rejected`, by rule. Raises FileProblem.
    """
    rejected = Counter() if rejected is None else rejected
    events: list[AnyEvent] = []
    for path in paths:
        for supply in EventFile(path, mapping=mapping or _plain(path, municipality), default_timezone=timezone):
            events += supply.decoded.events
            rejected.update(r.rule for r in supply.decoded.rejections)
    events.sort(key=operator.attrgetter("recorded_at"))
    return events


def _plain(path: Path, municipality: str) -> Mapping | None:
    """For a CSV file whose header lacks what is the same in all of its rows: the columns it has, and constants."""
    if ".csv" not in "".join(path.suffixes[-2:]).lower():
        return None
    header = _header(path)
    missing = {"source": path.name.split(".")[0], "municipality": municipality}
    missing = {field: value for field, value in missing.items() if field not in header}
    return Mapping(columns={name: name for name in header}, constants=missing) if missing else None


def _header(path: Path) -> list[str]:
    try:
        with path.open("rb") as raw:
            zipped = raw.peek(2)[:2] == b"\x1f\x8b"
            with io.TextIOWrapper(gzip.GzipFile(fileobj=raw) if zipped else raw, encoding="utf-8-sig") as lines:
                return next(csv.reader(lines), [])
    except OSError as error:
        raise FileProblem(f"{path}: cannot be read ({error.strerror or error})") from error
    except UnicodeError as error:
        raise FileProblem(f"{path}: is not UTF-8; save it as UTF-8, or name its encoding in a mapping") from error


def backtest(engine: Engine, events: Sequence[AnyEvent], first: date, last: date | None = None) -> Backtest:
    """Feed events in their order of recording, and keep the alerts opened on first..last (default: the newest day).

    The engine's settings say from which day on it judges (`first_judged`).
    """
    alerts: dict[str, Alert] = {}
    rejected: Counter[str] = Counter()
    for batch in _batches(events, last):
        rejected.update(r.rule for r in engine.ingest(batch, _LATEST).rejections)
        alerts.update({a.alert_id: a for a in engine.changes().alerts})
    newest = last or (engine.calendar_date() if events else first)
    chosen = sorted((a for a in alerts.values() if first <= a.opened_on <= newest), key=lambda a: (a.opened_at, a.alert_id))
    return Backtest(chosen, len(events), rejected, ((newest - first).days + 1) / 7)


def _batches(events: Sequence[AnyEvent], last: date | None) -> Iterator[Sequence[AnyEvent]]:
    for begin in range(0, len(events), _BATCH):
        batch = events[begin : begin + _BATCH]
        if last is not None and batch[0].recorded_at.date() > last:
            return
        yield batch


def write_alerts(found: Backtest, register: AreaRegister, out: IO[str]) -> None:
    """Alerts as CSV: lists are ;-separated codes, * is everything."""
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(_ALERT_COLUMNS)

    def codes(values: Sequence[str]) -> str:
        return ";".join("*" if v in (ROOT, register.municipality) else v for v in values)

    for a in found.alerts:
        opening = a.signals[-1]
        writer.writerow(
            [
                a.alert_id, a.opened_on.isoformat(), codes(a.areas), codes(a.categories), codes(opening.areas),
                codes(opening.categories), a.tendency, a.kind, a.window, a.first_day.isoformat(), a.last_day.isoformat(),
                f"{a.observed:g}", f"{a.expected:.3f}", f"{a.upper_bound:g}", f"{a.p_value:.3g}", f"{a.recurrence_days:.1f}",
            ]
        )  # fmt: skip
