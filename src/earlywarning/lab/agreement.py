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
    pairs = []
    for i, a in enumerate(exact):
        one = _number(recording, a)
        for b in tried.alerts:
            apart = abs((a.opened_on - b.opened_on).days)
            if apart <= DAYS and _family(a.tendency) == _family(b.tendency):
                other = _number(recording, b)
                if recording.share(one, other):
                    pairs.append((one != other, apart, i, b.number))
    left, right = set[int](), set[int]()
    same = 0
    for differs, _, i, number in sorted(pairs):
        if i not in left and number not in right:
            left.add(i)
            right.add(number)
            same += not differs
    weeks = tried.weeks
    return Agreement(len(exact), len(tried.alerts), len(left), same, len(exact) / weeks, len(tried.alerts) / weeks)


def _family(tendency: str) -> str:
    return "counts" if tendency in SCANNED else tendency


def _number(recording: Recording, alert: Alert | TriedAlert) -> int:
    m = recording.meta
    areas, categories = tuple(map(m.areas.index, alert.areas)), tuple(map(m.categories.index, alert.categories))
    return recording.number(Block(int(alert.kind == "report"), areas, categories))
