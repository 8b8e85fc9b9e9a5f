"""Signals become alerts: opened once, followed while they last, settled when over.

An open alert covers its block of areas and categories: what is new is looked for in the rest. So a rise in one
neighbourhood, which also lifts its district and the municipality, is one alert about the neighbourhood, and a rise beside it
is an alert of its own. When a day closes, an alert takes over the most unusual block that meets its own.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Literal, cast

import msgspec

from earlywarning.core.alert_record import Alert, AlertChange, Change, Reason, Role, Signal, State, Tendency, Uncertainty
from earlywarning.core.calendar import date_of, day_number, instant_of
from earlywarning.core.detectors.status import status_number, status_text
from earlywarning.core.judged import Floats, Judged, settled
from earlywarning.core.judged import Reason as Why
from earlywarning.core.scope import Block, Scope
from earlywarning.core.watch import NEARLY, Watch

SCANNED = ("surge", "cluster", "shift")  # tendencies that the scan finds
OF_WEEKS = ("apart", "drift", "mixture", "harm")  # tendencies that a single correction does not take back
OF_WEEKS_SETTLE = 28  # days: they are looked at once a week, and come and go about their threshold
OF_A_MOMENT = ("withdrawn", "reopened")  # they may come and go between two events of one batch
MOST_BLOCKS = 64  # of a day that alerts choose from
SHIFT_DAYS = 14  # a window of so many days tells of a lasting shift rather than a surge


class AlertSettings(msgspec.Struct, frozen=True):
    """settle_after: days without any signal after which an alert is over. version: of the settings in force."""

    settle_after: int = 7
    version: str = ""
    method: str = "scan"


@dataclass(slots=True)
class Case:
    """An alert that is followed.

    opening: the signal that opened it. block: what it is about now. peak: its most unusual window on days that are closed.
    today: windows of its block that are beyond the threshold today.
    """

    alert_id: str
    opened_day: int
    opened_hour: int
    opening: Judged
    block: Block
    last_day: int
    updated_day: int
    settings_version: str
    peak: Judged | None = None
    fallen: bool = False  # corrections took the peak below its bound
    today: list[Judged] = field(default_factory=list)
    state: State = "open"
    settled_day: int | None = None
    uncertainties: tuple[Uncertainty, ...] = ()
    dirty: bool = True
    noted: float = -1.0  # the leading count that the history last told, when it was opened or a day closed

    @property
    def standing(self) -> bool:
        """Whether anything of it is beyond its threshold, now or when it was."""
        return bool(self.today) or (self.peak is not None and not self.fallen)

    @property
    def lead(self) -> Judged:
        """The most unusual window that stands; when none does, the most unusual one that did."""
        return self._leading()[1]

    def _leading(self) -> tuple[Role, Judged]:
        standing: list[tuple[Role, Judged]] = [("today", j) for j in self.today]
        if self.peak is not None and (not self.fallen or not standing):
            standing.append(("peak", self.peak))
        return max(standing, key=lambda s: (s[1].score, -s[1].window), default=("opening", self.opening))

    def parts(self) -> list[tuple[Role, Judged]]:
        """All that the record keeps, the leading one first, the opening one last."""
        first = self._leading()
        kept: list[tuple[Role, Judged]] = [("today", j) for j in self.today]
        kept += [("peak", self.peak)] if self.peak is not None else []
        rest = sorted((k for k in kept if k is not first and k[1] is not first[1]), key=lambda k: (-k[1].score, k[1].window))
        return [*([first] if first[0] != "opening" else []), *rest, ("opening", self.opening)]


class AlertBook:
    """The alerts that are open, or were withdrawn and may come back."""

    def __init__(self, scope: Scope, municipality: str, codes: tuple[tuple[str, ...], tuple[str, ...]]) -> None:
        self.scope, self.municipality = scope, municipality
        self.area_codes, self.category_codes = codes
        self.cases: dict[str, Case] = {}
        self.changes: list[AlertChange] = []

    def covered(self) -> list[Block]:
        """The blocks that followed alerts are about, and were about when they were opened."""
        return [block for case in self.cases.values() if not case.opening.tendency for block in {case.opening.block, case.block}]

    def heard(self, tendency: str, block: Block, day: int) -> bool:
        """Whether a followed alert is about this tendency there already; it then goes on until at least `day`."""
        for case in self.cases.values():
            if case.opening.tendency == tendency and self.scope.share(case.block, block):
                if day > case.last_day:
                    case.last_day, case.dirty = day, True
                return True
        # That what happens weighs more is no news where an alert says that more of it happens.
        return tendency == "harm" and any(self.scope.share(case.block, block) for case in self.cases.values())

    # ---- the life of an alert -------------------------------------------------------------------------------------

    def open(self, signal: Judged, today: int, hour: int, settings: AlertSettings, watch: Watch) -> Case:
        """A signal that no followed alert covers opens one."""
        signal = signal.settle()
        case = Case(self._alert_id(signal, today), today, hour, signal, signal.block, signal.last_day, today, settings.version)
        self.cases[case.alert_id] = case
        if signal.tendency:
            case.peak = signal  # it is not looked for again
        else:
            case.today = [signal]
        self._note(case, "opened", today, settings, watch)
        return case

    def _alert_id(self, signal: Judged, today: int) -> str:
        areas = ",".join(self.area_codes[a] for a in signal.block.areas)
        categories = ",".join(self.category_codes[c] for c in signal.block.categories)
        text = f"{self.municipality}|{date_of(today)}|{signal.tendency}|{signal.block.kind}|{areas}|{categories}"
        return f"{self.municipality}-{date_of(today):%y%m%d}-{sha256(text.encode()).hexdigest()[:8]}"

    def follow(self, watch: Watch, today: int, oldest_open: int, settings: AlertSettings) -> None:
        """Bring all cases up to date with the counts as they are now. oldest_open: first day that corrections reach."""
        if not self.cases:
            return
        counts = watch.counts() if watch.ready else None
        for case in self.cases.values():
            before = (case.today, case.fallen)
            case.today, case.fallen = self._now(case, watch, counts, oldest_open)
            if (case.today, case.fallen) != before:
                case.dirty, case.updated_day = True, today
            self._follow_state(case, today, settings, watch)

    def _now(self, case: Case, watch: Watch, counts: Floats | None, oldest_open: int) -> tuple[list[Judged], bool]:
        """What of a case is beyond its threshold today, and whether corrections took its peak away, by the counts as they are."""
        today, fallen = case.today, case.fallen
        if not case.opening.tendency:
            judged = watch.judge(case.block, counts)
            today = [j for j in judged if j.score >= 0 and j.observed >= watch.settings.min_count]
        if case.peak is not None and case.peak.last_day >= oldest_open and case.opening.tendency not in OF_WEEKS:
            fallen = watch.count(case.peak.block, case.peak.last_day, case.peak.window) <= case.peak.upper_bound
        return today, fallen

    def comes_back(self, watch: Watch, oldest_open: int) -> bool:
        """Whether the counts as they are now bring an alert back that was withdrawn."""
        withdrawn = [case for case in self.cases.values() if case.state == "withdrawn"]
        counts = watch.counts() if withdrawn and watch.ready else None
        for case in withdrawn:
            today, fallen = self._now(case, watch, counts, oldest_open)
            if today or (case.peak is not None and not fallen):
                return True
        return False

    def _follow_state(self, case: Case, today: int, settings: AlertSettings, watch: Watch) -> None:
        if case.state == "open" and not case.standing:
            case.state, case.dirty, case.updated_day = "withdrawn", True, today
            self._note(case, "withdrawn", today, settings, watch)
        elif case.state == "withdrawn" and case.standing:
            case.state, case.dirty, case.updated_day = "open", True, today
            self._note(case, "reopened", today, settings, watch)

    def close_day(self, day: int, watch: Watch, settings: AlertSettings) -> list[Case]:
        """Day `day` is over: take over better blocks, note what changed, settle what is over; returns the settled cases."""
        self._take_over(watch, day)
        over: list[Case] = []
        for case in list(self.cases.values()):
            best = max(case.today, key=lambda j: (j.score, -j.window), default=None)
            if best is not None:
                case.last_day = day
                if case.peak is None or case.fallen or best.score > case.peak.score:
                    case.peak, case.fallen, case.dirty = best, False, True
            if case.state == "open" and case.updated_day == day and case.lead.observed != case.noted:
                self._note(case, "updated", day, settings, watch)
            after = settings.settle_after if case.opening.tendency not in OF_WEEKS else max(settings.settle_after, OF_WEEKS_SETTLE)
            if day - case.last_day >= after:
                if case.state == "open":
                    case.state, case.settled_day, case.updated_day = "settled", day, day
                    case.today = []
                    self._note(case, "settled", day, settings, watch)
                over.append(case)
        for case in over:
            del self.cases[case.alert_id]
        return over

    def _take_over(self, watch: Watch, day: int) -> None:
        """Each alert takes over the most unusual block of the day that meets its own; of nearly equal ones the most specific."""
        waiting = sorted((c for c in self.cases.values() if c.today), key=lambda c: (-c.lead.score, c.alert_id))
        found = watch.beyond() if waiting else None
        if found is None:
            return
        blocks = [watch.block(found, i) for i in range(min(len(found.score), MOST_BLOCKS))]
        free = list(range(len(blocks)))
        for case in waiting:
            own = [i for i in free if self.scope.share(case.block, blocks[i])]
            if not own:
                continue
            near = [i for i in own if found.score[i] >= found.score[own[0]] - NEARLY]
            best = max(near, key=lambda i: (self.scope.depth(blocks[i]), found.score[i], -i))
            free = [i for i in free if not self.scope.share(blocks[best], blocks[i])]
            signal = watch.signal(found, best)
            margin = NEARLY * (self.scope.depth(case.block) - self.scope.depth(signal.block))
            if signal.block != case.block and signal.score > case.lead.score + min(max(margin, -NEARLY), NEARLY):
                case.block, case.dirty, case.updated_day = signal.block, True, day
                case.today = [signal, *[j for j in watch.judge(signal.block) if j.score >= 0 and j.window != signal.window]]
                case.peak = None  # it was of the former block, and no more unusual

    # ---- records --------------------------------------------------------------------------------------------------

    def _note(self, case: Case, change: Change, day: int, settings: AlertSettings, watch: Watch) -> None:
        if change not in OF_A_MOMENT:
            case.noted = case.lead.observed
        # What is uncertain is looked at once a day, so the history, which tells the moment, leaves it out.
        told = msgspec.structs.replace(self.record(case, settings, watch), uncertainties=())
        self.changes.append(AlertChange(change, date_of(day), told))

    def record(self, case: Case, settings: AlertSettings, watch: Watch) -> Alert:
        """The alert without the facts that explain it (days, carriers, earlier years), which `explain` adds."""
        lead = case.lead
        signals = tuple(self._signal(case, role, j, settings, watch) for role, j in case.parts())
        return Alert(
            alert_id=case.alert_id,
            municipality=self.municipality,
            tendency=_tendency(lead),
            state=case.state,
            opened_on=date_of(case.opened_day),
            opened_at=instant_of(case.opened_hour),
            first_day=date_of(lead.last_day - lead.window + 1),
            last_day=date_of(case.last_day),
            updated_on=date_of(case.updated_day),
            settled_on=None if case.settled_day is None else date_of(case.settled_day),
            kind=signals[0].kind,
            areas=signals[0].areas,
            categories=signals[0].categories,
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

    def _signal(self, case: Case, role: Role, j: Judged, settings: AlertSettings, watch: Watch) -> Signal:
        return Signal(
            role=role,
            tendency=_tendency(j),
            kind="report" if j.block.kind else "incident",
            areas=tuple(self.area_codes[a] for a in j.block.areas),
            categories=tuple(self.category_codes[c] for c in j.block.categories),
            window=j.window,
            first_day=date_of(j.last_day - j.window + 1),
            last_day=date_of(j.last_day),
            observed=j.observed,
            expectation=j.expectation,
            upper_bound=j.upper_bound,
            dispersion=j.dispersion,
            p_value=j.p_value,
            score=j.score,
            recurrence_days=settled(j.recurrence or watch.recurrence_days(j.score)),
            missing_share=j.missing,
            method=settings.method,
            status=status_text(j.status),
            raised_at=instant_of(case.opened_hour),
            complete_expectation=settled(j.expectation / max(1 - j.missing, 1e-9)),
            reasons=tuple(self._reason(r) for r in j.reasons),
            standing=role == "today" or (role == "peak" and not case.fallen) or (role == "opening" and case.standing),
        )

    def _reason(self, reason: Why) -> Reason:
        code = self.category_codes[reason.category] if reason.category >= 0 else ""
        return Reason(cast(Literal["category", "concentration", "weekend", "reports"], reason.feature), code, reason.deviation)

    def restore(self, alerts: Sequence[Alert], noted: Mapping[str, float]) -> None:
        """Follow alerts again that were kept: the open ones, and the withdrawn ones that may come back.

        noted: by alert, the leading count that its history last told. What stands today is judged anew (`follow`).
        """
        areas = {code: i for i, code in enumerate(self.area_codes)}
        categories = {code: i for i, code in enumerate(self.category_codes)}
        for alert in sorted(alerts, key=lambda a: (a.opened_on, a.opened_at, a.alert_id)):
            kept: dict[str, Judged] = {}
            for s in alert.signals:
                if not (set(s.areas) <= areas.keys() and set(s.categories) <= categories.keys()):
                    continue  # the register was replaced: this block is watched no longer
                block = Block(int(s.kind == "report"), tuple(areas[a] for a in s.areas), tuple(categories[c] for c in s.categories))
                kept.setdefault(s.role, Judged(
                    block, s.window, day_number(s.last_day), s.observed, s.expectation, s.upper_bound, s.dispersion,
                    s.p_value, s.score, s.missing_share, status_number(s.status),
                    *((s.tendency, s.recurrence_days, tuple(
                        Why(r.feature, categories.get(r.code, -1), r.deviation) for r in s.reasons
                    )) if s.tendency not in SCANNED else ()),
                ))  # fmt: skip
            if "opening" not in kept:
                continue
            peak = kept.get("peak")
            now = kept.get("today", peak or kept["opening"])
            fallen = any(s.role == "peak" and not s.standing for s in alert.signals)
            self.cases[alert.alert_id] = Case(
                alert.alert_id, day_number(alert.opened_on), int(alert.opened_at.timestamp()) // 3600, kept["opening"],
                now.block, day_number(alert.last_day), day_number(alert.updated_on), alert.settings_version, peak, fallen,
                [], alert.state, None, alert.uncertainties, noted=noted.get(alert.alert_id, -1.0),
            )  # fmt: skip


def _tendency(lead: Judged) -> Tendency:
    if lead.tendency:
        return cast(Tendency, lead.tendency)
    if lead.window >= SHIFT_DAYS:
        return "shift"
    return "cluster" if len(lead.block.areas) > 1 else "surge"


def let_go(alert: Alert, waited: Sequence[tuple[int, int]], clock_day: int) -> bool:
    """Whether a withdrawn alert was let go, at the close of a day before clock_day.

    waited: in the order of time, since which day how many days after its last signal an alert is followed (`settle_after`).
    """
    last_day = day_number(alert.last_day)
    ends = [day for day, _ in waited[1:]] + [clock_day]
    return any(max(since, last_day + days) < min(end, clock_day) for (since, days), end in zip(waited, ends, strict=True))


def last_noted(history: Sequence[AlertChange], before: float = -1.0) -> float:
    """The leading count that an alert's history (the oldest first) last told when it was opened or a day closed."""
    return next((h.alert.observed for h in reversed(history) if h.change not in OF_A_MOMENT), before)
