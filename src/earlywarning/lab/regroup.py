"""Recorded signals become alerts under any settings, by the rules of the alert book (core/alerts.py).

An open alert covers its block, and what is new is looked for in the rest; at a day's end it takes over the most unusual
block that meets its own; it is over after so many days without any signal. What differs from a replay of the events is told
in docs/lab.md: days stand as they closed, blocks that were found are judged anew in what an open alert leaves over (none
is searched anew), and an alert that corrections take back stays.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from earlywarning.core.alerts import MOST_BLOCKS, OF_WEEKS, OF_WEEKS_SETTLE
from earlywarning.core.budget import Threshold
from earlywarning.core.detectors.negative_binomial import tail_probability
from earlywarning.core.detectors.scan import block_sort
from earlywarning.core.scope import Block
from earlywarning.core.watch import NEARLY
from earlywarning.lab.choices import Settled, days_of, thresholds
from earlywarning.lab.recording import Fit, Floats, Found, Ints, Recording
from earlywarning.lab.remainder import Covered, rejudge

_NOTHING = -np.inf


class Signal(NamedTuple):
    """A block beyond its threshold: score above the threshold; window: number of it."""

    block: int
    window: int
    observed: float
    expectation: float
    score: float


@dataclass(slots=True)
class Follow:
    """An alert that is followed. day: on which it opened; tendency: "" where counts raised it; last_day: of its signals."""

    day: int
    tendency: str
    opening: Signal
    block: int
    last_day: int
    recurrence: float
    window_last: int
    peak: Signal | None = None
    today: list[Signal] = field(default_factory=list)

    @property
    def lead(self) -> Signal:
        """The most unusual window that stands, or stood."""
        standing = [*self.today, *([self.peak] if self.peak is not None else [])]
        return max(standing, key=lambda s: (s.score, -s.window), default=self.opening)


class Day(NamedTuple):
    """One day to be grouped: its place among the days of its fit, and the signals of it down to the recording's floor.

    counts: (windows, areas, K) at its close.
    """

    day: int
    fit: int
    place: int
    found: Found
    counts: NDArray[np.float64] | None = None


def regroup(recording: Recording, choice: Settled, days: Iterable[Day] | None = None) -> list[Follow]:
    """The alerts that a choice would have opened, in order, each as it was when it was over. days: default, those recorded."""
    limits = thresholds(recording, choice)
    first, last = days_of(choice)
    book = _Book(recording, choice, limits)
    for day in recorded_days(recording, first, last, book) if days is None else days:
        book.go_through(day)
    return book.alerts


def recorded_days(recording: Recording, first: int, last: int, book: "_Book | None" = None) -> Iterable[Day]:
    """The recorded days first..last; with a book, only signals beyond its thresholds are taken out."""
    begin, stop = np.searchsorted(recording.days, [first, last + 1]).tolist()
    starts = np.append(0, recording.ends)
    which = None if book is None else book.beyond(recording)
    at = np.arange(len(recording.found.score)) if which is None else np.flatnonzero(which)
    edges = np.searchsorted(at, starts)
    for i in range(begin, stop):
        fit = int(recording.fit_of[i])
        part = at[edges[i] : edges[i + 1]]
        yield Day(int(recording.days[i]), fit, i - recording.fits[fit].first, recording.found.take(part))


class _Book:
    def __init__(self, recording: Recording, choice: Settled, limits: list[Threshold]) -> None:
        self.recording, self.choice, self.limits = recording, choice, limits
        self.windows = np.array([recording.meta.windows.index(w) for w in choice.windows])
        self.alerts: list[Follow] = []
        self.open: list[Follow] = []
        self._heard: dict[int, list[int]] = {}
        for i, h in enumerate(recording.heard):
            if h.tendency in choice.tendencies and self._often_enough(h.tendency, h.recurrence):
                self._heard.setdefault(h.day, []).append(i)
        self._covers: tuple[int, frozenset[int], Covered] | None = None

    def _often_enough(self, tendency: str, recurrence: float) -> bool:
        if tendency == "severe":
            return True
        return recurrence * self.choice.shares[tendency] * self.choice.budget >= 7 * (1 - 1e-12)

    def beyond(self, recording: Recording) -> NDArray[np.bool_]:
        """Which of the recorded signals are beyond the thresholds."""
        found = recording.found
        sizes = np.diff(np.append(0, recording.ends))
        limit = np.array([t.score for t in self.limits])[np.repeat(recording.fit_of, sizes)]
        return (found.score >= limit) & (found.observed >= self.choice.min_count) & np.isin(found.window, self.windows)

    # ---- a day ----------------------------------------------------------------------------------------------------

    def go_through(self, day: Day) -> None:
        """Open what the day opens, and follow what is open."""
        fit, limit = self.recording.fits[day.fit], self.limits[day.fit]
        f = day.found
        use = (f.score >= limit.score) & (f.observed >= self.choice.min_count) & np.isin(f.window, self.windows)
        at = np.flatnonzero(use)
        if len(at):
            self._open_counts(day, fit, limit, at)
        for i in self._heard.get(day.day, ()):
            self._hear(day.day, i)
        if self.open:
            self._follow(day, fit, limit)
            self._take_over(day, fit, limit, at)
            self._close(day.day)

    def _open_counts(self, day: Day, fit: Fit, limit: Threshold, at: Ints) -> None:
        found = day.found
        blocks = found.block[at].tolist()
        met: list[set[int]] = [set() for _ in blocks]  # by row, the followed blocks that it meets
        left: dict[int, tuple[frozenset[int], Signal | None]] = {}  # by row, what those leave over of it
        seen: set[int] = set()
        while True:
            followed = {b for case in self.open if not case.tendency for b in (case.opening.block, case.block)}
            self._meet(blocks, met, followed - seen)
            seen |= followed
            fresh = [i for i, m in enumerate(met) if not m]
            rest = [i for i, m in enumerate(met) if m]
            signals = [
                Signal(blocks[i], int(found.window[at[i]]), float(found.observed[at[i]]), float(found.expectation[at[i]]),
                       float(found.score[at[i]] - limit.score))
                for i in fresh
            ]  # fmt: skip
            again = [i for i in rest if i not in left or left[i][0] != frozenset(met[i])]
            if again:
                of_rows = self._left_over(day, fit, limit, at[again], frozenset(followed))
                left.update({i: (frozenset(met[i]), of_rows.get(n)) for n, i in enumerate(again)})
            signals += [s for i in rest if (s := left[i][1]) is not None]
            if not signals:
                return
            signals.sort(key=lambda s: -s.score)
            chosen = self._leading(signals)
            case = Follow(
                day.day, "", chosen, chosen.block, day.day, limit.recurrence_days(chosen.score), day.day
            )  # fmt: skip
            case.today = [chosen]
            self.open.append(case)
            self.alerts.append(case)

    def _meet(self, blocks: list[int], met: list[set[int]], new: set[int]) -> None:
        """Note by row which of the newly followed blocks its own block meets."""
        bits = [self.recording.bits(b) for b in blocks]
        for c in new:
            kind, areas, categories = self.recording.bits(c)
            for row, (k, a, g) in zip(met, bits, strict=True):
                if k == kind and a & areas and g & categories:
                    row.add(c)

    def _left_over(self, day: Day, fit: Fit, limit: Threshold, at: Ints, followed: frozenset[int]) -> dict[int, Signal]:
        """What open alerts leave over of the blocks that they meet, by place in `at`; nothing where it is not beyond."""
        if self._covers is None or self._covers[0] != day.fit or not self._covers[1] <= followed:
            self._covers = (day.fit, frozenset(), Covered.of(self.recording, day.fit, ()))
        if new := followed - self._covers[1]:
            self._covers[2].add(self.recording, day.fit, new)
            self._covers = (day.fit, followed, self._covers[2])
        counts = fit.counts[day.place] if day.counts is None else day.counts
        out = {}
        for row, block, window, observed, expectation, score in rejudge(
            self.recording, fit, day.place, counts, day.found, at, self._covers[2]
        ):
            if score >= limit.score and observed >= self.choice.min_count:
                out[row] = Signal(block, window, observed, expectation, score - limit.score)
        return out

    def _leading(self, signals: list[Signal]) -> Signal:
        """Of those that meet the most unusual one and are nearly as unusual, the most specific."""
        top = best = signals[0]
        for s in signals[1:]:
            if s.score < top.score - NEARLY:
                break
            if self.recording.depth(s.block) > self.recording.depth(best.block) and self.recording.share(top.block, s.block):
                best = s
        return best

    def _hear(self, day: int, i: int) -> None:
        h, r = self.recording.heard[i], self.recording
        for case in self.open:
            if case.tendency == h.tendency and r.share(case.block, h.block):
                case.last_day = max(case.last_day, day)
                return
        if h.tendency == "harm" and any(r.share(case.block, h.block) for case in self.open):
            return
        signal = Signal(h.block, -h.window, h.observed, h.expectation, 0.0)
        recurrence = h.recurrence / self.choice.shares["first"] if h.tendency == "first" else h.recurrence
        case = Follow(day, h.tendency, signal, h.block, h.last_day, recurrence, h.last_day, peak=signal)
        self.open.append(case)
        self.alerts.append(case)

    def _follow(self, day: Day, fit: Fit, limit: Threshold) -> None:
        for case in self.open:
            if not case.tendency:
                case.today = self._standing(case.block, day, limit)

    def _standing(self, block: int, day: Day, limit: Threshold) -> list[Signal]:
        """The windows of a block that are beyond the threshold."""
        if day.counts is None:
            o, e, score = judged(self.recording, block, day.fit)
            o, e, score = o[day.place], e[day.place], score[day.place]
        else:
            o, e, score = (v[0] for v in judge(self.recording, block, day.fit, day.counts[None], slice(day.place, day.place + 1)))
        out = []
        for w in self.windows.tolist():
            if score[w] >= limit.score and o[w] >= self.choice.min_count:
                out.append(Signal(block, w, float(o[w]), float(e[w]), float(score[w] - limit.score)))
        return out

    def _take_over(self, day: Day, fit: Fit, limit: Threshold, at: Ints) -> None:
        waiting = sorted((c for c in self.open if not c.tendency and c.today), key=lambda c: -c.lead.score)
        if not waiting or not len(at):
            return
        r, found = self.recording, day.found
        at = at[:MOST_BLOCKS]
        blocks, score = found.block[at].tolist(), found.score[at].tolist()
        free = list(range(len(blocks)))
        for case in waiting:
            own = [i for i in free if r.share(case.block, blocks[i])]
            if not own:
                continue
            near = [i for i in own if score[i] >= score[own[0]] - NEARLY]
            best = max(near, key=lambda i: (r.depth(blocks[i]), score[i], -i))
            free = [i for i in free if not r.share(blocks[best], blocks[i])]
            margin = NEARLY * (r.depth(case.block) - r.depth(blocks[best]))
            if blocks[best] != case.block and score[best] - limit.score > case.lead.score + min(max(margin, -NEARLY), NEARLY):
                case.block, case.peak = blocks[best], None
                case.today = self._standing(case.block, day, limit)

    def _close(self, day: int) -> None:
        for case in self.open:
            best = max(case.today, key=lambda s: (s.score, -s.window), default=None)
            if best is not None:
                case.last_day = day
                if case.peak is None or best.score > case.peak.score:
                    case.peak = best
        settle = self.choice.settle_after
        self.open = [
            c for c in self.open
            if day - c.last_day < (max(settle, OF_WEEKS_SETTLE) if c.tendency in OF_WEEKS else settle)
        ]  # fmt: skip


# ---- a block by itself ------------------------------------------------------------------------------------------------


def judged(recording: Recording, block: int, fit: int) -> tuple[Floats, Floats, Floats]:
    """A block on all days of a fit: events, expectation and score, (days, windows) each; kept for the next question."""
    key = ("judged", block, fit)
    out = recording.memo.get(key)
    if out is None:
        out = recording.memo[key] = judge(recording, block, fit, recording.fits[fit].counts, slice(None))
    return out


def judge(recording: Recording, block: int, fit: int, counts: NDArray[np.float64], places: slice) -> tuple[Floats, Floats, Floats]:
    """The same for some counts of the days at `places` of the fit: (days, windows, areas, K)."""
    it, about = recording.fits[fit], recording.blocks[block]
    base = it.watched.base(about)
    shape = counts.shape[:2]
    if not len(base):
        return np.zeros(shape), np.zeros(shape), np.full(shape, _NOTHING)
    cells = np.ix_(np.array(about.areas), base)
    o = counts[:, :, cells[0], cells[1]].sum((2, 3), dtype=np.float64)
    each = it.law.recorded[places][:, :, None, base] * it.level[cells]  # (days, windows, areas, columns)
    phi, profile = (x[places][:, :, None, base] for x in (it.law.dispersion, it.law.profile_variance))
    e, v = each.sum((2, 3)), (phi * each + (it.relative[cells] + profile) * each**2).sum((2, 3))
    spread = np.maximum(v / np.maximum(e, 1e-12), 1.0)
    if len(about.areas) > 1:
        spread = spread + it.common[base].max() * e
    score = np.full(shape, _NOTHING)
    more = o > e
    if more.any():
        p = np.maximum(tail_probability(o[more], e[more], spread[more]), 1e-300)
        score[more] = -np.log10(p) - sort_of(recording, about, it)
    return o, e, score


def sort_of(recording: Recording, block: Block, fit: Fit) -> float:
    """Logarithm of how many blocks there are of a block's sort."""
    columns = fit.watched.scanned
    base = fit.watched.base(block)
    members = np.sort(np.where(columns.members < 0, 10**9, columns.members), axis=1)
    column = np.flatnonzero((members == np.sort(np.append(base, 10**9)[:2])).all(1))
    return block_sort(recording.zones, columns, block.areas, int(column[0])) if len(column) else np.inf
