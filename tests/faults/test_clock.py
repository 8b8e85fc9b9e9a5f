"""The machine's clock jumps both ways; nights of 23 and 25 hours, a leap day, the turn of a year."""

import time
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from tests.core.town import CODE
from tests.faults.clock import Clock
from tests.faults.conftest import LONG, Base, Starter, Supplier, log_of, same, settings, until
from tests.kafka.town import kept
from tests.web.conftest import Running, body, write_town

ZONE = ZoneInfo("Europe/Stockholm")
OPEN_DAY = "earlywarning_clock_day_timestamp_seconds"
JUMPED = 'earlywarning_failures_total{what="clock"}'


def driver(steady: float, tick: float = 0.3) -> tuple[str, str]:
    """The service, which looks at the clock more often and believes it sooner."""
    return (
        "-c",
        f"import earlywarning.runtimes.writer as e, earlywarning.runtimes.steady_clock as c; e._TICK = {tick}; "
        f"c.STEADY = {steady}; from earlywarning.cli import main; main()",
    )


def day_of(service: Running) -> date:
    """The local day that is open; its metric must be the day's exact beginning."""
    moment = datetime.fromtimestamp(service.metric(OPEN_DAY), ZONE)
    assert (moment.hour, moment.minute) == (0, 0), moment
    return moment.date()


def recorded(batch: list[dict[str, object]]) -> datetime:
    return max(datetime.fromisoformat(str(e["recorded_at"])) for e in batch)


def test_a_clock_that_jumps_away_and_back_changes_nothing(
    base: Base, town: Path, start: Starter, told: Callable[..., None]
) -> None:
    settings(town, 'clock = "events"', 'clock = "wall"')
    true = recorded(base.live[9]) + timedelta(minutes=5)
    clock = Clock(town, true)
    service = start(town, environment=clock.environment, program=driver(600 if LONG else 1e6))
    supplier = Supplier(service, base.live)
    supplier.send_rest(10)
    today = day_of(service)
    begun = time.monotonic()
    for number, jump in enumerate((timedelta(days=400), timedelta(days=3), timedelta(days=-3))):
        clock.set(true + jump)
        until(lambda n=number: log_of(service).count("the machine's clock jumped") > 2 * n, "that the jump is noticed")  # type: ignore[misc]
        if jump < timedelta(0):  # what suppliers send lies in the future now: refused, kept, and told
            item = service.send([body("future", recorded_at=true.isoformat(), occurred_at=true.isoformat())]).json()["results"][0]
            assert (item["outcome"], item["rule"]) == ("rejected", "future")
            assert "check the clock" in item["problem"]
        time.sleep(60 if LONG else 1)
        assert day_of(service) == today
        clock.set(true)
        until(lambda n=number: log_of(service).count("the machine's clock jumped") > 2 * n + 1, "that it is noticed")  # type: ignore[misc]
    assert day_of(service) == today
    assert service.metric(JUMPED) >= 3
    assert service.client.get("/readyz").status_code == 200
    seconds = time.monotonic() - begun
    clock.set(datetime.now(UTC))
    # The event that was refused waits as a dead letter; it is not part of what an undisturbed run leaves.
    supplier.send_rest()
    supplier.all_kept()
    service.stop()
    alerts = base.wanted.alerts
    same(town, Base(base.folder, base.live, base.wanted._replace(letters=[_letter(town)])))
    assert alerts
    told(
        "clock 400 days and 3 days forward and back, 3 days back and forward",
        seen="log and metric tell the jump; days are not closed until it has stood for ten minutes; behind, events of now are "
        "refused as `future`, kept, and taken by a replay", well_after=0.0, seconds_of_jumps=round(seconds),
    )  # fmt: skip


def _letter(town: Path) -> object:
    (letter,) = kept(f"sqlite:///{town / 'store.db'}", CODE).letters
    assert letter[:3] == ("future", "recorded_at", "w-futurex")
    return letter


def test_a_clock_that_stays_where_it_was_put_is_believed(base: Base, town: Path, start: Starter) -> None:
    settings(town, 'clock = "events"', 'clock = "wall"')
    true = recorded(base.live[0])
    clock = Clock(town, true)
    service = start(town, environment=clock.environment, program=driver(3))
    today = true.astimezone(ZONE).date()
    until(lambda: day_of(service) == today, "the first look at the clock")
    clock.set(true + timedelta(days=2))
    until(lambda: "the machine's clock jumped" in log_of(service), "that the jump is noticed")
    assert day_of(service) == today
    until(lambda: day_of(service) == today + timedelta(days=2), "the day's close")


NIGHTS = {  # local day: its hours
    date(2024, 2, 28): 24,
    date(2024, 2, 29): 24,
    date(2024, 3, 1): 24,
    date(2024, 3, 30): 24,
    date(2024, 3, 31): 23,
    date(2024, 4, 1): 24,
    date(2024, 10, 26): 24,
    date(2024, 10, 27): 25,
    date(2024, 10, 28): 24,
    date(2024, 12, 31): 24,
    date(2025, 1, 1): 24,
}


def test_nights_of_summer_time_a_leap_day_and_the_turn_of_a_year_are_counted_and_closed_to_the_hour(
    tmp_path: Path, start: Starter, told: Callable[..., None]
) -> None:
    """An event each hour, with the clock of that hour; the service is killed in the hour that comes twice."""
    write_town(tmp_path)
    settings(tmp_path, 'clock = "events"', 'clock = "wall"')
    clock = Clock(tmp_path, datetime(2024, 2, 28, 0, 5, tzinfo=ZONE))
    service = start(tmp_path, environment=clock.environment, program=driver(0, 0.05))
    number, restart = 0, 0.0
    for day in NIGHTS:
        hour = datetime(day.year, day.month, day.day, tzinfo=ZONE).astimezone(UTC) + timedelta(minutes=30)
        while hour.astimezone(ZONE).date() == day:
            clock.set(hour + timedelta(minutes=10))
            if day == date(2024, 10, 27) and hour.astimezone(ZONE).hour == 2 and hour.astimezone(ZONE).fold:
                begun = time.monotonic()
                service.kill()
                service.start()
                restart = time.monotonic() - begun
            event = body(number, occurred_at=hour.isoformat(), recorded_at=(hour + timedelta(minutes=5)).isoformat())
            assert service.send(event).json()["counts"] == {"accepted": 1}
            number += 1
            hour += timedelta(hours=1)
        assert day_of(service) == day
        last = hour - timedelta(minutes=31)  # a minute before the day is over ...
        clock.set(last)
        assert day_of(service) == day
        clock.set(hour - timedelta(minutes=29))  # ... and a minute after
        until(lambda day=day: day_of(service) == day + timedelta(days=1), f"the close of {day}")  # type: ignore[misc]
    asked = {"first": "2024-02-28", "last": "2025-01-01", "area": "A0", "category": "C0"}
    rows = service.client.get("/v1/counts", params=asked).json()["rows"]
    assert {date.fromisoformat(r["day"]): r["count"] for r in rows} == NIGHTS
    told(
        "nights of 23 and 25 hours, leap day, turn of the year; killed in the hour that comes twice",
        seen="each day has its hours, and closes at its own midnight", well_after=restart,
    )  # fmt: skip
