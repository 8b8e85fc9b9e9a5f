"""Which alerts are still followed when an engine is made anew from a store."""

from collections.abc import Iterable
from pathlib import Path

from earlywarning.core.alert_record import Alert
from earlywarning.core.alerts import AlertSettings, let_go
from earlywarning.core.calendar import day_number
from earlywarning.settings import SettingsError, parse_settings
from earlywarning.store import Store
from earlywarning.store.source_states import settings_clock

_LONGEST = 60  # days for which settings may have an alert followed after its last signal


def still_followed(store: Store, alerts: Iterable[Alert], clock_day: int, rules: AlertSettings, folder: Path) -> list[Alert]:
    """The alerts that are open, or were withdrawn and may come back, on clock_day. rules: those in force; folder: of the settings.

    A withdrawn alert is let go when a day closes, by the settings that are in force then: whether settings have changed since, or
    in the middle of this day, must make no difference to a service that is started again.
    """
    found = [a for a in alerts if a.state == "open" or clock_day - day_number(a.last_day) <= _LONGEST]
    if all(a.state == "open" for a in found):
        return found
    waited = _waited(store, folder) or [(0, rules.settle_after)]
    return [a for a in found if a.state == "open" or not let_go(a, waited, clock_day)]


def _waited(store: Store, folder: Path) -> list[tuple[int, int]]:
    """From which day of the clock on, how many days after its last signal an alert was followed."""
    out = []
    for number, _, _, text in store.settings_versions():
        place = store.source_state(settings_clock(number))
        try:
            read = parse_settings(text, file=f"settings version {number}", folder=folder)
        except SettingsError:
            continue  # of an older version of the program; what it let go is over by now
        out.append((int(place.split()[0]) if place else 0, read.alerts.settle_after_days))
    return out
