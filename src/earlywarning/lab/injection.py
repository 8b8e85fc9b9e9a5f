"""When would a surge have been found? Days that it touches are scanned anew with its events in the counts.

Baselines stay as they were fitted: they leave out the newest four weeks (detection.guard_days), so that a surge that is
shorter changes nothing before it is over.
"""

from collections.abc import Iterator, Sequence
from datetime import date
from statistics import median

import msgspec
import numpy as np

from earlywarning.core.calendar import date_of, day_number
from earlywarning.core.detectors.scan import scan
from earlywarning.core.scope import Block
from earlywarning.lab.choices import Choice, Settled, settle_choice
from earlywarning.lab.judged_days import LabError
from earlywarning.lab.outcomes import TriedAlert, tried
from earlywarning.lab.recorder import FLOOR
from earlywarning.lab.recording import Fit, Found, Recording
from earlywarning.lab.regroup import Day, Follow, recorded_days, regroup
from earlywarning.lab.surges import Put, Surge, check_surge, draw_surge, with_surge

WARM = 56  # days before the surge from which alerts are followed, so that those are open that would have been
AFTER = 14  # days after its end within which it may still be found
WITHIN = (3, 7, 14)  # days that shares are told of
_APART = 13  # days from one begin to the next, so that weekdays differ


class Injected(msgspec.Struct, frozen=True):
    """One surge under one choice. found_on: None when missed. days: from its first day; events: of the surge by the alert's
    day, that were recorded; alert: which found it. open_before: an alert was about it when it began, and no other opened.

    without: whether an alert would have been opened there on these days without the surge too.
    """

    begin: date
    added: int
    expected: float
    found_on: date | None
    days: int | None
    events: int | None
    alert: TriedAlert | None
    open_before: bool
    without: bool


class Injection(msgspec.Struct, frozen=True):
    """A surge under one choice, for each day on which it began. within: share found by so many days after its first."""

    choice: Settled
    surge: Surge
    each: list[Injected]
    found: int
    share: float
    median_days: float | None
    within: dict[int, float]


def inject_surge(recording: Recording, surge: Surge, choices: Sequence[Choice], repeats: int = 1) -> list[Injection]:
    """Put a surge in, and tell for each choice when it would have been found.

    repeats: how many begin days, the surge's own first, the others later and then earlier, 13 days apart, each with a draw of
    its own. Raises LabError for a surge or choice that cannot be tried.
    """
    check_surge(recording, surge)
    if not 1 <= repeats <= 100:
        raise LabError(f"repeats: {repeats} is not allowed; choose 1 to 100")
    begins = _begins(recording, surge, repeats)
    settled = [settle_choice(recording, msgspec.structs.replace(c, first=None, last=None, areas=(), categories=()))
               for c in choices]  # fmt: skip
    each: list[list[Injected]] = [[] for _ in settled]
    for begin in begins:
        put = draw_surge(recording, surge, begin)
        scanned = list(_days_with(recording, surge, put, begin))
        for i, choice in enumerate(settled):
            each[i].append(_found(recording, surge, put, begin, choice, scanned))
    out = []
    for choice, answers in zip(settled, each, strict=True):
        days = [a.days for a in answers if a.days is not None]
        n = len(answers)
        within = {limit: sum(d <= limit for d in days) / n for limit in WITHIN}
        out.append(Injection(choice, surge, answers, len(days), len(days) / n, float(median(days)) if days else None, within))
    return out


def _begins(recording: Recording, surge: Surge, repeats: int) -> list[int]:
    first, last = int(recording.days[0]), int(recording.days[-1])
    begin = day_number(surge.begin)
    if not first <= begin <= last - surge.days + 1:
        latest = date_of(last - surge.days + 1)
        raise LabError(
            f"begin: {surge.begin} cannot be judged; choose {date_of(first)} to {latest} for a surge of {surge.days} days"
        )
    out = [begin]
    for step in [*range(_APART, last - first + 1, _APART), *range(-_APART, first - last - 1, -_APART)]:
        if len(out) == repeats:
            break
        if first <= begin + step <= last - surge.days + 1:
            out.append(begin + step)
    return out


def _days_with(recording: Recording, surge: Surge, put: Put, begin: int) -> Iterator[Day]:
    """The recorded days around the surge, those that it touches scanned anew."""
    until = begin + surge.days - 1 + AFTER
    kind = int(surge.kind == "report")
    for day in recorded_days(recording, begin - WARM, until):
        if day.day < begin:
            yield day
            continue
        fit = recording.fits[day.fit]
        counts = with_surge(recording, fit, day.place, day.day, put, kind)
        yield day._replace(counts=counts, found=scan_day(recording, fit, day.place, counts))


def scan_day(recording: Recording, fit: Fit, place: int, counts: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> Found:
    """The blocks of a day that count more than expected, as the recording holds them, for other counts."""
    w, law = fit.watched, fit.law
    expectation = law.recorded[place][:, None] * fit.level
    variance = law.dispersion[place][:, None] * expectation + (fit.relative + law.profile_variance[place][:, None]) * expectation**2
    columns = w.scanned
    common = np.append(fit.common, 0.0)[columns.members].max(1)
    found = scan(
        columns.sums(counts), columns.sums(expectation), columns.sums(variance), common, recording.zones, columns, FLOOR, 1
    )  # fmt: skip
    blocks = [
        recording.number(w.block(tuple(int(a) for a in row if a >= 0), int(c)))
        for row, c in zip(found.areas.tolist(), found.column.tolist(), strict=True)
    ]
    return Found(
        np.array(blocks, dtype=np.int32), found.column.astype(np.int16), found.window.astype(np.int8), found.observed,
        found.expectation, found.score,
    )  # fmt: skip


def _found(recording: Recording, surge: Surge, put: Put, begin: int, choice: Settled, days: Sequence[Day]) -> Injected:
    m = recording.meta
    until = begin + surge.days - 1 + AFTER
    block = Block(int(surge.kind == "report"), tuple(map(m.areas.index, surge.areas)),
                  tuple(map(m.categories.index, surge.categories)))  # fmt: skip
    own = recording.number(block)
    around = msgspec.structs.replace(choice, first=date_of(max(begin - WARM, m.first)), last=date_of(min(until, m.last)))

    def meeting(followed: Sequence[Follow]) -> list[Follow]:
        return [f for f in followed if not f.tendency and recording.share(f.opening.block, own)]

    with_it = meeting(regroup(recording, around, days))
    usual = {(f.day, f.opening.block) for f in meeting(regroup(recording, around)) if f.day >= begin}
    fresh = [f for f in with_it if begin <= f.day <= until and (f.day, f.opening.block) not in usual]
    before = any(f.day < begin <= f.last_day for f in with_it)
    happened = np.array(put.day, dtype=np.int64) + np.array(put.lag, dtype=np.int64)
    added = len(put.day)
    if not fresh:
        return Injected(date_of(begin), added, put.expected, None, None, None, None, before, bool(usual))
    f = min(fresh, key=lambda f: f.day)
    events = int((happened <= f.day).sum())
    return Injected(
        date_of(begin), added, put.expected, date_of(f.day), f.day - begin, events, tried(recording, f, 0), before, bool(usual)
    )  # fmt: skip
