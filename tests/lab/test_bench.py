"""The lab answers at once what a replay event by event would have said, as nearly as it can be told."""

from datetime import date, timedelta
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as quickly
from hypothesis import strategies as st

from earlywarning.core.budget import GRID, WEEKS, Signals, alerts_at, threshold_for
from earlywarning.core.calendar import LocalCalendar, date_of, day_number
from earlywarning.core.events import AnyEvent
from earlywarning.core.scope import Scope
from earlywarning.lab.agreement import agreement
from earlywarning.lab.backtest import Backtest
from earlywarning.lab.bench import Choice, LabError, Recording, load_recording, record, retune, save_recording
from earlywarning.lab.choices import settle_choice, thresholds
from earlywarning.lab.injection import scan_day
from earlywarning.lab.recorder import FLOOR
from earlywarning.lab.regroup import recorded_days
from tests.core.town import BEGIN, NOW, engine, history, merged, register, settings, surge, tree
from tests.lab.conftest import LAB_FIRST, on

SUBSETS = st.sampled_from([(1,), (1, 3, 7, 14, 28), (7, 28), (1, 14)])


# ---- beside a replay --------------------------------------------------------------------------------------------------


def test_todays_settings_give_what_a_replay_gives(recording: Recording, replayed: Backtest) -> None:
    both = agreement([a.first for a in replayed.alerts], retune(recording, Choice()), recording)
    assert (both.exact, both.tried, both.both) == (7, 7, 7)
    assert both.same_block == 6


def test_the_threshold_of_a_choice_is_the_services_own(recording: Recording, lab_events: list[AnyEvent]) -> None:
    live = engine(first_judged=recording.meta.first)
    live.ingest([e for e in lab_events if e.recorded_at.date() < LAB_FIRST + timedelta(days=2)], NOW)
    assert live.watch.threshold is not None
    wanted = live.watch.threshold
    assert live.watch.fitted_on == recording.fits[0].day
    assert thresholds(recording, settle_choice(recording, Choice()))[0].score == pytest.approx(wanted.score, abs=1e-12)


def test_no_day_and_no_signal_is_lost_in_recording(recording: Recording) -> None:
    assert [date_of(int(d)) for d in recording.days] == [LAB_FIRST + timedelta(days=i) for i in range(len(recording.days))]
    assert recording.found.score.min() >= FLOOR
    for day in list(recorded_days(recording, recording.meta.first, recording.meta.last))[::7]:
        fit = recording.fits[day.fit]
        again = scan_day(recording, fit, day.place, fit.counts[day.place].astype(np.float64))
        assert again.block.tolist() == day.found.block.tolist()
        assert np.allclose(again.score, day.found.score)


def test_days_from_the_middle_on_are_judged_as_if_nothing_had_been_open(recording: Recording) -> None:
    since = on(471)
    found = retune(recording, Choice(first=since))
    assert all(a.opened_on >= since for a in found.alerts)
    assert any(a.opened_on == since and "A4" in a.areas for a in found.alerts), "what began the day before is raised now"
    assert found.weeks == pytest.approx(((date_of(recording.meta.last) - since).days + 1) / 7)


def test_days_before_there_was_history_enough_make_no_alerts_a_week_fewer(lab_events: list[AnyEvent], tmp_path: Path) -> None:
    """A year of it is asked for; whoever names an earlier day is told of the days that could be judged."""
    last = on(445)
    early = record(register(), tree(), LocalCalendar(), settings(), lab_events, on(250), last)
    begun = early.meta.first
    assert on(360) < date_of(begun) == date_of(int(early.days[0]))
    found = retune(early, Choice())
    assert found.choice.first == date_of(begun)
    assert found.weeks == pytest.approx(((last - date_of(begun)).days + 1) / 7)
    assert sum(w.days for w in found.by_week) == (last - date_of(begun)).days + 1
    # The same as of a recording that begins where it can.
    right = retune(record(register(), tree(), LocalCalendar(), settings(), lab_events, date_of(begun), last), Choice())
    assert len(right.alerts) > 0
    assert (len(found.alerts), found.per_week) == (len(right.alerts), right.per_week)
    # Days that are asked for beyond it are cut as well, and a file says the same.
    assert retune(early, Choice(first=on(300))).weeks == found.weeks
    corrected = early.meta
    object.__setattr__(early, "meta", msgspec.structs.replace(corrected, first=day_number(on(250))))  # as files had it before
    save_recording(early, tmp_path / "early.npz")
    assert load_recording(tmp_path / "early.npz", early.scope).meta == corrected


# ---- laws -------------------------------------------------------------------------------------------------------------


@given(low=st.floats(0.05, 10), more=st.floats(1.0, 2.0), windows=SUBSETS, least=st.integers(1, 8))
@quickly(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_larger_budget_never_lets_fewer_signals_pass(
    recording: Recording, low: float, more: float, windows: tuple[int, ...], least: int
) -> None:
    small, large = (
        thresholds(recording, settle_choice(recording, Choice(budget=b, windows=windows, min_count=least)))
        for b in (low, low * more)
    )
    assert all(b.score <= a.score + 1e-9 for a, b in zip(small, large, strict=True))


@given(budget=st.floats(0.05, 20), windows=SUBSETS, least=st.integers(1, 6))
@quickly(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_threshold_is_found_from_the_top_down_as_from_the_whole(
    recording: Recording, budget: float, windows: tuple[int, ...], least: int
) -> None:
    choice = settle_choice(recording, Choice(budget=budget, windows=windows, min_count=least))
    chance = recording.fits[0].chance
    use = np.isin(chance.window, [recording.meta.windows.index(w) for w in windows]) & (chance.observed >= least)
    whole = [[int.from_bytes(row.tobytes(), "little") for row in table[use]] for table in (chance.areas, chance.columns)]
    signals = Signals(chance.day[use].tolist(), *whole, chance.score[use])
    counted = np.array([alerts_at(signals, float(s)) for s in GRID], dtype=np.float64)
    assert thresholds(recording, choice)[0] == threshold_for(GRID, counted, WEEKS, choice.counts_budget)


@given(budget=st.floats(0.1, 20), least=st.integers(1, 6), windows=SUBSETS)
@quickly(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_alerts_keep_to_what_was_chosen(recording: Recording, budget: float, least: int, windows: tuple[int, ...]) -> None:
    found = retune(recording, Choice(budget=budget, min_count=least, windows=windows))
    counts = [a for a in found.alerts if a.tendency in ("surge", "cluster", "shift")]
    assert all(a.observed >= least and a.window in windows and a.score >= 0 for a in counts)
    assert sum(w.alerts for w in found.by_week) == len(found.alerts) == sum(found.tendencies.values())
    assert sum(w.days for w in found.by_week) == pytest.approx(found.weeks * 7)
    assert [a.opened_on for a in found.alerts] == sorted(a.opened_on for a in found.alerts)


def test_the_same_choice_gives_the_same_answer(recording: Recording) -> None:
    one = retune(recording, Choice(budget=2.0))
    recording.memo.clear()
    assert retune(recording, Choice(budget=2.0)) == one


# ---- choices ----------------------------------------------------------------------------------------------------------


def test_places_and_categories_choose_what_is_shown_and_change_no_threshold(recording: Recording) -> None:
    every = retune(recording, Choice(budget=4.0))
    some = retune(recording, Choice(budget=4.0, areas=("D0",), categories=("G0",)))
    assert 0 < len(some.alerts) < len(every.alerts)
    assert some.threshold == every.threshold
    assert all({"D0", "A0", "A1", "A2"} & set(a.areas) and {"G0", "C0", "C1"} & set(a.categories) for a in some.alerts)


def test_a_tendency_that_is_off_leaves_its_share_to_the_others(recording: Recording) -> None:
    all_on, counts = settle_choice(recording, Choice()), settle_choice(recording, Choice(tendencies=("surge", "cluster", "shift")))
    assert all_on.counts_budget == pytest.approx(0.5 * 0.9)
    assert counts.counts_budget == 0.5
    assert set(retune(recording, Choice(tendencies=("surge",), budget=8.0)).tendencies) == {"surge"}


@pytest.mark.parametrize(
    ("choice", "said"),
    [
        (Choice(budget=0.0), "budget: 0 false alarms a week cannot be tried; choose more than 0, up to 20"),
        (Choice(windows=(2,)), "windows: 2 days were not recorded; choose of 1, 3, 7, 14, 28"),
        (Choice(min_count=0), "min_count: 0 is not allowed"),
        (Choice(settle_after=0), "settle_after: 0 is not allowed"),
        (Choice(tendencies=("rise",)), "tendencies: there is no 'rise'; choose of surge"),
        (Choice(areas=("A9",)), "areas: there is no 'A9' in the register"),
        (Choice(categories=("C9",)), "categories: there is no 'C9' in the register"),
        (Choice(first=date(2031, 1, 1)), "first, last: nothing was recorded from 2031-01-01"),
    ],
)
def test_what_cannot_be_tried_is_said_with_what_can(recording: Recording, choice: Choice, said: str) -> None:
    with pytest.raises(LabError, match=said):
        retune(recording, choice)


def test_days_that_cannot_be_recorded_are_an_error(lab_events: list[AnyEvent]) -> None:
    place = (register(), tree(), LocalCalendar(), settings())
    with pytest.raises(LabError, match="there are no events"):
        record(*place, [], LAB_FIRST)
    with pytest.raises(LabError, match="must lie within what was recorded: after 2023-01-03"):
        record(*place, lab_events, date(2020, 1, 1))
    with pytest.raises(LabError, match="turn --from and --to round"):
        record(*place, lab_events, on(440), on(430))
    with pytest.raises(LabError, match="less than 1 years of history"):
        record(*place, lab_events, on(100), on(110))


# ---- in a file --------------------------------------------------------------------------------------------------------


def test_a_recording_that_was_kept_answers_as_the_one_that_was_made(recording: Recording, tmp_path: Path) -> None:
    file = tmp_path / "town.npz"
    save_recording(recording, file)
    again = load_recording(file, recording.scope)
    assert again.meta.key == recording.meta.key
    for choice in (Choice(), Choice(budget=4.0, windows=(1, 7))):
        assert msgspec.json.encode(retune(again, choice)) == msgspec.json.encode(retune(recording, choice))


def test_what_is_no_recording_or_of_other_registers_is_refused(recording: Recording, tmp_path: Path) -> None:
    file = tmp_path / "town.npz"
    file.write_bytes(b"no recording")
    with pytest.raises(LabError, match="this is not a recording"):
        load_recording(file, recording.scope)
    with pytest.raises(LabError, match="cannot be read"):
        load_recording(tmp_path / "none.npz", recording.scope)
    save_recording(recording, file)
    fewer = Scope(recording.scope.space, recording.scope.neighbours, recording.scope.harm)
    object.__setattr__(fewer, "space", type(fewer.space)(fewer.space.area_ancestors[:-1], fewer.space.category_ancestors))
    with pytest.raises(LabError, match="of other registers"):
        load_recording(file, fewer)


def test_a_history_of_whole_and_of_shared_events_is_kept_as_it_counts() -> None:
    # An event of two possible days counts half on each: such counts are kept as fractions.
    when = BEGIN + timedelta(days=425)
    half = msgspec.structs.replace(
        surge(425, n=1)[0], event_id="half", occurred_at=None, occurred_from=when, occurred_to=when + timedelta(days=1),
        recorded_at=when + timedelta(days=1, hours=1),
    )  # fmt: skip
    short = record(register(), tree(), LocalCalendar(), settings(), merged(history(3, days=428), [half]), on(424))
    kept = np.concatenate([f.counts[:, 0, 0].ravel() for f in short.fits])
    assert (kept % 1 != 0).any()
