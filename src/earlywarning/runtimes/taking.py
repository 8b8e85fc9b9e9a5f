"""Supplies into an engine, and what became of each event: the same steps in every runtime."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

import msgspec
import numpy as np

from earlywarning.core.changes import DeadLetter, Ingested
from earlywarning.core.engine import Engine
from earlywarning.core.events import KINDS, Rejection
from earlywarning.core.intake import Outcome
from earlywarning.monitoring import Metrics, Standing
from earlywarning.sources.supply import ItemResult, Supply, refused_item

_KEEP_NOTHING = ("inside-dwelling",)


class Taken(NamedTuple):
    """What became of one supply: an outcome for each decoded event, and the rejections by their places in it."""

    supply: Supply
    outcomes: list[Outcome]
    rejections: list[Rejection]
    late: frozenset[int] = frozenset()  # places among the decoded events

    def items(self) -> list[ItemResult]:
        """One result for each item, in the order of the supply."""
        decoded, first = self.supply.decoded, self.supply.first
        refused = {r.index for r in self.rejections}
        results = [
            ItemResult(p + first, outcome, event.event_id, event.source, late=i in self.late)
            for i, (p, event, outcome) in enumerate(zip(decoded.positions, decoded.events, self.outcomes, strict=True))
            if p not in refused
        ]
        results += [refused_item(r, first) for r in self.rejections]
        return sorted(results, key=lambda item: item.index)


def take_supplies(
    engine: Engine, supplies: Sequence[Supply], now: datetime, *, history: bool = False
) -> tuple[list[Taken], Ingested, list[DeadLetter]]:
    """All supplies as one batch, since ten events at once cost little more than one; what became of each is told apart."""
    result = engine.ingest([event for supply in supplies for event in supply.decoded.events], now, history=history)
    taken, letters, begin, refused = [], [], 0, iter(result.rejections)
    rejection = next(refused, None)
    for supply in supplies:
        decoded, stop = supply.decoded, begin + len(supply.decoded.events)
        rejections = list(decoded.rejections)
        while rejection is not None and rejection.index < stop:
            rejections.append(msgspec.structs.replace(rejection, index=decoded.positions[rejection.index - begin]))
            rejection = next(refused, None)
        rejections.sort(key=lambda r: r.index)
        late = frozenset(i - begin for i in result.late if begin <= i < stop)
        taken.append(Taken(supply, result.outcomes[begin:stop], rejections, late))
        letters += [dead_letter(supply, r, now, engine.register.municipality) for r in rejections]
        begin = stop
    return taken, result, letters


def dead_letter(supply: Supply, r: Rejection, now: datetime, municipality: str) -> DeadLetter:
    """What is kept of a refused event."""
    payload: object = r.payload
    form = supply.format
    if r.rule in _KEEP_NOTHING:
        payload = None
    elif form.startswith("mapping:"):
        raw = supply.raw.get(r.index)
        payload = None if raw is None else {"raw": raw, "area": (r.payload or {}).get("area")}
    return DeadLetter(
        received_at=now,
        municipality=municipality,
        way=supply.way,
        position=r.index + supply.first,
        field=r.field[:64],
        rule=r.rule,
        problem=r.problem,
        source=r.source,
        event_id=r.event_id,
        kind=r.kind,
        payload=None if payload is None else msgspec.json.encode(payload).decode(),
        format=form,
    )


def measure_events(m: Metrics, taken: Sequence[Taken], result: Ingested) -> None:
    """Count what was taken in."""
    m.lateness.add(*result.lateness)
    m.show_newest(result.newest)
    m.late.inc(len(result.late))
    m.count_events({key: n for key, n in result.tally.items() if key[2] != "rejected"})
    for one in taken:
        for r in one.rejections:
            # What was refused may say anything: only what is known becomes a label.
            kind = r.kind if r.kind in KINDS else "unknown"
            m.events.labels(kind, m.known_source(r.source), "rejected").inc()
            m.rejected.labels(r.rule).inc()


def standing(engine: Engine) -> Standing:
    """How an engine stands today, for the metrics. It follows from closed days: once a day is often enough."""
    settings, watch = engine.settings, engine.watch

    def begin(day: int | None) -> float | None:
        return None if day is None else int(engine.calendar.first_hour(day)) * 3600.0

    names, silent = engine.codes["source"], set[str]()
    if engine.today is not None:
        for kind in settings.kinds:
            gone = engine.tallies.arrivals.silent(kind, engine.today, settings.silence_recurrence_days)
            silent.update(names[s.source] for s in gone)
    return Standing(begin(engine.today), begin(watch.fitted_on), settings.watch.false_alarms_per_week, tuple(sorted(silent)))


def newest_recorded(engine: Engine) -> dict[str, int]:
    """By source, the hour (since 1970) of its newest recording among all events that the engine holds."""
    source, recorded = engine.ledger.column("source"), engine.ledger.column("recorded").astype(np.int64)
    newest = np.zeros(len(engine.codes["source"]), dtype=np.int64)
    np.maximum.at(newest, source.astype(np.int64), recorded)
    return dict(zip(engine.codes["source"], newest.tolist(), strict=True))
