"""Alerts and recipients of the made-up town, for tests of who gets what."""

from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from earlywarning.core.alert_record import Alert, AlertChange, Change
from earlywarning.core.casework import Casework
from earlywarning.core.kinship import Kinship
from earlywarning.core.mutes import Mute
from earlywarning.core.rhythms import daily, weekly
from earlywarning.core.routing import Decision, Recipient, Rules, route
from tests.core.town import CODE, register, tree
from tests.locale.said import alert as said_alert

KIN = Kinship.from_registers(register(), tree())
ZONE = "Europe/Stockholm"
TUESDAY = datetime(2026, 3, 3, 21, tzinfo=UTC)  # 22:00 in Stockholm
WEDNESDAYS = weekly("wednesday", 8, ZONE)
MORNINGS = daily(6, ZONE)


def alert(number: int | str = 1, *, opened: datetime = TUESDAY, **parts: Any) -> Alert:
    """A surge of graffiti in A1 that was opened on Tuesday 3 March 2026, unless parts say otherwise."""
    day = opened.astimezone(ZoneInfo(ZONE)).date()
    given: dict[str, Any] = {
        "alert_id": f"{CODE}-260303-{number}", "municipality": CODE, "opened_on": day, "opened_at": opened, "last_day": day,
        "updated_on": day, "areas": ("A1",), "categories": ("C0",),
    }  # fmt: skip
    return said_alert(parts={**given, **parts})


def change(what: Change, about: Alert | None = None, on: date | None = None) -> AlertChange:
    about = about or alert()
    return AlertChange(what, on or about.opened_on, about)


def recipient(name: str = "coordination", **fields: Any) -> Recipient:
    """Hears of severe alerts at once, and of all else on Wednesdays at 8."""
    return Recipient(name=name, channel="mail", **{"digest": WEDNESDAYS, **fields})


def mute(**fields: Any) -> Mute:
    """A festival in district D0, from 1 to 8 March 2026."""
    given: dict[str, Any] = {
        "mute_id": "m-1", "municipality": CODE, "areas": ("D0",), "first_day": date(2026, 3, 1), "last_day": date(2026, 3, 8),
        "reason": "festival", "who": "coordinator", "made_at": TUESDAY - timedelta(days=9),
    }  # fmt: skip
    return Mute(**{**given, **fields})


def decide(
    what: AlertChange, to: Recipient, *mutes: Mute, now: datetime = TUESDAY, told: tuple[str, ...] = (), send_within: int = 7
) -> Decision:
    """The decision about one change for one recipient."""
    before = {what.alert.alert_id: frozenset(told)}
    (one,) = route([what], [to], mutes, KIN, now=now, told=before, rules=Rules(timezone=ZONE, send_within=send_within))
    return one


def case(about: Alert, **fields: Any) -> Casework:
    return Casework(alert_id=about.alert_id, municipality=CODE, opened_at=about.opened_at, **fields)
