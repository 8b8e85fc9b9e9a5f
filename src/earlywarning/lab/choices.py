"""What the analyst chooses, and what a choice asks of a recording: windows, thresholds, what each tendency may take."""

from collections.abc import Sequence
from datetime import date

import msgspec
import numpy as np
from numpy.typing import NDArray

from earlywarning.core.alerts import SCANNED
from earlywarning.core.budget import ENOUGH, GRID, WEEKS, Signals, Threshold, alerts_at, threshold_for
from earlywarning.core.calendar import date_of, day_number
from earlywarning.lab.judged_days import LabError
from earlywarning.lab.recorder import MOST, USUAL_SHARE
from earlywarning.lab.recording import Chance, Recording

TENDENCIES = (*SCANNED, "severe", "first", "apart", "drift", "mixture", "harm")
_OF_FOUR_WEEKS = ("apart", "harm")  # looked at in the window of 28 days


class Choice(msgspec.Struct, frozen=True, kw_only=True):
    """One set of settings to try. budget: false alarms a week for the whole municipality; None, () and "": as today.

    tendencies: of TENDENCIES; areas, categories: codes, each with all in it, that alerts must touch to be shown (thresholds are
    those of the whole municipality); first, last: days on which alerts open; settle_after: days without any signal after
    which an alert is over.
    """

    name: str = ""
    budget: float | None = None
    windows: tuple[int, ...] = ()
    min_count: int | None = None
    tendencies: tuple[str, ...] = ()
    areas: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    first: date | None = None
    last: date | None = None
    settle_after: int | None = None


class Settled(msgspec.Struct, frozen=True, kw_only=True):
    """A choice with every value said; shares: of the budget that tendencies beside counts take."""

    name: str
    budget: float
    windows: tuple[int, ...]
    min_count: int
    tendencies: tuple[str, ...]
    areas: tuple[str, ...]
    categories: tuple[str, ...]
    first: date
    last: date
    settle_after: int
    shares: dict[str, float]

    @property
    def counts_budget(self) -> float:
        """What unusual counts may take."""
        return self.budget * (1 - sum(self.shares.values()))


def settle_choice(recording: Recording, choice: Choice) -> Settled:
    """A choice beside today's settings. Raises LabError naming the field, what is wrong, and what can be chosen."""
    m = recording.meta
    windows = tuple(sorted(set(choice.windows))) or m.windows_in_force
    if unknown := [w for w in windows if w not in m.windows]:
        raise LabError(f"windows: {unknown[0]} days were not recorded; choose of {', '.join(map(str, m.windows))}, or record anew")
    budget = m.budget if choice.budget is None else choice.budget
    if not 0 < budget <= MOST:
        raise LabError(f"budget: {budget:g} false alarms a week cannot be tried; choose more than 0, up to {MOST:g}")
    min_count = m.min_count if choice.min_count is None else choice.min_count
    if min_count < 1:
        raise LabError(f"min_count: {min_count} is not allowed; choose 1 or more")
    settle = m.settle_after if choice.settle_after is None else choice.settle_after
    if settle < 1:
        raise LabError(f"settle_after: {settle} is not allowed; choose 1 or more")
    on = choice.tendencies or (*SCANNED, "severe", *[name for name, share in m.shares.items() if share > 0])
    if strange := [t for t in on if t not in TENDENCIES]:
        raise LabError(f"tendencies: there is no {strange[0]!r}; choose of {', '.join(TENDENCIES)}")
    if 28 not in windows:
        on = tuple(t for t in on if t not in _OF_FOUR_WEEKS)
    for name, wanted, known in (("areas", choice.areas, m.areas), ("categories", choice.categories, m.categories)):
        if lost := [code for code in wanted if code not in known]:
            raise LabError(f"{name}: there is no {lost[0]!r} in the register; use its codes")
    first, last = date_of(m.first), date_of(m.last)
    begin, end = max(choice.first or first, first), min(choice.last or last, last)
    if begin > end:
        raise LabError(f"first, last: nothing was recorded from {begin} to {end}; the recording has {first} to {last}")
    shares = {name: share or USUAL_SHARE for name, share in m.shares.items() if name in on}
    return Settled(
        name=choice.name, budget=budget, windows=windows, min_count=min_count, tendencies=tuple(t for t in TENDENCIES if t in on),
        areas=choice.areas, categories=choice.categories, first=begin, last=end, settle_after=settle, shares=shares,
    )  # fmt: skip


def thresholds(recording: Recording, choice: Settled) -> list[Threshold]:
    """The threshold of each fit: the score that as many of chance's alerts reach as the choice lets unusual counts cause."""
    wanted = choice.counts_budget
    return [_threshold(recording, i, choice.windows, choice.min_count, wanted) for i in range(len(recording.fits))]


def _threshold(recording: Recording, fit: int, windows: tuple[int, ...], min_count: int, per_week: float) -> Threshold:
    key = ("alerts", fit, windows, min_count)
    known: dict[int, int] = recording.memo.setdefault(key, {})  # by place in GRID, how many alerts chance gives
    chance = recording.fits[fit].chance
    numbers = [recording.meta.windows.index(w) for w in windows]
    allowed = np.isin(chance.window, numbers) & (chance.observed >= min_count)
    # From the top down: signals are few there, and what lies far below the wanted number says nothing of the threshold.
    needed = max(ENOUGH, per_week * WEEKS)
    last = 0
    for i in range(len(GRID) - 1, -1, -1):
        if i not in known:
            known[i] = alerts_at(_signals(chance, allowed & (chance.score >= GRID[i])), float(GRID[i]))
        if not last and known[i] >= ENOUGH:
            last = i
        if last and i <= last - 4 and known[i] > needed:
            break
    scores = sorted(known)
    return threshold_for(GRID[scores], np.array([known[i] for i in scores], dtype=np.float64), WEEKS, per_week)


def _signals(chance: Chance, which: NDArray[np.bool_]) -> Signals:
    at = np.flatnonzero(which)
    areas, columns = (_whole(table[at]) for table in (chance.areas, chance.columns))
    return Signals(chance.day[at].tolist(), areas, columns, chance.score[at])


def _whole(rows: NDArray[np.uint8]) -> list[int]:
    """Sets as whole numbers."""
    if rows.shape[1] <= 8:
        wide = np.zeros((len(rows), 8), dtype=np.uint8)
        wide[:, : rows.shape[1]] = rows
        return wide.view("<u8").ravel().tolist()
    return [int.from_bytes(row.tobytes(), "little") for row in rows]


def chosen_codes(codes: Sequence[str], inside: NDArray[np.bool_], wanted: Sequence[str]) -> frozenset[int]:
    """Numbers of the wanted codes and all in them."""
    at = [codes.index(code) for code in wanted]
    return frozenset(np.flatnonzero(inside[at].any(0)).tolist()) if at else frozenset(range(len(codes)))


def days_of(choice: Settled) -> tuple[int, int]:
    """First and last day, as numbers."""
    return day_number(choice.first), day_number(choice.last)
