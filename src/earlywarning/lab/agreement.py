"""How far the lab's answer agrees with a replay of the same settings event by event."""

from collections.abc import Sequence

import msgspec

from earlywarning.core.alert_record import Alert
from earlywarning.core.alerts import SCANNED
from earlywarning.core.scope import Block
from earlywarning.lab.outcomes import Outcome, TriedAlert
from earlywarning.lab.recording import Recording

DAYS = 1


class Agreement(msgspec.Struct, frozen=True):
    """exact, tried: alerts of either; both: that one has and the other too, within a day, about places and categories that meet;
    same_block: those of the very same block. exact_per_week, tried_per_week: numbers a week."""

    exact: int
    tried: int
    both: int
    same_block: int
    exact_per_week: float
    tried_per_week: float

    @property
    def share(self) -> float:
        """Of the alerts of both together, the share that both have (1 where there are none)."""
        every = self.exact + self.tried - self.both
        return self.both / every if every else 1.0


def agreement(exact: Sequence[Alert], tried: Outcome, recording: Recording) -> Agreement:
    """Alerts of a back-test, as they were opened, beside those of the lab; each is paired once, the nearest first."""
    paired = pairs(exact, tried.alerts, recording)
    same = sum(_number(recording, exact[i]) == _number(recording, tried.alerts[j]) for i, j in paired.items())
    weeks = tried.weeks
    return Agreement(len(exact), len(tried.alerts), len(paired), same, len(exact) / weeks, len(tried.alerts) / weeks)


def pairs(one: Sequence[Alert | TriedAlert], other: Sequence[TriedAlert], recording: Recording) -> dict[int, int]:
    """Which alerts of two lists are the same: opened within a day, about places and categories that meet; by their places.

    Each is paired once, those of the same block and the nearest first. Codes must be those of the recording.
    """
    by_day: dict[int, list[tuple[int, TriedAlert, int]]] = {}
    for j, b in enumerate(other):
        by_day.setdefault(b.opened_on.toordinal(), []).append((j, b, _number(recording, b)))
    found = []
    for i, a in enumerate(one):
        day, number = a.opened_on.toordinal(), _number(recording, a)
        for apart in range(-DAYS, DAYS + 1):
            for j, b, theirs in by_day.get(day + apart, ()):
                if _family(a.tendency) == _family(b.tendency) and recording.share(number, theirs):
                    found.append((number != theirs, abs(apart), i, j))
    out: dict[int, int] = {}
    taken = set[int]()
    for _, _, i, j in sorted(found):
        if i not in out and j not in taken:
            out[i] = j
            taken.add(j)
    return out


def _family(tendency: str) -> str:
    return "counts" if tendency in SCANNED else tendency


def _number(recording: Recording, alert: Alert | TriedAlert) -> int:
    m = recording.meta
    areas, categories = tuple(map(m.areas.index, alert.areas)), tuple(map(m.categories.index, alert.categories))
    return recording.number(Block(int(alert.kind == "report"), areas, categories))
