"""Passwords: hashed with argon2id, one at a time in a thread, and wrong ones counted."""

import time
from collections import defaultdict, deque
from concurrent.futures import ThreadPoolExecutor
from threading import Lock

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

LEAST, MOST = 12, 200  # characters
_SPAN = 900.0  # seconds
_MOST_KNOWN = 10_000  # names and addresses that are remembered
_hasher = PasswordHasher()
_NOBODY = _hasher.hash("nobody has this password")
# One at a time: a hash takes 64 MB and a tenth of a second by design, and must not be a way to stop the service.
hashing = ThreadPoolExecutor(1, thread_name_prefix="passwords")


def hashed(password: str) -> str:
    """The hash to keep."""
    return _hasher.hash(password)


def fits(kept: str | None, password: str) -> bool:
    """Whether a password is the right one. As slow for an account that does not exist: nobody learns which do."""
    try:
        return _hasher.verify(kept or _NOBODY, password) and kept is not None
    except (VerificationError, InvalidHashError):
        return False


class Attempts:
    """Wrong passwords of the last quarter of an hour, by account and by address."""

    def __init__(self) -> None:
        self._times: defaultdict[str, deque[float]] = defaultdict(deque)
        self._lock = Lock()

    def too_many(self, key: str, most: int) -> bool:
        """Whether further ones are refused."""
        with self._lock:
            return len(self._fresh(key)) >= most

    def note(self, *keys: str) -> None:
        """Another wrong one."""
        with self._lock:
            if len(self._times) > _MOST_KNOWN:
                self._times.clear()
            for key in keys:
                self._fresh(key).append(time.monotonic())

    def forget(self, key: str) -> None:
        """The right one came."""
        with self._lock:
            self._times.pop(key, None)

    def _fresh(self, key: str) -> deque[float]:
        times = self._times[key]
        while times and times[0] < time.monotonic() - _SPAN:
            times.popleft()
        return times
