"""A surge that is put into the recorded history: its size and shape, and its events in the counts as they would have come."""

from datetime import date
from typing import Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from earlywarning.lab.judged_days import LabError
from earlywarning.lab.recording import Bools, Fit, Floats, Ints, Recording

SHAPES = ("step", "ramp", "spike", "outbreak")
Shape = Literal["step", "ramp", "spike", "outbreak"]
_LONGEST = 182
_SEED = 2026_11
_OUTBREAK_SD = 0.5  # on the log scale: half of an outbreak comes in its first third


class Surge(msgspec.Struct, frozen=True, kw_only=True):
    """What is put in. areas, categories: codes; kind; begin, days: when. size: `total` events, or `factor` times the expected.

    shape: step (alike every day), ramp (rising evenly), spike (half on the first day, half of the rest on the next ...),
    outbreak (log-normal: quickly up, slowly down). Several areas and categories get events as they usually have. seed: of
    the draw.
    """

    areas: tuple[str, ...]
    categories: tuple[str, ...]
    begin: date
    kind: Literal["incident", "report"] = "incident"
    days: int = 14
    total: int | None = None
    factor: float | None = None
    shape: Shape = "step"
    seed: int = 1


class Put(msgspec.Struct, frozen=True):
    """Events of a surge, of equal length: day, finest area, base column of the fit on that day, days until recorded.

    expected: what the surge's places and categories usually have on its days.
    """

    day: list[int]
    area: list[int]
    category: list[int]
    lag: list[int]
    expected: float


def weights(shape: str, days: int) -> Floats:
    """Share of a surge on each of its days: they add up to 1."""
    at = np.arange(1, days + 1, dtype=np.float64)
    if shape == "step":
        w = np.ones(days)
    elif shape == "ramp":
        w = at
    elif shape == "spike":
        w = 0.5**at
    else:
        middle = days / 3
        w = np.exp(-0.5 * (np.log((at - 0.5) / middle) / _OUTBREAK_SD) ** 2) / (at - 0.5)
    return np.asarray(w / w.sum())


def check_surge(recording: Recording, surge: Surge) -> None:
    """Raises LabError naming the field, what is wrong, and what can be put in."""
    m = recording.meta
    for name, codes, known in (("areas", surge.areas, m.areas), ("categories", surge.categories, m.categories)):
        if not codes:
            raise LabError(f"{name}: a surge needs a place and a category; name at least one")
        if lost := [c for c in codes if c not in known]:
            raise LabError(f"{name}: there is no {lost[0]!r} in the register; use its codes")
    if not 1 <= surge.days <= _LONGEST:
        raise LabError(f"days: a surge of {surge.days} days cannot be put in; choose 1 to {_LONGEST}")
    if (surge.total is None) == (surge.factor is None):
        raise LabError("total, factor: give the surge's size as one of them")
    if surge.total is not None and not 1 <= surge.total <= 100_000:
        raise LabError(f"total: {surge.total} events cannot be put in; choose 1 to 100000")
    if surge.factor is not None and not 1 < surge.factor <= 1000:
        raise LabError(f"factor: {surge.factor:g} times the expected cannot be put in; choose more than 1, up to 1000")
    if surge.shape not in SHAPES:
        raise LabError(f"shape: there is no {surge.shape!r}; choose of {', '.join(SHAPES)}")


def draw_surge(recording: Recording, surge: Surge, begin: int) -> Put:
    """The events of a surge that begins on a day. Raises LabError when nothing is watched there on its days."""
    m, scope = recording.meta, recording.scope
    rng = np.random.default_rng([_SEED, surge.seed, begin])
    kind = int(surge.kind == "report")
    areas = np.flatnonzero(scope.inside[[m.areas.index(a) for a in surge.areas]].any(0) & (scope.rank == 2))
    if not len(areas):  # a municipality without parts is its own finest area
        areas = scope.fine
    wanted: Bools = np.asarray(scope.part[[m.categories.index(c) for c in surge.categories]].any(0))
    place = int(np.searchsorted(recording.days, begin))
    place = min(place, len(recording.days) - 1)
    fit = recording.fits[int(recording.fit_of[place])]
    w = fit.watched
    columns = w.leaves[(w.kind[w.leaves] == kind) & wanted[w.category[w.leaves]]]
    if not len(columns):
        raise LabError(f"categories: too little of {', '.join(surge.categories)} ({surge.kind}) was recorded by {surge.begin} "
                       "to be watched; choose another category or kind")  # fmt: skip
    # The shortest window stands for a day: of what happens on it, the whole, not only what is recorded at once.
    shortest = int(np.argmin(m.windows))
    law = fit.law
    daily = (law.recorded / np.maximum(law.share, 1e-9))[:, shortest].mean(0) / m.windows[shortest]
    level = fit.level[np.ix_(areas, columns)] * daily[columns]
    expected = float(level.sum()) * surge.days
    share = weights(surge.shape, surge.days)
    if surge.total is not None:
        per_day = rng.multinomial(surge.total, share)
    else:
        assert surge.factor is not None  # noqa: S101  # one of both, as checked
        per_day = rng.poisson(share * expected * (surge.factor - 1))
    n = int(per_day.sum())
    day = np.repeat(begin + np.arange(surge.days), per_day)
    odds = level.ravel() / level.sum()
    cell = rng.choice(len(odds), size=n, p=odds)
    area, column = areas[cell // len(columns)], columns[cell % len(columns)]
    lag = (rng.random(n)[:, None] > fit.shares[column]).sum(1)
    return Put(day.tolist(), area.tolist(), w.category[column].tolist(), lag.tolist(), expected)


def with_surge(recording: Recording, fit: Fit, place: int, day: int, put: Put, kind: int) -> NDArray[np.float64]:
    """The counts of a day with what the surge adds to them by its close: (windows, areas, K)."""
    out = np.asarray(fit.counts[place], dtype=np.float64).copy()
    known = np.flatnonzero(np.array(put.day) + np.array(put.lag) <= day)
    if not len(known):
        return out
    happened, area, category = (np.array(v, dtype=np.int64)[known] for v in (put.day, put.area, put.category))
    scope, w = recording.scope, fit.watched
    for number, length in enumerate(recording.meta.windows):
        now: Ints = np.flatnonzero(happened > day - length)
        if len(now):
            rows = scope.inside[:, area[now]].astype(np.float64)  # (areas, n)
            columns = (scope.part[np.ix_(w.category, category[now])] & (w.kind == kind)[:, None]).astype(np.float64)  # (K, n)
            out[number] += rows @ columns.T
    return out
