"""Recording a history: the engine's own counting and judging, day by day with what was known, with nothing held back.

No alert is opened while recording, so nothing covers anything: which of the signals become alerts is for `regroup` to say,
under any settings.
"""

from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from earlywarning.core.alerts import AlertBook, AlertSettings, Case
from earlywarning.core.areas import AreaRegister
from earlywarning.core.budget import GRID, Threshold, draw_signals
from earlywarning.core.calendar import LocalCalendar, date_of, day_number
from earlywarning.core.casework import Verdict
from earlywarning.core.categories import CategoryTree
from earlywarning.core.changes import Ingested
from earlywarning.core.detectors.pattern import Scorer
from earlywarning.core.engine import Engine
from earlywarning.core.events import AnyEvent
from earlywarning.core.judged import Judged
from earlywarning.core.scope import Block
from earlywarning.core.tallies import EngineSettings, Entries
from earlywarning.core.watch import DayKinds, Watch
from earlywarning.core.window_law import WindowLaw, common_variance
from earlywarning.lab.judged_days import JudgedDays, feed, judged_days
from earlywarning.lab.recording import FORMAT, Chance, Fit, Found, Heard, Meta, Recording, joined

Ints = NDArray[np.int64]
MOST = 20.0  # alerts a week: the largest budget that can be tried on a recording
FLOOR = float(GRID[0])  # no budget's threshold is lower
SHARES = ("first", "apart", "drift", "mixture", "harm")  # tendencies with a share of the budget
USUAL_SHARE = 0.02  # of a tendency that the settings switch off, so that it can be tried
_BATCH = 20_000
_LATEST = datetime(2200, 1, 1, tzinfo=UTC)


class _Notes(AlertBook):
    """Keeps what is heard, and follows nothing."""

    def __init__(self, engine: Engine) -> None:
        super().__init__(engine.scope, engine.register.municipality, (engine.register.codes, engine.tree.codes))
        self.heard_of: list[tuple[int, Judged]] = []

    def heard(self, tendency: str, block: Block, day: int) -> bool:
        return False

    def open(self, signal: Judged, today: int, hour: int, settings: AlertSettings, watch: Watch) -> Case:
        self.heard_of.append((today, signal))
        return Case("", today, hour, signal, signal.block, signal.last_day, today, "")


class _Recorder(Engine):
    """An engine that keeps what it judged at each day's close."""

    def begin(self, now: EngineSettings) -> None:
        self.now = now
        self.book: _Notes = _Notes(self)
        self.watch.calibrate = self._draw
        self.fits: list[dict[str, Any]] = []
        self.days: list[int] = []
        self.parts: list[Found] = []
        self.ends: list[int] = []
        self.numbers: dict[Block, int] = {}
        self._chance: Chance | None = None

    def _draw(self, *given: Any, **asked: Any) -> Threshold:
        """Keeps what chance gives, and lets everything pass."""
        del asked["false_alarms_per_week"]
        drawn = draw_signals(*given, **asked)
        scope, watched = given[1], given[3]
        areas, columns = (
            np.frombuffer(b"".join(v.to_bytes(width, "little") for v in values), dtype=np.uint8).reshape(-1, width)
            for values, width in (
                (drawn.signals.areas, -(-len(scope.fine) // 8)),
                (drawn.signals.columns, -(-len(watched.leaves) // 8)),
            )
        )
        self._chance = Chance(
            np.array(drawn.signals.day, dtype=np.int16), drawn.window.astype(np.int8), drawn.observed.astype(np.float32),
            drawn.signals.score, areas, columns,
        )  # fmt: skip
        return Threshold(FLOOR, 1.0, 1.0)

    def _judge(self, entries: Entries, recorded: Ints) -> None:
        index, series = self.space.expand(entries.kind, entries.area, entries.category)
        self.cube.add(series, entries.day[index], entries.units[index])
        self._hear(entries, recorded)

    def _begin_day(self, day: int) -> None:
        self.today = day
        self.tallies.begin_day(day)

    def _close_day(self, day: int) -> None:
        self.tallies.close_day(day)
        if self.watch.ready:
            self._keep(day)
        if (day + 3) % 7 == 6:  # Sunday
            self._close_week()

    def _keep(self, day: int) -> None:
        watch = self.watch
        assert watch.fitted is not None and watch.watched is not None and watch.law is not None  # noqa: S101, PT018  # ready
        if self._chance is not None or not self.fits:
            fit = watch.fitted
            self.fits.append({
                "day": watch.fitted_on, "first": len(self.days), "watched": watch.watched, "level": fit.level,
                "relative": fit.level_variance + common_variance(fit.common, self.scope.rank), "common": fit.common[0],
                "shares": watch.shares, "chance": self._chance, "law": [], "counts": [],
            })  # fmt: skip
            self._chance = None
        self.days.append(day)
        self.fits[-1]["law"].append(watch.law)
        self.fits[-1]["counts"].append(_slim(watch.counts()))
        found = watch.beyond()
        if found is not None:
            blocks = [watch.block(found, i) for i in range(len(found.score))]
            numbers = [self.numbers.setdefault(b, len(self.numbers)) for b in blocks]
            self.parts.append(
                Found(
                    np.array(numbers, dtype=np.int32), found.column.astype(np.int16), found.window.astype(np.int8), found.observed,
                    found.expectation, found.score,
                )
            )  # fmt: skip
        self.ends.append(sum(map(len, (p.block for p in self.parts[-1:]))) * (found is not None))


def _slim(counts: NDArray[np.float64]) -> NDArray[Any]:
    """Whole counts, as nearly all are, in two bytes."""
    whole = counts.astype(np.uint16) if counts.max(initial=0) < 65_536 else None
    return whole if whole is not None and (whole == counts).all() else counts.astype(np.float32)


def record(
    register: AreaRegister,
    tree: CategoryTree,
    calendar: LocalCalendar,
    settings: EngineSettings,
    events: Sequence[AnyEvent],
    first: date,
    last: date | None = None,
    day_kinds: DayKinds | None = None,
    model: Scorer | None = None,
    verdicts: Sequence[Verdict] = (),
    windows: Sequence[int] = (),
    progress: Callable[[date], None] | None = None,
) -> Recording:
    """Go through a history once, and keep what any settings need to be tried on the days first..last.

    Arguments as of `backtest`; settings: today's. windows: further lengths to try, in days. verdicts: what the group has
    explained, heeded from when it was said. progress: told the day that has been reached, now and then. Takes about as long
    as a back-test. Raises LabError when nothing can be judged.
    """
    days = judged_days(events, calendar, first, last)
    shares = shares_of(settings)
    tried = {f"{name}_share": share or USUAL_SHARE for name, share in shares.items()}
    lengths = tuple(sorted({*settings.watch.windows, *windows}))
    chosen = settings._replace(
        watch=settings.watch._replace(
            first_judged=day_number(first), false_alarms_per_week=MOST, min_count=1, false_discovery_rate=0.0, windows=lengths
        ),
        tendencies=settings.tendencies._replace(**tried),  # type: ignore[arg-type]  # its names
    )
    engine = _Recorder(register, tree, calendar, chosen, day_kinds, model)
    engine.begin(settings)
    engine.tallies.left_out.hear(verdicts, None)

    def heard(_: Ingested) -> None:
        if progress is not None and engine.today is not None:
            progress(date_of(engine.today))

    feed(engine, events, days, heard)
    return _recording(engine, settings, shares, lengths, days.that_could_be_judged(engine.watch), tried)


def shares_of(settings: EngineSettings) -> dict[str, float]:
    """What each tendency takes of the budget."""
    return {name: float(getattr(settings.tendencies, f"{name}_share")) for name in SHARES}


def _recording(
    engine: _Recorder, settings: EngineSettings, shares: dict[str, float], windows: tuple[int, ...], days: JudgedDays,
    tried: dict[str, float],
) -> Recording:  # fmt: skip
    meta = Meta(
        FORMAT, engine.register.municipality, settings.alerts.version, windows, settings.watch.windows, settings.watch.min_count,
        settings.alerts.settle_after, settings.watch.false_alarms_per_week, shares, settings.watch.false_discovery_rate,
        settings.kinds, day_number(days.first), day_number(days.last), day_number(days.oldest), days.events,
        tuple(engine.register.codes), tuple(engine.tree.codes), settings.watch.area_bonus,
    )  # fmt: skip
    fits = []
    for f in engine.fits:
        law = WindowLaw(*(np.stack(column) for column in zip(*f.pop("law"), strict=True)))
        fits.append(Fit(**{**f, "law": law, "counts": np.stack(f["counts"])}))
    fit_of = np.repeat(np.arange(len(fits)), [len(f) for f in fits])
    heard = []
    for day, said in engine.book.heard_of:
        number = engine.numbers.setdefault(said.block, len(engine.numbers))
        anywhere = said.recurrence * (tried["first_share"] if said.tendency == "first" else 1.0)
        heard.append(
            Heard(day, said.tendency, number, said.window, said.last_day, said.observed, said.expectation, anywhere)
        )  # fmt: skip
    heard = [h for h in heard if meta.first <= h.day <= meta.last]
    found = joined(engine.parts) if engine.parts else Found(*(np.empty(0, dtype=d) for d in ("i4", "i2", "i1", "f8", "f8", "f8")))
    ends = np.cumsum(engine.ends)
    return Recording(meta, engine.scope, np.array(engine.days), fit_of, fits, found, ends, list(engine.numbers), heard)
