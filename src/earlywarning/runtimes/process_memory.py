"""Memory that a long-lived process gives back."""

import ctypes
import threading
import time

_MMAP_THRESHOLD = -3  # M_MMAP_THRESHOLD of malloc.h
_LARGE = 4 << 20  # bytes
_EVERY = 300.0  # seconds between times at which small blocks are given back


def give_back_large_blocks() -> bool:
    """Have each block of 4 MB or more taken from the system by itself and given back when it is freed; False where that cannot be.

    The C library of Linux raises the size from which it does so to 32 MB as such blocks are freed, and keeps the smaller ones in
    an arena for each thread. The columns of some million events, put together anew in one thread after the other, then leave
    holes in all of them that nobody fills (mallopt(3)).
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # another C library
        return False
    return bool(mallopt(_MMAP_THRESHOLD, _LARGE))


def give_back_small_blocks(every: float = _EVERY) -> bool:
    """Give back again and again what is free between smaller blocks; False where that cannot be.

    Of itself the C library gives back only the end of an arena. Looking through the arenas of a service with millions of events
    takes some tenths of a second, in a thread of its own (malloc_trim(3)).
    """
    try:
        trim = ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError, TypeError):  # another C library
        return False

    def run() -> None:
        while True:
            time.sleep(every)
            trim(0)

    threading.Thread(target=run, name="memory", daemon=True).start()
    return True
