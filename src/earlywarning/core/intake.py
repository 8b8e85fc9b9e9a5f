"""Beside what is held: what each event of a batch says, and which rows of the ledger come and go for it."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Literal, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from earlywarning.core.admission import EventBatch
from earlywarning.core.events import KINDS, AnyEvent, Rejection, rejection
from earlywarning.core.ledger import CONTENT, STANDING, Ledger

Ints = NDArray[np.int64]
Outcome = Literal["accepted", "repeated", "replaced", "rejected"]


class Intake(NamedTuple):
    """What a batch did to the ledger.

    said: (n,) outcome of each event. added, removed: rows that came, and rows that a later revision took out of the
    counts; added_at, removed_at: the places in the batch of the events that did it.
    """

    said: NDArray[np.str_]
    added: Ints
    added_at: Ints
    removed: Ints
    removed_at: Ints


def ledger_columns(batch: EventBatch, arrived: Ints, source_numbers: Sequence[int]) -> dict[str, NDArray[np.generic]]:
    """The ledger's columns of a batch. arrived: (n,) local days; source_numbers: the engine's number of each source of it."""
    names = ("key", "revision", "start", "end", "recorded", "area", "category", "kind", "origin", "severity", "concern")
    return {
        **{name: getattr(batch, name) for name in names},
        "arrived": arrived,
        "superseded": np.full(len(arrived), STANDING),
        "source": np.array(source_numbers, dtype=np.int64)[batch.source],
        "retracted": batch.retraction,
    }


def take_in(ledger: Ledger, key: NDArray[np.uint64], columns: Mapping[str, NDArray[np.generic]], arrived: Ints) -> Intake:
    """Compare each event with the held revision of it, and bring the ledger up to date.

    key: (n,) as in the batch; columns: the ledger's columns of these events; arrived: (n,) local days of the clock.
    """
    said = np.empty(len(key), dtype="<U8")
    added, added_at, removed, removed_at = ([np.empty(0, dtype=np.int64)] for _ in range(4))
    # Events of one id are taken one after the other: all first ones together, then all second ones, and so on.
    for at in _rounds(key):
        held = ledger.index.find(key[at])
        says = said[at] = _compare(ledger, columns, at, held)
        new, replaced = at[(says == "accepted") | (says == "replaced")], says == "replaced"
        rows = ledger.append({name: values[new] for name, values in columns.items()})
        ledger.index.put(key[new], rows)
        ledger.supersede(held[replaced], arrived[at[replaced]])
        for parts, part in ((added, rows), (added_at, new), (removed, held[replaced]), (removed_at, at[replaced])):
            parts.append(part)
    return Intake(said, *[np.concatenate(parts) for parts in (added, added_at, removed, removed_at)])


def _compare(ledger: Ledger, columns: Mapping[str, NDArray[np.generic]], at: Ints, held: Ints) -> NDArray[np.str_]:
    """What each event says beside the held revision of it: accepted, repeated, replaced or rejected."""
    says = np.full(len(at), "accepted", dtype="<U8")
    known = held >= 0
    rows, these = held[known], at[known]
    new, old = columns["revision"][these].astype(np.int64), ledger.column("revision")[rows].astype(np.int64)
    same = np.ones(len(rows), dtype=bool)
    for name in CONTENT:
        same &= ledger.column(name)[rows] == columns[name][these]
    says[known] = np.where(new > old, "replaced", np.where((new < old) | same, "repeated", "rejected"))
    return says


def _rounds(keys: NDArray[np.uint64]) -> Iterator[Ints]:
    """Places of the first events of each key, then of the second ones, and so on."""
    order = np.argsort(keys, kind="stable")
    first = np.append(True, keys[order][1:] != keys[order][:-1])[: len(keys)]
    begin = np.maximum.accumulate(np.where(first, np.arange(len(keys)), 0))
    rank = np.empty(len(keys), dtype=np.int64)
    rank[order] = np.arange(len(keys)) - begin
    for number in range(int(rank.max(initial=-1)) + 1):
        yield np.flatnonzero(rank == number)


def tally(batch: EventBatch, said: NDArray[np.str_]) -> dict[tuple[str, str, str], int]:
    """Events by kind, source and outcome."""
    names, which = np.unique(said, return_inverse=True)
    numbers, counts = np.unique((which * len(batch.sources) + batch.source) * 2 + batch.kind, return_counts=True)
    out: dict[tuple[str, str, str], int] = {}
    for number, n in zip(numbers.tolist(), counts.tolist(), strict=True):
        rest, kind = divmod(number, 2)
        outcome, source = divmod(rest, len(batch.sources))
        out[KINDS[kind], batch.sources[source], str(names[outcome])] = n
    return out


def last_taken(batch: EventBatch, said: NDArray[np.str_]) -> tuple[int, int] | None:
    """Key and revision of the last event of a batch that changed anything; None when none did."""
    new = np.flatnonzero((said == "accepted") | (said == "replaced"))
    return (int(batch.key[new[-1]]), int(batch.revision[new[-1]])) if len(new) else None


def conflicts(batch: EventBatch, said: NDArray[np.str_], events: Sequence[AnyEvent]) -> list[Rejection]:
    """The rejections of events whose revision is held with other content."""
    return [
        _conflict(int(batch.position[i]), int(batch.revision[i]), events[int(batch.position[i])])
        for i in np.flatnonzero(said == "rejected").tolist()
    ]


def _conflict(position: int, revision: int, event: AnyEvent) -> Rejection:
    item = msgspec.to_builtins(event)
    problem = f"revision {revision} is held with other content; raise the revision with each correction"
    return rejection(position, item, "revision", "revision-conflict", problem)


def came_late(batch: EventBatch, said: NDArray[np.str_], days: NDArray[np.int64], lateness: int) -> frozenset[int]:
    """Places of events that count, but came when their day could raise no alert any more. days: from end to arrival, (n,)."""
    return frozenset(batch.position[(days > lateness) & np.isin(said, ("accepted", "replaced"))].tolist())
