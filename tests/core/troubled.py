"""Weeks in which everything happens that makes alerts come and go: late events, spans of days, surges, corrections, repeats."""

from datetime import timedelta
from typing import Any

import numpy as np

from earlywarning.core.events import AnyEvent
from tests.core.town import BEGIN, event, merged

SOURCES = ("wardens", "police", "housing")


def again(e: AnyEvent, **changed: object) -> AnyEvent:
    """The same event with other fields."""
    return type(e)(**{f: getattr(e, f) for f in e.__struct_fields__} | changed)  # type: ignore[arg-type]


def troubled(rng: np.random.Generator, first: int, days: int) -> list[AnyEvent]:
    """Events of days first..first + days - 1 (counted from BEGIN), in their order of arrival: not always that of recording."""
    events = merged(_ordinary(rng, first, days), *[_surge(rng, i, first, days) for i in range(int(rng.integers(3, 8)))])
    events = merged(events, [c for e in events if rng.random() < 0.2 for c in _corrections(rng, e)])
    delay = rng.choice([0, 0, 0, 600, 7_200, 40_000], len(events)) * rng.random(len(events))
    order = np.argsort(np.array([e.recorded_at.timestamp() for e in events]) + delay, kind="stable")
    out = [events[i] for i in order.tolist()]
    for i in rng.choice(len(out), 15).tolist():  # some are sent twice
        out.insert(int(rng.integers(i, min(i + 80, len(out)))), out[i])
    return out


def _ordinary(rng: np.random.Generator, first: int, days: int) -> list[AnyEvent]:
    rate = rng.choice([0.05, 0.12, 0.25], (6, 4))
    out = []
    for day, area, category in zip(*np.nonzero(counts := rng.poisson(rate, (days, 6, 4))), strict=True):
        for _ in range(int(counts[day, area, category])):
            when = BEGIN + timedelta(days=first + int(day), hours=float(rng.uniform(-10, 10)))
            fields: dict[str, Any] = {
                "area": f"A{area}" if rng.random() < 0.9 else f"D{area // 3}",
                "origin": "reported" if rng.random() < 0.9 else "discovered",
                "kind": "report" if rng.random() < 0.3 else "incident",
                "recorded_at": when + timedelta(days=float(rng.exponential(rng.choice([0.02, 0.3, 2.0])))),
                "source": SOURCES[int(rng.integers(3))],
            }
            out.append(event(f"o{len(out)}", when, category=f"C{category}", **fields, **_span(rng, when)))
    return out


def _span(rng: np.random.Generator, when: Any) -> dict[str, Any]:
    if rng.random() > 0.1:
        return {}
    return {"occurred_at": None, "occurred_from": when - timedelta(hours=float(rng.uniform(0, 60))), "occurred_to": when}


def _surge(rng: np.random.Generator, number: int, first: int, days: int) -> list[AnyEvent]:
    """Events of one place, half of the time all in one hour."""
    begin = BEGIN + timedelta(days=first + int(rng.integers(2, days)), hours=float(rng.uniform(-11, 8)))
    apart = timedelta(minutes=0 if rng.random() < 0.5 else 25)
    fields = {"area": f"A{rng.integers(6)}", "category": f"C{rng.integers(4)}", "source": SOURCES[int(rng.integers(3))]}
    whens = [begin + i * apart for i in range(int(rng.integers(3, 12)))]
    return [event(f"s{number}-{i}", when, origin="reported", **fields, **_span(rng, when)) for i, when in enumerate(whens)]


def _corrections(rng: np.random.Generator, e: AnyEvent) -> list[AnyEvent]:
    """One to three later revisions, many on the day of the event."""
    out = []
    for revision in range(2, 2 + int(rng.choice([1, 1, 1, 2, 3]))):
        after = timedelta(days=float(rng.choice([0.005, 0.05, 0.3, 3, 15]) * rng.uniform(0.2, 1.5)))
        what: dict[str, Any] = [{"retraction": True}, {"category": f"C{rng.integers(4)}"}, {"area": f"A{rng.integers(6)}"}, {}][
            int(rng.integers(4))
        ]
        e = again(e, revision=revision, recorded_at=e.recorded_at + after, **what)
        out.append(e)
    return out
