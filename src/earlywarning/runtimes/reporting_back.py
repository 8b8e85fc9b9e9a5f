"""What reporters hear: how many of their events came in, and what they led to."""

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import Literal, NamedTuple

import msgspec

from earlywarning.core.calendar import LocalCalendar, day_number
from earlywarning.core.kinship import Kinship
from earlywarning.core.led_to import all_rows_of, came_in, counted_in, of_source
from earlywarning.core.outgoing import LedTo, Outgoing, ReporterContent, key_of
from earlywarning.core.pages import Rows, decode_page, join_pages
from earlywarning.core.rhythms import instant_at, local_day
from earlywarning.locale.routes import measure_words
from earlywarning.runtimes.recipients import report_rhythm
from earlywarning.settings import Settings
from earlywarning.settings_routing import Reporter
from earlywarning.store import Store
from earlywarning.store.cases import Cases
from earlywarning.store.sent import Sent

_PAGES = 400  # days back that are read: the longest interval of an event and its lateness
_REMEMBERED = timedelta(days=180)  # since an alert was opened, within which a reporter hears what became of it


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """Up to when a reporter was told. revisions: by alert, of the casework that they were told of."""

    receipt: datetime | None = None
    led_to: datetime | None = None
    revisions: dict[str, int] = {}


class _Period(NamedTuple):
    """Whole local days, and the moment at which they are told of."""

    first_day: date
    last_day: date
    at: datetime


class Reports:
    """The messages to reporters of one municipality, made at one moment; day pages are read once for all of them."""

    def __init__(self, store: Store, settings: Settings, kin: Kinship, now: datetime) -> None:
        self._store, self._settings, self._kin, self._now = store, settings, kin, now
        self._timezone = settings.municipality.timezone
        self._rows: Rows | None = None

    def due(self, name: str, reporter: Reporter, place: Place) -> tuple[list[Outgoing], Place]:
        """What a reporter hears now, and up to when that is. One who is new hears first when the next period is over."""
        messages = []
        led_to, receipt = self._period(reporter.led_to, place.led_to), self._period(reporter.receipt, place.receipt)
        revisions = place.revisions
        said = False
        if isinstance(led_to, _Period):
            content, revisions = self._content(reporter, led_to, revisions)
            if content.led_to:
                messages.append(self._message(name, reporter, "led-to", content))
                said = True
        # One letter says both where both cover the same days.
        if isinstance(receipt, _Period) and not (said and isinstance(led_to, _Period) and receipt == led_to):
            content = self._counted(reporter, receipt)
            if content.accepted or content.rejected:
                messages.append(self._message(name, reporter, "receipt", content))
        told = Place(receipt=_until(receipt), led_to=_until(led_to), revisions=revisions)
        return messages, told

    def _period(self, how_often: str, before: datetime | None) -> _Period | datetime | None:
        """The days that are over and not told of; when none are, the moment up to which they are told; None for never."""
        rhythm = report_rhythm(self._settings, how_often)
        if rhythm is None:
            return None
        last = rhythm.last(self._now)
        if before is None or last <= before:
            return before or last
        return _Period(local_day(before, self._timezone), local_day(last, self._timezone) - timedelta(days=1), last)

    def _message(self, name: str, reporter: Reporter, kind: Literal["receipt", "led-to"], content: ReporterContent) -> Outgoing:
        municipality = self._settings.municipality
        return Outgoing(
            key=key_of(municipality.code, kind, name, content.first_day.isoformat(), content.last_day.isoformat()),
            municipality=municipality.code, channel=reporter.channel, recipient=name, kind=kind,
            created_at=self._now, body=msgspec.json.encode(content).decode(), language=reporter.language or municipality.language,
        )  # fmt: skip

    def _read(self) -> Rows:
        if self._rows is None:
            end = day_number(local_day(self._now, self._timezone))
            pages = self._store.pages(self._settings.municipality.code, end - _PAGES, end)
            self._rows = join_pages(decode_page(page) for _, page in pages)
        return self._rows

    def _counted(self, reporter: Reporter, period: _Period) -> ReporterContent:
        rows = self._read()
        own = of_source(rows, reporter.source)
        since = instant_at(period.first_day, 0, self._timezone)
        until = instant_at(period.last_day + timedelta(days=1), 0, self._timezone)
        refused = Sent(self._store).refused(self._settings.municipality.code, reporter.source, since, until)
        return ReporterContent(
            source=reporter.source, first_day=period.first_day, last_day=period.last_day,
            accepted=int((own & came_in(rows, period.first_day, period.last_day)).sum()), rejected=refused,
        )  # fmt: skip

    def _content(self, reporter: Reporter, period: _Period, revisions: Mapping[str, int]) -> tuple[ReporterContent, dict[str, int]]:
        """Alerts in which events of the period counted, and those in which earlier ones did and that were answered since."""
        content = self._counted(reporter, period)
        rows = self._read()
        municipality = self._settings.municipality
        alerts = [
            a
            for a in self._store.alerts(municipality=municipality.code, since=period.last_day - _REMEMBERED)
            if a.state != "withdrawn"
        ]
        calendar, origins = LocalCalendar(municipality.timezone), self._settings.detection.origins
        own = of_source(rows, reporter.source)
        week = all_rows_of(rows, own & came_in(rows, period.first_day, period.last_day))
        fresh = {a.alert_id for a in counted_in(rows, week, alerts, self._kin, calendar, origins)}
        ever = counted_in(rows, own, alerts, self._kin, calendar, origins)
        cases = Cases(self._store).of([a.alert_id for a in ever])
        told, known = [], {}
        for alert in ever:
            case = cases.get(alert.alert_id)
            if case is None:
                continue
            before = revisions.get(alert.alert_id, 0)
            known[alert.alert_id] = before
            if alert.alert_id in fresh or case.revision > before:
                language = reporter.language or municipality.language
                told.append(LedTo(alert, case.stage, [measure_words(m.what, m.due, language) for m in case.measures]))
                known[alert.alert_id] = case.revision
        return msgspec.structs.replace(content, led_to=told), known


def _until(period: _Period | datetime | None) -> datetime | None:
    return period.at if isinstance(period, _Period) else period
