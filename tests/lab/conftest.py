"""One recorded town for all tests of the lab."""

from datetime import date, timedelta

import pytest

from earlywarning.core.calendar import LocalCalendar
from earlywarning.core.events import AnyEvent
from earlywarning.lab.backtest import Backtest, backtest
from earlywarning.lab.bench import Recording, record
from tests.core.town import BEGIN, history, merged, register, settings, surge, tree

LAB_FIRST = BEGIN.date() + timedelta(days=430)
LAB_DAYS = 490


def on(day: int) -> date:
    """A day counted from the beginning of the town's history."""
    return BEGIN.date() + timedelta(days=day)


@pytest.fixture(scope="session")
def lab_events() -> list[AnyEvent]:
    """A history with two surges, of which one is of drugs in another district."""
    return merged(history(5, days=LAB_DAYS, lag_days=0.8), surge(445), surge(470, area="A4", category="C2"))


@pytest.fixture(scope="session")
def recording(lab_events: list[AnyEvent]) -> Recording:
    """The town, judged for its last sixty days."""
    return record(register(), tree(), LocalCalendar(), settings(), lab_events, LAB_FIRST)


@pytest.fixture(scope="session")
def replayed(lab_events: list[AnyEvent]) -> Backtest:
    """The same days, event by event."""
    return backtest(register(), tree(), LocalCalendar(), settings(), lab_events, LAB_FIRST)
