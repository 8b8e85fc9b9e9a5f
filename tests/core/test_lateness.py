"""Laws of lateness: counts that are not complete are held against what should have come, no more false alarms, and earlier."""

from datetime import timedelta

import numpy as np
import pytest

from earlywarning.core.calendar import instant_of
from earlywarning.core.detectors.negative_binomial import tail_probability
from earlywarning.core.events import AnyEvent
from earlywarning.core.scope import Block
from tests.core.town import BEGIN, engine, event, feed, history, merged

DAYS = 760
ALPHA = 0.1
LAG = 2.0  # mean days from happening to recording


def late(events: list[AnyEvent], rng: np.random.Generator, mean: float = LAG) -> list[AnyEvent]:
    """The same events, recorded later by exponential delays."""
    return [
        type(e)(**{f: getattr(e, f) for f in e.__struct_fields__} | {
            "recorded_at": e.occurred_at + timedelta(days=float(rng.exponential(mean)))})
        for e in events if e.occurred_at is not None
    ]  # fmt: skip


@pytest.fixture(scope="module")
def false_positives() -> dict[int, tuple[float, float]]:
    """By window: false positives over the nominal ones, as judged, and if what is late were not expected to be missing."""
    found: dict[int, list[tuple[float, float]]] = {3: [], 7: []}
    for seed in range(1, 4):
        events = sorted(late(history(seed, days=DAYS, rate=0.9), np.random.default_rng(seed)), key=lambda e: e.recorded_at)
        e = engine()
        for day in range(430, DAYS, 3):
            # The last moment of a local day.
            number = e.calendar.day_at(BEGIN + timedelta(days=day))
            until = instant_of(int(e.calendar.first_hour(number + 1))) - timedelta(seconds=1)
            stop = next((i for i, x in enumerate(events) if x.recorded_at > until), len(events))
            feed(e, events[:stop], 100_000)
            events = events[stop:]
            e.advance(until)
            if not e.watch.ready:
                continue
            counts = e.watch.counts()
            for area in range(3, 9):
                for kind in (0, 1):
                    for one in e.watch.judge(Block(kind, (area,), (0,)), counts):
                        if one.window in found and one.expectation >= 3:
                            complete = one.expectation / (1 - one.missing)
                            found[one.window].append((
                                _level(one.observed, one.expectation, one.dispersion, ALPHA),
                                _level(one.observed, complete, one.dispersion, ALPHA),
                            ))  # fmt: skip
    return {w: tuple(np.mean(values, axis=0) / ALPHA) for w, values in found.items() if len(values) > 1000}  # type: ignore[misc]


def _level(observed: float, expectation: float, dispersion: float, alpha: float) -> float:
    """Chance that a randomised test at level alpha rejects what was observed."""
    at_least, above = (float(tail_probability(observed + i, expectation, dispersion)) for i in (0, 1))
    return float(np.clip((alpha - above) / max(at_least - above, 1e-12), 0.0, 1.0))


@pytest.mark.parametrize("window", [3, 7])
def test_with_delays_the_share_of_false_positives_is_the_nominal_one(
    window: int, false_positives: dict[int, tuple[float, float]]
) -> None:
    judged, naive = false_positives[window]
    assert 0.8 < judged < 1.2
    assert naive < 0.6, "what is not corrected is blind"


def test_a_surge_is_found_earlier_than_by_waiting_until_all_is_recorded() -> None:
    """Twenty surges, each in a history of its own: days from the surge to the alert."""
    rng = np.random.default_rng(4)
    delays: dict[str, list[int]] = {"corrected": [], "complete": []}
    for seed in range(4):
        quiet = history(30 + seed, days=480, rate=0.3)
        at = BEGIN + timedelta(days=450, hours=-6)
        more = [event(f"x{i}", at + timedelta(hours=float(rng.uniform(0, 60))), origin="reported") for i in range(18)]
        coming = sorted(late(merged(quiet, more), np.random.default_rng(seed)), key=lambda e: (e.recorded_at, e.event_id))
        # Whoever waits sees each event when nearly all of its day have come: nineteen in twenty.
        wait = timedelta(days=3 * LAG)
        waited = [type(e)(**{f: getattr(e, f) for f in e.__struct_fields__}
                          | {"recorded_at": max(e.recorded_at, e.occurred_at + wait)})
                  for e in coming if e.occurred_at is not None]  # fmt: skip
        for name, events in (("corrected", coming), ("complete", sorted(waited, key=lambda e: (e.recorded_at, e.event_id)))):
            _, alerts, _ = feed(engine(), events)
            found = [
                a for a in alerts.values() if "A0" in a.areas and a.opened_on >= at.date() and a.tendency in ("surge", "shift")
            ]
            delays[name].append(min((a.opened_on - at.date()).days for a in found))
    assert np.mean(delays["corrected"]) + 1 < np.mean(delays["complete"])
