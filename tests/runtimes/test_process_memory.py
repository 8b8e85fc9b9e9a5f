"""A process gives back what it has freed, also when many threads have taken it."""

import subprocess
import sys

PROGRAM = """
import sys, threading
import numpy as np
from earlywarning.runtimes.process_memory import give_back_large_blocks

def held():
    return int(open("/proc/self/statm").read().split()[1]) * 4096 / 1e6

if sys.argv[1] == "yes":
    assert give_back_large_blocks()
before, pinned = held(), []

def work():
    blocks = []
    for _ in range(12):
        blocks.append(np.ones(1_000_000))
        pinned.append(bytearray(100_000))  # stays, and lies behind the block
    blocks.clear()

np.ones(4_000_000)  # a freed block of 32 MB: from here on smaller ones are kept by default
for _ in range(3):
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
print(held() - before)
"""


def _grown(mended: str) -> float:
    done = subprocess.run([sys.executable, "-c", PROGRAM, mended], capture_output=True, text=True, check=True)
    return float(done.stdout)


def test_large_blocks_are_given_back_when_they_are_freed() -> None:
    assert _grown("yes") < 40
    assert _grown("yes") < _grown("no") - 30


SMALL = """
import sys, time
from earlywarning.runtimes.process_memory import give_back_small_blocks

def held():
    return int(open("/proc/self/statm").read().split()[1]) * 4096 / 1e6

blocks = [bytearray(100_000) for _ in range(2_000)]
pinned = [bytearray(100_000)]  # behind them all: the end of the heap cannot be given back
full = held()
blocks.clear()
if sys.argv[1] == "yes":
    assert give_back_small_blocks(0.05)
    end = time.monotonic() + 60
    while held() > full - 150 and time.monotonic() < end:
        time.sleep(0.05)
print(held() - full)
"""


def test_small_blocks_are_given_back_also_where_others_lie_behind_them() -> None:
    grown = {
        how: float(subprocess.run([sys.executable, "-c", SMALL, how], capture_output=True, text=True, check=True).stdout)
        for how in ("yes", "no")
    }
    assert grown["yes"] < -150
    assert grown["no"] > -50
