"""What the group has explained is left out of later baselines, and of nothing else."""

from datetime import UTC, date, datetime, timedelta

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from earlywarning.core.alert_record import Alert
from earlywarning.core.calendar import date_of, day_number
from earlywarning.core.casework import Answer, Casework, Verdict, answer, verdict_of
from earlywarning.core.events import AnyEvent
from earlywarning.core.known_causes import LeftOut, without_explained
from earlywarning.core.scope import Block, Watched
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
    counts = np.einsum("ab,dbk,ck->dac", e.scope.inside.astype(float), leaf, e.scope.part.astype(float))
    watched = Watched.of(e.scope, np.stack([counts[:, 0].sum(0), np.zeros(len(e.tree.codes))]), 1.0)
    return counts[:, :, watched.category].astype(np.float32), watched


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
    alert = _an_alert()
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


def _an_alert() -> Alert:
    e = engine()
    _, alerts, _ = feed(e, merged(history(3), surge(430)))
    return next(iter(alerts.values()))


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
