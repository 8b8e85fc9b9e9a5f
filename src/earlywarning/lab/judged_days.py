"""The days of a history that are judged, and how its events are fed to an engine: the same for a back-test and a recording."""

from bisect import bisect_right
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime
from typing import NamedTuple

from earlywarning.core.calendar import LocalCalendar, date_of, day_number, instant_of
from earlywarning.core.changes import Ingested
from earlywarning.core.engine import Engine
from earlywarning.core.events import AnyEvent
from earlywarning.core.watch import Watch

_BATCH = 20_000
_LATEST = datetime(2200, 1, 1, tzinfo=UTC)  # a history has no present against which an event could lie in the future


class LabError(ValueError):
    """What the lab cannot try; says why, and what can be tried."""


class JudgedDays(NamedTuple):
    """oldest: day of the first event's recording; first, last: days to judge; events: how many were recorded until then."""

    oldest: date
    first: date
    last: date
    events: int

    def that_could_be_judged(self, watch: Watch) -> "JudgedDays":
        """Those of the days, once they are fed, before which there was history enough. Raises LabError when there are none.

        Whoever counted alerts over all of them would be told too few a week.
        """
        since = None if watch.ready_since is None else date_of(watch.ready_since)
        if since is None or since > self.last:
            raise LabError(
                f"nothing could be judged by {self.last}: less than {watch.settings.min_years} years of history lie before it "
                f"(detection.min_years); the first event was recorded on {self.oldest}"
            )
        return self._replace(first=max(self.first, since))


def judged_days(events: Sequence[AnyEvent], calendar: LocalCalendar, first: date, last: date | None) -> JudgedDays:
    """events: sorted by recorded_at. last: None is the newest day. Raises LabError for days that the history does not have."""
    if not events:
        raise LabError("there are no events to judge; see why they were left out, or name other files")
    oldest, newest = (date_of(calendar.day_at(events[i].recorded_at)) for i in (0, -1))
    if last is not None and last < first:
        raise LabError(f"the last judged day, {last}, lies before the first, {first}; turn --from and --to round")
    if not oldest < first <= newest:
        raise LabError(f"the first judged day, {first}, must lie within what was recorded: after {oldest}, up to {newest}")
    end = min(last or newest, newest)
    stop = bisect_right(events, day_number(end), key=lambda e: calendar.day_at(e.recorded_at))
    return JudgedDays(oldest, first, end, stop)


def feed(engine: Engine, events: Sequence[AnyEvent], days: JudgedDays, heard: Callable[[Ingested], None]) -> None:
    """Feed the events of these days in their order of recording, and close the last day. heard: told what came of each batch."""
    for begin in range(0, days.events, _BATCH):
        heard(engine.ingest(events[begin : min(begin + _BATCH, days.events)], _LATEST))
    engine.advance(instant_of(int(engine.calendar.first_hour(day_number(days.last) + 1))))
