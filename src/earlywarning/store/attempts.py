"""Counts attempts to sign in, by account and by address, for all processes that serve a store.

An attempt counts from its begin, before the password is looked at, so that many at once get no further than many in a row.
Of names and addresses only a hash is kept, for a quarter of an hour: a mistyped name may be a password.
"""

from datetime import datetime, timedelta
from hashlib import sha256

import sqlalchemy as sa

from earlywarning.store import tables as t
from earlywarning.store.store import Store

SPAN = timedelta(minutes=15)
_LOCK = 7_304_211  # of PostgreSQL's advisory locks: counting and noting are one step


class Attempts:
    """Attempts to sign in to one municipality."""

    def __init__(self, store: Store, municipality: str) -> None:
        self._store, self._own = store, municipality

    def begin(self, now: datetime, limits: dict[str, int]) -> bool:
        """Note an attempt. limits: by key, such as name or address, how many are allowed in a quarter of an hour.

        False, and nothing is noted, when one of the keys has used its up. Raises StoreError.
        """
        a = t.sign_in_attempts.c
        with self._store.aside() as c:
            if c.dialect.name == "postgresql":
                c.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK)))
            c.execute(sa.delete(t.sign_in_attempts).where(a.at <= now - SPAN))
            for key, most in limits.items():
                query = sa.select(sa.func.count()).where(a.municipality == self._own, a.key_hash == self._hash(key))
                if (c.execute(query).scalar() or 0) >= most:
                    return False
            rows = [{"municipality": self._own, "key_hash": self._hash(key), "at": now} for key in limits]
            c.execute(t.sign_in_attempts.insert(), rows)
        return True

    def forgive(self, now: datetime, key: str, others: tuple[str, ...] = ()) -> None:
        """The right password came: all attempts of `key` are forgotten, and of the others the one that began at `now`."""
        a = t.sign_in_attempts.c
        ours = sa.and_(a.municipality == self._own, a.key_hash == self._hash(key))
        this = sa.and_(a.municipality == self._own, a.key_hash.in_([self._hash(k) for k in others]), a.at == now)
        with self._store.aside() as c:
            c.execute(sa.delete(t.sign_in_attempts).where(sa.or_(ours, this)))

    def _hash(self, key: str) -> str:
        return sha256(f"{self._own}:{key}".encode()).hexdigest()
