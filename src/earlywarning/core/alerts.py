"""Signals become alerts: grouped by place, category and time, opened once, updated while they last, settled when over.

Two signals belong together when their areas and their categories are each the same or one above the other, their
windows meet, and either the later one is the less unusual, or the smaller of the two excesses is at least half of the
larger (it carries it). So a rise in one neighbourhood, which also lifts its district and the municipality, is one
alert about the neighbourhood; and a separate rise under a city-wide one is an alert of its own.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from math import log10

import msgspec
import numpy as np
from numpy.typing import NDArray

from earlywarning.core.alert_record import Alert, AlertChange, Change, Signal, State, Uncertainty
from earlywarning.core.budget import recurrence_days
from earlywarning.core.calendar import date_of, day_number, instant_of
from earlywarning.core.counts import SeriesSpace
from earlywarning.core.detectors.threshold import status_text
from earlywarning.core.watch import Standing

SHARE_THAT_CARRIES = 0.5


class AlertSettings(msgspec.Struct, frozen=True):
    """settle_after: days without any signal after which an alert is over. version: of the settings in force.

    windows: how many window lengths are watched; with the number of series it gives the tests made a day.
    """

    settle_after: int = 7
    version: str = ""
    method: str = "farrington-flexible"
    windows: int = 3


Rank = tuple[int, int, float, int, int]


def rank(p_value: float, depth: int, series: int, window: int) -> Rank:
    """Sort key of signals: the most unusual first; of those within half a power of ten the most specific.

    A place whose events all lie in one of its parts has the same count as that part: the part is the better name.
    """
    magnitude = round(2 * log10(p_value)) if p_value > 0 else -10_000
    return (magnitude, -depth, p_value, series, window)


@dataclass(slots=True)
class Member:
    """One series in one window that belongs to an alert; its figures are those of the most unusual window so far."""

    series: int
    depth: int  # how specific: levels below the municipality and all categories
    window: int
    first_end: int  # last day of the window in which it was first raised
    raised_hour: int
    end: int
    observed: float
    expectation: float
    upper_bound: float
    dispersion: float
    p_value: float
    status: int
    standing: bool = True
    rank: Rank = (0, 0, 0.0, 0, 0)
    signal: Signal | None = None  # its record, until it changes

    def __post_init__(self) -> None:
        self.rank = rank(self.p_value, self.depth, self.series, self.window)

    @property
    def excess(self) -> float:
        return self.observed - self.expectation


@dataclass(slots=True)
class Case:
    """An alert that is followed: its members and when it last stood."""

    alert_id: str
    opened_day: int
    opened_hour: int
    members: list[Member]
    last_day: int
    updated_day: int
    settings_version: str
    state: State = "open"
    settled_day: int | None = None
    uncertainties: tuple[Uncertainty, ...] = ()
    dirty: bool = True
    noted: float = -1.0  # the leading count that the history last told
    leading: Member | None = None

    @property
    def lead(self) -> Member:
        """The most unusual member that stands; of equally unusual ones the most specific."""
        if self.leading is None:
            self.leading = min(self.members, key=lambda m: (not m.standing, m.rank))
        return self.leading


class AlertBook:
    """The alerts that are open, or were withdrawn and may come back."""

    def __init__(self, space: SeriesSpace, municipality: str, codes: tuple[tuple[str, ...], tuple[str, ...]]) -> None:
        self.space, self.municipality = space, municipality
        self.area_codes, self.category_codes = codes
        self.cases: dict[str, Case] = {}
        self._members: dict[tuple[int, int], Case] = {}
        self.changes: list[AlertChange] = []

    def holds(self, series: int, window: int) -> bool:
        """Whether a series in a window already belongs to a followed alert."""
        return (series, window) in self._members

    def member_series(self) -> NDArray[np.int64]:
        """All series that belong to followed alerts."""
        return np.unique(np.array([s for s, _ in self._members], dtype=np.int64))

    # ---- from signals to alerts -----------------------------------------------------------------------------------

    def raise_signal(self, member: Member, today: int, settings: AlertSettings) -> Case:
        """A series has crossed its threshold: it joins the alert that it belongs to, or opens one."""
        matches = [(d, -c.opened_day, c.alert_id) for c in self.cases.values() if (d := self._distance(member, c)) is not None]
        if matches:
            case = self.cases[min(matches)[2]]
            case.members.append(member)
            case.leading = None
        else:
            case = Case(
                self._alert_id(member, today),
                today,
                member.raised_hour,
                [member],
                min(member.end, today),
                today,
                settings.version,
            )
            self.cases[case.alert_id] = case
            self._note(case, "opened", today, settings)
        self._members[member.series, member.window] = case
        case.last_day = max(case.last_day, member.end)
        case.updated_day, case.dirty = today, True
        return case

    def _distance(self, member: Member, case: Case) -> int | None:
        """Levels between a signal and an alert's leading one, None when they do not belong together."""
        lead = case.lead
        if member.end < lead.first_end - lead.window or member.end - member.window + 1 > case.last_day + 1:
            return None
        steps = self._levels_apart(member.series, lead.series)
        if steps is None:
            return None
        small, large = sorted((max(member.excess, 0.0), max(lead.excess, 0.0)))
        if member.p_value < lead.p_value and small < SHARE_THAT_CARRIES * large and case.state == "open":
            return None
        return steps

    def _levels_apart(self, a: int, b: int) -> int | None:
        _, areas, categories = (x.tolist() for x in self.space.parts(np.array([a, b])))
        steps = 0
        for ancestors, (x, y) in ((self.space.area_ancestors, areas), (self.space.category_ancestors, categories)):
            up, down = np.flatnonzero(ancestors[x] == y), np.flatnonzero(ancestors[y] == x)
            if not len(up) and not len(down):
                return None
            steps += int(up[0]) if len(up) else int(down[0])
        return steps

    def _alert_id(self, member: Member, today: int) -> str:
        kind, area, category = (int(x) for x in self.space.parts(member.series))
        place = f"{self.area_codes[area]}|{self.category_codes[category]}|{member.window}"
        text = f"{self.municipality}|{date_of(today)}|{kind}|{place}"
        return f"{self.municipality}-{date_of(today):%y%m%d}-{sha256(text.encode()).hexdigest()[:8]}"

    # ---- while it lasts -------------------------------------------------------------------------------------------

    def refresh(self, series: NDArray[np.int64], standing: Standing, today: int, oldest_open: int, settings: AlertSettings) -> None:
        """Bring the members of these series up to date with what stands now.

        standing: all windows of `series` that are beyond their thresholds and end on or after day oldest_open.
        """
        best: dict[tuple[int, int], int] = {}
        for i in np.lexsort((-standing.last_day, standing.p_value)).tolist():
            best.setdefault((int(standing.series[i]), int(standing.window[i])), i)
        touched = set(series.tolist())
        for (number, window), case in self._members.items():
            if number not in touched:
                continue
            member = next(m for m in case.members if m.series == number and m.window == window)
            self._renew(case, member, standing, best.get((number, window)), today, oldest_open)
        for case in self.cases.values():
            self._follow_state(case, today, settings)

    def _renew(self, case: Case, member: Member, standing: Standing, at: int | None, today: int, oldest_open: int) -> None:
        before = (member.end, member.observed, member.standing)
        if at is None:
            # Windows out of reach of late events keep their figures; those within reach say what is true now.
            if member.end >= oldest_open:
                member.standing = False
        else:
            p = float(standing.p_value[at])
            if member.end >= oldest_open or p <= member.p_value or not member.standing:
                member.end, member.p_value = int(standing.last_day[at]), p
                member.observed, member.expectation = float(standing.observed[at]), float(standing.expectation[at])
                member.upper_bound, member.dispersion = float(standing.upper_bound[at]), float(standing.dispersion[at])
                member.status = int(standing.status[at])
            member.standing = True
            newest = standing.last_day[(standing.series == member.series) & (standing.window == member.window)].max()
            case.last_day = max(case.last_day, int(newest))
        if (member.end, member.observed, member.standing) != before:
            member.rank = rank(member.p_value, member.depth, member.series, member.window)
            member.signal = case.leading = None
            case.updated_day, case.dirty = today, True

    def _follow_state(self, case: Case, today: int, settings: AlertSettings) -> None:
        stands = any(m.standing for m in case.members)
        if case.state == "open" and not stands:
            case.state, case.dirty, case.updated_day = "withdrawn", True, today
            self._note(case, "withdrawn", today, settings)
        elif case.state == "withdrawn" and stands:
            case.state, case.dirty, case.updated_day = "open", True, today
            self._note(case, "reopened", today, settings)

    def close_day(self, day: int, settings: AlertSettings) -> list[Case]:
        """Day `day` is over: note what changed, and settle what has not stood for so long; returns the settled cases."""
        over: list[Case] = []
        for case in list(self.cases.values()):
            if case.state == "open" and case.updated_day == day and case.lead.observed != case.noted:
                self._note(case, "updated", day, settings)
            if day - case.last_day >= settings.settle_after:
                if case.state == "open":
                    case.state, case.settled_day, case.updated_day = "settled", day, day
                    self._note(case, "settled", day, settings)
                over.append(case)
        for case in over:
            del self.cases[case.alert_id]
            for member in case.members:
                self._members.pop((member.series, member.window), None)
        return over

    # ---- records --------------------------------------------------------------------------------------------------

    def _note(self, case: Case, change: Change, day: int, settings: AlertSettings) -> None:
        case.noted = case.lead.observed
        # What is uncertain is looked at once a day, so the history, which tells the moment, leaves it out.
        told = msgspec.structs.replace(self.record(case, settings), uncertainties=())
        self.changes.append(AlertChange(change, date_of(day), told))

    def record(self, case: Case, settings: AlertSettings) -> Alert:
        """The alert without the facts that explain it (days, carriers, earlier years), which `explain` adds."""
        members = sorted(case.members, key=lambda m: (not m.standing, m.rank))
        lead = members[0]
        signals = tuple(self._signal(m, settings) for m in members)
        return Alert(
            alert_id=case.alert_id,
            municipality=self.municipality,
            tendency="surge",
            state=case.state,
            opened_on=date_of(case.opened_day),
            opened_at=instant_of(case.opened_hour),
            first_day=date_of(lead.first_end - lead.window + 1),
            last_day=date_of(case.last_day),
            updated_on=date_of(case.updated_day),
            settled_on=None if case.settled_day is None else date_of(case.settled_day),
            kind=signals[0].kind,
            areas=(signals[0].area,),
            categories=(signals[0].category,),
            window=lead.window,
            observed=signals[0].observed,
            expected=signals[0].expectation,
            upper_bound=signals[0].upper_bound,
            p_value=lead.p_value,
            recurrence_days=signals[0].recurrence_days,
            settings_version=case.settings_version,
            signals=signals,
            days=(),
            carriers=(),
            earlier_years=(),
            uncertainties=case.uncertainties,
        )

    def _signal(self, m: Member, settings: AlertSettings) -> Signal:
        if m.signal is None:
            m.signal = self._new_signal(m, settings)
        return m.signal

    def _new_signal(self, m: Member, settings: AlertSettings) -> Signal:
        kind, area, category = (int(x) for x in self.space.parts(m.series))
        return Signal(
            kind="report" if kind else "incident",
            area=self.area_codes[area],
            category=self.category_codes[category],
            window=m.window,
            first_day=date_of(m.first_end - m.window + 1),
            last_day=date_of(m.end),
            observed=m.observed,
            expectation=m.expectation,
            upper_bound=m.upper_bound,
            dispersion=m.dispersion,
            p_value=m.p_value,
            recurrence_days=recurrence_days(m.p_value, len(self.space), settings.windows),
            method=settings.method,
            status=status_text(m.status),
            raised_at=instant_of(m.raised_hour),
            standing=m.standing,
        )

    def restore(self, alerts: Sequence[Alert], noted: Mapping[str, float]) -> None:
        """Follow alerts again that were kept: the open ones, and the withdrawn ones that may come back.

        noted: by alert, the leading count that its history last told.
        """
        areas = {code: i for i, code in enumerate(self.area_codes)}
        categories = {code: i for i, code in enumerate(self.category_codes)}
        for alert in sorted(alerts, key=lambda a: (a.opened_on, a.alert_id)):
            members = []
            for s in alert.signals:
                if s.area not in areas or s.category not in categories:
                    continue  # the register was replaced: this series is watched no longer
                number = int(self.space.number(int(s.kind == "report"), areas[s.area], categories[s.category]))
                first_end, raised = day_number(s.first_day) + s.window - 1, int(s.raised_at.timestamp()) // 3600
                member = Member(
                    number, self.space.depth(number), s.window, first_end, raised, day_number(s.last_day), s.observed,
                    s.expectation, s.upper_bound, s.dispersion, s.p_value, _status_number(s.status), s.standing,
                )  # fmt: skip
                members.append(member)
            if not members:
                continue
            case = Case(
                alert.alert_id, day_number(alert.opened_on), int(alert.opened_at.timestamp()) // 3600, members,
                day_number(alert.last_day), day_number(alert.updated_on), alert.settings_version, alert.state,
                None, alert.uncertainties, noted=noted.get(alert.alert_id, -1.0),
            )  # fmt: skip
            self.cases[case.alert_id] = case
            for member in members:
                self._members[member.series, member.window] = case


def _status_number(text: str) -> int:
    return next((n for n in range(64) if status_text(n) == text), 0)
