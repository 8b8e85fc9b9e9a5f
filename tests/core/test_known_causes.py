"""What the group has explained is left out of later baselines, and of nothing else."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from itertools import permutations

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from earlywarning.core.calendar import date_of, day_number
from earlywarning.core.casework import Answer, Casework, Verdict, answer, verdict_of
from earlywarning.core.engine import Engine
from earlywarning.core.events import AnyEvent
from earlywarning.core.known_causes import LeftOut, without_explained
from earlywarning.core.scope import Block, Watched
from tests.core.routed import alert as an_alert
from tests.core.town import BEGIN, CODE, engine, feed, history, merged, register, surge, tree

FIRST = day_number(BEGIN.date())


def _verdict(day: int, last: int, given: int, *, left_out: bool = True, revision: int = 1) -> Verdict:
    return Verdict(
        alert_id=f"{CODE}-240101-a", revision=revision, given_on=date_of(FIRST + given), left_out=left_out,
        kind="incident", areas=("A0",), categories=("C0",),
        first_day=date_of(FIRST + day), last_day=date_of(FIRST + last),
    )  # fmt: skip


def _counts(seed: int, days: int = 140) -> tuple[np.ndarray, Watched]:
    """Counts of all areas and columns of the town, each area and category holding the sum of its parts."""
    e = engine()
    rng = np.random.default_rng(seed)
    leaf = rng.poisson(2.0, (days, len(e.register.codes), len(e.tree.codes))).astype(np.float64)
    fine = e.scope.inside.sum(1) == 1
    parts = e.scope.part.sum(1) == 1
    leaf[:, ~fine] = 0
    leaf[:, :, ~parts] = 0
    counts = _sums(e, leaf)
    watched = Watched.of(e.scope, np.stack([counts[:, 0].sum(0), np.zeros(len(e.tree.codes))]), 1.0)
    return counts[:, :, watched.category].astype(np.float32), watched


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.integers(20, 100), st.integers(0, 20), st.sampled_from([(0,), (1, 2), (3,)]))
def test_sums_stay_sums_and_other_days_and_places_stay_as_they_were(
    seed: int, begin: int, length: int, which: tuple[int, ...]
) -> None:
    e = engine()
    counts, watched = _counts(seed)
    areas = tuple(e.register.codes.index(f"A{i}") for i in which)
    category = e.tree.codes.index("C0")
    out = without_explained(counts, 0, [(Block(0, areas, (category,)), begin, begin + length)], e.scope, watched)
    days = np.arange(len(counts))
    during = (days >= begin) & (days <= begin + length)
    assert (out[~during] == counts[~during]).all()
    assert (out <= counts + 1e-4).all()
    column = watched.category.tolist().index(category)
    other = [k for k, c in enumerate(watched.category) if not (e.scope.part[c, category] or c == category)]
    assert (out[:, :, other] == counts[:, :, other]).all()
    fine = np.flatnonzero(e.scope.inside.sum(1) == 1)
    np.testing.assert_allclose(out[:, 0, column], out[:, fine, column].sum(1), atol=1e-3)
    parent = watched.category.tolist().index(e.tree.codes.index("G0"))
    children = [watched.category.tolist().index(e.tree.codes.index(c)) for c in ("C0", "C1")]
    np.testing.assert_allclose(out[:, :, parent], out[:, :, children].sum(2), atol=1e-3)


def test_what_is_above_the_usual_is_taken_away_and_what_is_not_stays() -> None:
    e = engine()
    counts, watched = _counts(1)
    counts[:] = 0
    a, k = e.register.codes.index("A0"), watched.category.tolist().index(e.tree.codes.index("C0"))
    counts[:, a, k] = 2
    counts[70, a, k] = 12
    counts[71, a, k] = 1
    out = without_explained(counts, 0, [(Block(0, (a,), (e.tree.codes.index("C0"),)), 70, 71)], e.scope, watched)
    assert out[70, a, k] == pytest.approx(2)
    assert out[71, a, k] == 1


def _town(days: int) -> tuple[Engine, np.ndarray, Watched]:
    """Two of everything of each kind of source in each finest area on weekdays, three on Saturdays, and the sums of these."""
    e = engine()
    leaf = np.zeros((days, len(e.register.codes), len(e.tree.codes)))
    fine, parts = np.flatnonzero(e.scope.inside.sum(1) == 1), np.flatnonzero(e.scope.part.sum(1) == 1)
    leaf[np.ix_(np.arange(days), fine, parts)] = np.where(np.arange(days) % 7 == 5, 3, 2)[:, None, None]
    counts = _sums(e, leaf)
    watched = Watched.of(e.scope, np.stack([counts[:, 0].sum(0)] * 2), 1.0)
    return e, leaf, watched


def _sums(e: Engine, leaf: np.ndarray) -> np.ndarray:
    return np.asarray(np.einsum("ab,dbk,ck->dac", e.scope.inside.astype(float), leaf, e.scope.part.astype(float)))


def _numbers(e: Engine, kind: int, areas: Sequence[str], categories: Sequence[str]) -> Block:
    return Block(kind, tuple(map(e.register.codes.index, areas)), tuple(map(e.tree.codes.index, categories)))


BLOCKS = [(["A1"], ["C0"]), (["A0", "A1"], ["C2", "C3"]), (["D0"], ["C1"]), (["A4"], ["G0"]), (["D0"], ["G1"]), ([CODE], ["G0"])]


@pytest.mark.parametrize("kind", [0, 1])
@pytest.mark.parametrize(("areas", "categories"), BLOCKS, ids="+".join)
def test_a_rise_in_a_block_is_taken_back_in_it_in_its_parts_and_in_all_above_and_nowhere_else(
    kind: int, areas: list[str], categories: list[str]
) -> None:
    e, leaf, watched = _town(140)
    block = _numbers(e, kind, areas, categories)
    risen = leaf.copy()
    rise = np.einsum("ab,ck->bk", e.scope.inside[list(block.areas)], e.scope.part[list(block.categories)])
    risen[70:75] *= np.where(rise, 4, 1)
    of = [_sums(e, risen if k == kind else leaf)[:, :, c] for k, c in zip(watched.kind, watched.category, strict=True)]
    usual = _sums(e, leaf)[:, :, watched.category]
    counts = np.stack(of, axis=2).astype(np.float32)
    out = without_explained(counts, 0, [(block, 70, 74)], e.scope, watched)
    np.testing.assert_allclose(out, usual, rtol=1e-5)
    # Explained once more, and with days on which nothing was above the usual, nothing more is taken away.
    again = without_explained(out, 0, [(block, 60, 80), (block, 70, 74)], e.scope, watched)
    np.testing.assert_allclose(again, usual, rtol=1e-5)


@pytest.mark.parametrize(
    ("days", "first", "last"),
    [(400, 200, 200), (400, 200, 206), (400, 200, 207), (400, 150, 230), (700, 100, 560), (100, 3, 30), (100, 80, 99), (30, 7, 26)],
)
@pytest.mark.parametrize("event", [1.0, 0.004])  # and where events are spread over so many days that less than one is on each
def test_what_is_usual_is_the_mean_of_the_eight_nearest_same_weekdays_on_either_side_however_long_it_lasted(
    days: int, first: int, last: int, event: float
) -> None:
    e, _, watched = _town(1)
    a, k = e.register.codes.index("A0"), watched.category.tolist().index(e.tree.codes.index("C0"))
    counts = np.zeros((days, len(e.register.codes), len(watched.category)), dtype=np.float32)
    counts[:, a, k] = np.random.default_rng(days).poisson(5, days) * event
    counts[first : last + 1, a, k] = 100 * event
    out = without_explained(counts, 0, [(_numbers(e, 0, ["A0"], ["C0"]), first, last)], e.scope, watched)
    for day in range(first, last + 1):
        before = [d for d in range(day % 7, days, 7) if d < first][-8:]
        after = [d for d in range(day % 7, days, 7) if d > last][:8]
        assert out[day, a, k] == pytest.approx(counts[before + after, a, k].mean(), rel=1e-5)


def test_where_nothing_tells_what_is_usual_the_counts_stay() -> None:
    e, leaf, watched = _town(21)
    counts = _sums(e, leaf)[:, :, watched.category].astype(np.float32)
    out = without_explained(counts, 0, [(_numbers(e, 0, ["A0"], ["C0"]), -3, 40)], e.scope, watched)
    np.testing.assert_array_equal(out, counts)


def test_days_are_counted_from_the_first_and_what_lies_outside_changes_nothing() -> None:
    e, leaf, watched = _town(140)
    leaf[[0, 1, 139]] *= 5
    counts = _sums(e, leaf)[:, :, watched.category].astype(np.float32)
    block = _numbers(e, 0, ["A0"], ["C0"])
    for first, last in ((900, 999), (1140, 1200)):
        assert without_explained(counts, 1000, [(block, first, last)], e.scope, watched) is counts
    a, k = block.areas[0], watched.category.tolist().index(block.categories[0])
    before = without_explained(counts, 1000, [(block, 900, 1000)], e.scope, watched)
    assert (before[:3, a, k].tolist(), before[139, a, k]) == ([2, 10, 2], 10)
    after = without_explained(counts, 1000, [(block, 1139, 1500)], e.scope, watched)
    assert (after[:3, a, k].tolist(), after[139, a, k]) == ([10, 10, 2], 2)
    assert counts[0, a, k] == 10, "who gave the counts keeps them as they were"


def test_a_category_that_is_watched_no_longer_is_passed_over_and_the_next_block_is_not() -> None:
    e, leaf, watched = _town(140)
    leaf[70] *= 5
    counts = _sums(e, leaf)[:, :, watched.category].astype(np.float32)
    left = np.flatnonzero(watched.category != e.tree.codes.index("C3"))
    fewer = watched._replace(kind=watched.kind[left], category=watched.category[left])
    blocks = [(_numbers(e, 0, ["A0"], [code]), 70, 70) for code in ("C3", "C0")]
    out = without_explained(counts[:, :, left], 0, blocks, e.scope, fewer)
    assert out[70, blocks[1][0].areas[0], fewer.category.tolist().index(e.tree.codes.index("C0"))] == 2


def test_blocks_come_alert_by_alert_with_the_numbers_of_the_registers() -> None:
    left = LeftOut((register().codes, tree().codes))
    one = _verdict(10, 12, 20)
    both = msgspec.structs.replace(one, alert_id="b", kind="report", areas=("A2", "D1"), categories=("C2", "C3"))
    gone = [msgspec.structs.replace(one, alert_id=f"gone-{i}", **{f: ("OLD",)}) for i, f in enumerate(("areas", "categories"))]
    left.hear([both, *gone, msgspec.structs.replace(one, alert_id="a")], None)
    areas, categories = register().codes.index, tree().codes.index
    assert left.blocks(FIRST + 21) == [
        (Block(0, (areas("A0"),), (categories("C0"),)), FIRST + 10, FIRST + 12),
        (Block(1, (areas("A2"), areas("D1")), (categories("C2"), categories("C3"))), FIRST + 10, FIRST + 12),
    ]


@pytest.mark.parametrize("days", [(20, 20, 20), (18, 19, 20), (20, 19, 18)])  # whatever day a clock that is wrong gave them
def test_of_one_alert_the_higher_revision_counts_whatever_came_first_and_each_is_heard_once(days: tuple[int, ...]) -> None:
    said = [_verdict(10, 12, given, revision=r, left_out=r != 2) for r, given in enumerate(days, 1)]
    for order in permutations(said):
        left = LeftOut((register().codes, tree().codes))
        assert left.hear(order[:2], None) == list(order[:2])
        assert left.hear(order, None) == [order[2]]
        assert left.verdicts == list(order)
        assert len(left.blocks(FIRST + 21)) == 1
        taken_back = LeftOut((register().codes, tree().codes))
        taken_back.hear([v for v in order if v.revision < 3], None)
        assert taken_back.blocks(FIRST + 21) == []


def test_a_municipality_of_one_area_and_one_category_has_blocks_too() -> None:
    left = LeftOut((["A0"], ["C0"]))
    left.hear([_verdict(10, 12, 20)], None)
    assert left.blocks(FIRST + 21) == [(Block(0, (0,), (0,)), FIRST + 10, FIRST + 12)]


def test_a_verdict_counts_from_the_day_on_which_it_was_heard_and_never_before_it_was_given() -> None:
    left = LeftOut((register().codes, tree().codes))
    (kept,) = left.hear([_verdict(10, 12, 20)], FIRST + 15)
    assert kept == _verdict(10, 12, 20)


def test_a_fit_heeds_what_was_said_before_its_day_and_the_last_word_counts() -> None:
    left = LeftOut((register().codes, tree().codes))
    assert left.hear([_verdict(10, 12, given=20)], None)
    assert not left.hear([_verdict(10, 12, given=20)], None)
    assert left.blocks(FIRST + 20) == []
    assert len(left.blocks(FIRST + 21)) == 1
    late = left.hear([_verdict(10, 12, given=5, left_out=False, revision=2)], FIRST + 30)
    assert late[0].given_on == date_of(FIRST + 30)
    assert len(left.blocks(FIRST + 30)) == 1
    assert left.blocks(FIRST + 31) == []


def test_an_answer_speaks_to_the_baselines_only_when_it_explains_or_takes_that_back() -> None:
    alert = an_alert()
    new = Casework(alert_id=alert.alert_id, municipality=CODE, opened_at=alert.opened_at)
    at = datetime(2024, 5, 1, 9, tzinfo=UTC)
    said = {"answer_id": "1", "alert_id": alert.alert_id, "actor": "samordnaren", "at": at}
    known = answer(new, Answer(action="assess", assessment="known-cause", reason="local-event", **said))  # type: ignore[arg-type]
    spoken = verdict_of(alert, new, known, at.date())
    assert spoken is not None
    assert (spoken.left_out, spoken.areas, spoken.first_day) == (True, alert.areas, alert.first_day)
    confirmed = answer(known, Answer(action="assess", assessment="confirmed", reason="new-problem", **said))  # type: ignore[arg-type]
    back = verdict_of(alert, known, confirmed, at.date())
    assert back is not None
    assert not back.left_out
    assert verdict_of(alert, new, confirmed, at.date()) is None


def test_the_next_baseline_expects_less_where_a_rise_was_explained_and_a_rebuilt_engine_expects_the_same() -> None:
    rises = [surge(d, 9) for d in range(380, 390)]
    events = merged(history(3, days=540), *rises)
    split = next(i for i, e in enumerate(events) if e.recorded_at > BEGIN + timedelta(days=425))

    def after(verdicts: list[Verdict], told_of: list[AnyEvent] = events) -> float:
        e = engine()
        pages: dict[int, bytes] = {}
        for part in (told_of[:split], told_of[split:]):
            _, _, new = feed(e, part)
            pages.update(new)
            e.answer(verdicts)
        restored = engine()
        assert e.today is not None
        restored.restore([pages[d] for d in sorted(pages)], [], {}, e.today, e.clock_hour, verdicts=verdicts)
        assert e.watch.fitted is not None
        assert restored.watch.fitted is not None
        np.testing.assert_array_equal(e.watch.fitted.level, restored.watch.fitted.level)
        a, k = e.register.codes.index("A0"), e.watch.watched.category.tolist().index(e.tree.codes.index("C0"))  # type: ignore[union-attr]
        # A day's expectation is level times profile, which share what is common between them: the municipality's level says how.
        return float(e.watch.fitted.level[a, k] / e.watch.fitted.level[0, k])

    calm, told, untold = after([], history(3, days=540)), after([_verdict(380, 389, given=425)]), after([])
    assert untold > 1.08 * calm  # outbreaks are weighted down anyway
    assert told == pytest.approx(calm, rel=0.03)
    withdrawn = after([_verdict(380, 389, given=425), _verdict(380, 389, given=426, left_out=False, revision=2)])
    assert withdrawn == untold


def test_verdicts_survive_the_wire() -> None:
    verdict = _verdict(1, 2, 3)
    assert msgspec.json.decode(msgspec.json.encode(verdict), type=Verdict) == verdict
    assert isinstance(verdict.given_on, date)
