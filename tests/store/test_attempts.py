"""Attempts to sign in, counted together by all who share a store, on both databases."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa

from earlywarning.store import Store
from earlywarning.store.attempts import Attempts

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
LIMITS = {"name:eva": 3, "address:10.0.0.1": 6}


def test_two_processes_count_together_and_a_quarter_of_an_hour_later_begin_anew(store: Store, url: str) -> None:
    with Store.open(url) as beside:
        one, other = Attempts(store, "0380"), Attempts(beside, "0380")
        assert [a.begin(NOW, LIMITS) for a in (one, other, one, other, one)] == [True, True, True, False, False]
        assert Attempts(beside, "0180").begin(NOW, LIMITS)  # each municipality for itself
        assert other.begin(NOW + timedelta(minutes=15), LIMITS)


def test_an_address_has_its_own_limit_over_many_names(store: Store) -> None:
    attempts = Attempts(store, "0380")
    begun = [attempts.begin(NOW, {f"name:{n}": 3, "address:10.0.0.1": 6}) for n in range(8)]
    assert begun == [True] * 6 + [False] * 2
    assert attempts.begin(NOW, {"name:eva": 3, "address:10.0.0.2": 6})


def test_the_right_password_forgives_the_name_and_its_own_attempt_of_the_address(store: Store) -> None:
    attempts = Attempts(store, "0380")
    moments = [NOW + timedelta(seconds=n) for n in range(9)]
    for _ in range(3):
        for at in moments[:3]:
            assert attempts.begin(at, {"name:eva": 3})
        attempts.forgive(moments[2], "name:eva")
    for n, at in enumerate(moments[:5]):
        assert attempts.begin(at, {f"name:{n}": 3, "address:10.0.0.1": 6})
    attempts.forgive(moments[4], "name:4", ("address:10.0.0.1",))
    assert [attempts.begin(at, {"address:10.0.0.1": 6}) for at in moments[5:8]] == [True, True, False]


def test_many_at_once_get_no_further_than_many_in_a_row(store: Store) -> None:
    attempts = Attempts(store, "0380")
    with ThreadPoolExecutor(8) as pool:
        begun = list(pool.map(lambda _: attempts.begin(NOW, {"name:eva": 5}), range(24)))
    assert sum(begun) == 5


def test_neither_names_nor_addresses_are_kept_in_clear(store: Store) -> None:
    Attempts(store, "0380").begin(NOW, LIMITS)
    with store.reading() as c:
        kept = " ".join(map(str, c.execute(sa.text("select * from sign_in_attempts"))))
    assert "eva" not in kept
    assert "10.0.0.1" not in kept
