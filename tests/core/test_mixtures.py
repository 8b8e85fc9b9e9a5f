"""Laws of what a week says: a changed mixture and graver events are told with their reasons, quiet towns keep the budget."""

from datetime import timedelta

import numpy as np
import pytest

from earlywarning.core.calendar import LocalCalendar
from earlywarning.core.categories import load_categories
from earlywarning.core.engine import Engine
from earlywarning.core.events import AnyEvent
from earlywarning.core.mixtures import rolling, unusual_mixtures
from earlywarning.core.tendencies import TendencySettings
from tests.core.town import BEGIN, event, feed, register, settings

GROUPS = """code,parent,name_sv,name_en,harm_weight,default_origin
G0,,Skadegörelse,Vandalism,2,reported
C0,G0,Klotter,Graffiti,1,
G1,,Narkotika,Drugs,5,reported
C1,G1,Öppen försäljning,Open dealing,5,
G2,,Våld,Violence,80,reported
C2,G2,Misshandel,Assault,80,
G3,,Stöld,Theft,10,reported
C3,G3,Cykelstöld,Bicycle theft,10,
"""
WEEKS = 100


def town(tendencies: TendencySettings | None = None, **watch: object) -> Engine:
    return Engine(register(), load_categories(GROUPS, file="categories.csv"), LocalCalendar(), settings(tendencies, **watch))


def life(seed: int, changed: np.ndarray | None = None, weeks: int = WEEKS) -> list[AnyEvent]:
    """About one event a day in each area; in the last four weeks A0 has the shares `changed` of C0..C3."""
    rng = np.random.default_rng(seed)
    usual = np.array([0.4, 0.3, 0.05, 0.25])
    out = []
    for day in range(weeks * 7):
        for area in range(6):
            shares = changed if changed is not None and area == 0 and day >= (weeks - 4) * 7 else usual
            for category in range(4):
                for _ in range(int(rng.poisson(1.2 * shares[category]))):
                    when = BEGIN + timedelta(days=day, hours=float(rng.uniform(-10, 8)))
                    kind = "report" if rng.random() < 0.4 else "incident"
                    out.append(event(f"m{len(out)}", when, area=f"A{area}", category=f"C{category}", kind=kind, origin="reported"))
    return sorted(out, key=lambda e: (e.recorded_at, e.event_id))


ONLY_MIXTURE = TendencySettings(first_share=0.0, apart_share=0.0, drift_share=0.0, mixture_share=0.2, harm_share=0.0)
ONLY_HARM = TendencySettings(first_share=0.0, apart_share=0.0, drift_share=0.0, mixture_share=0.0, harm_share=0.2)


def test_a_changed_mixture_is_told_with_what_has_risen_and_fallen() -> None:
    e = town(ONLY_MIXTURE)
    _, alerts, _ = feed(e, life(3, np.array([0.02, 0.3, 0.05, 0.63])))
    e.advance(BEGIN + timedelta(weeks=WEEKS))
    last = {**alerts, **{a.alert_id: a for a in e.changes().alerts}}
    (alert,) = [a for a in last.values() if a.tendency == "mixture" and "A0" in a.areas]
    reasons = {r.code: r.deviation for r in alert.signals[0].reasons if r.feature == "category"}
    assert reasons["G3"] > 2
    assert reasons["G0"] < -2
    assert alert.categories == ("G3",)
    assert alert.window == 28
    assert alert.observed > alert.expected


def test_more_of_everything_is_no_change_of_mixture() -> None:
    e = town(ONLY_MIXTURE)
    _, alerts, _ = feed(e, life(4, 3 * np.array([0.4, 0.3, 0.05, 0.25])))
    e.advance(BEGIN + timedelta(weeks=WEEKS))
    e.changes()
    assert [a for a in alerts.values() if a.tendency == "mixture" and "A0" in a.areas] == []


def test_chance_alone_gives_about_as_many_changed_mixtures_as_stated() -> None:
    found = weeks = 0
    for seed in range(6):
        e = town(min_years=9)  # counts only
        feed(e, life(40 + seed, weeks=130))
        assert e.today is not None
        sunday = e.today - (e.today + 3 + 1) % 7
        for week in range(40):
            weeks += 1
            found += len(unusual_mixtures(e.scope, e.cube, sunday - 7 * week, None, 0.2))
    assert found / weeks < 0.2 * 1.4


def test_rolling_windows_count_each_event_once_for_each_window_it_lies_in() -> None:
    e = town(min_years=9)
    events = life(9, weeks=80)
    feed(e, events)
    assert e.today is not None
    sunday = e.today - (e.today + 3 + 1) % 7
    seen = rolling(e.scope, e.cube, sunday)
    assert seen is not None
    days = np.array([e.calendar.day_at(x.occurred_at) for x in events if x.occurred_at is not None])
    weekday = (days + 3) % 7
    inside = (days > sunday - 28) & (days <= sunday)
    assert seen.mix[:, -1].sum() == inside.sum()
    assert seen.weekend[:, -1].sum() == (inside & (weekday >= 5)).sum()
    reports = np.array([type(x).__name__ == "Report" for x in events])
    assert seen.reports[:, -1].sum() == (inside & reports).sum()


def test_graver_events_are_told_though_their_number_is_not_unusual() -> None:
    e = town(ONLY_HARM)
    _, alerts, _ = feed(e, life(5, np.array([0.3, 0.2, 0.4, 0.1])))
    e.advance(BEGIN + timedelta(weeks=WEEKS))
    last = {**alerts, **{a.alert_id: a for a in e.changes().alerts}}
    about = [a for a in last.values() if "A0" in a.areas and a.opened_on >= (BEGIN + timedelta(weeks=WEEKS - 4)).date()]
    assert about
    assert any("C2" in a.categories or "G2" in a.categories for a in about), "as graver, or as more of the grave"


@pytest.mark.parametrize("share", [0.0, 0.2])
def test_a_share_of_nothing_switches_a_tendency_off(share: float) -> None:
    e = town(ONLY_MIXTURE._replace(mixture_share=share))
    _, alerts, _ = feed(e, life(3, np.array([0.02, 0.3, 0.05, 0.63])))
    e.advance(BEGIN + timedelta(weeks=WEEKS))
    last = {**alerts, **{a.alert_id: a for a in e.changes().alerts}}
    assert any(a.tendency == "mixture" for a in last.values()) == (share > 0)
