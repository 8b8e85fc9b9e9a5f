"""Passwords: hashed with argon2id, one at a time in a thread."""

from concurrent.futures import ThreadPoolExecutor

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

LEAST, MOST = 12, 200  # characters
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
