"""Whatever prefix of the writes has arrived, the state is that after exactly one step."""

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from earlywarning.runtimes.kafka import journal as module
from earlywarning.runtimes.kafka.journal import JOURNAL, Journal, JournalError, Position

KEYS = st.sampled_from(["day/1", "day/2", "day/3", "alert/a", "alert/b"])
STEPS = st.lists(
    st.dictionaries(KEYS, st.one_of(st.none(), st.binary(min_size=1, max_size=40)), max_size=4), min_size=1, max_size=12
)


def _applied(held: dict[str, bytes], key: str, value: bytes | None) -> dict[str, bytes]:
    return {k: v for k, v in {**held, key: value}.items() if v is not None}


@settings(max_examples=200, deadline=None)
@given(STEPS, st.integers(0, 120), st.data())
def test_after_any_prefix_of_writes_the_state_is_that_of_one_step(
    steps: list[dict[str, bytes | None]], most: int, data: st.DataObject
) -> None:
    small, module.MOST_PENDING = module.MOST_PENDING, most
    try:
        journal, model = Journal(), [dict[str, bytes]()]
        log: list[tuple[str, bytes | None, int]] = []
        for number, step in enumerate(steps, start=1):
            state = model[-1]
            for key, value in step.items():
                journal.keep(key, value)
                state = _applied(state, key, value)
            model.append(state)
            journal.entry.positions["incidents"] = Position(number)
            log += [(key, value, number) for key, value in journal.writes()]
            if data.draw(st.booleans()):  # a restart between two steps changes nothing
                held: dict[str, bytes] = {}
                for key, value, _ in log:
                    held = _applied(held, key, value)
                journal, rebuilt = Journal.read(held)
                assert rebuilt == state
        for cut in range(len(log) + 1):
            held = {}
            for key, value, _ in log[:cut]:
                held = _applied(held, key, value)
            read, state = Journal.read(held)
            done = read.entry.positions.get("incidents", Position(0)).offset
            assert state == model[done]
            assert done == max((number for key, _, number in log[:cut] if key == JOURNAL), default=0)
    finally:
        module.MOST_PENDING = small


def test_what_is_not_sent_yet_is_in_the_journal_until_it_is() -> None:
    journal = Journal()
    journal.send("alerts", "a", b"first" if journal.next_number() else b"")
    journal.send("alerts", "b", b"second" if journal.next_number() else b"")
    held = dict(journal.writes())
    assert [o.value for o in Journal.read({JOURNAL: held[JOURNAL] or b""})[0].entry.outgoing] == [b"first", b"second"]
    journal.sent(1)
    held = dict(journal.writes())
    again, _ = Journal.read({JOURNAL: held[JOURNAL] or b""})
    assert [(o.number, o.value) for o in again.entry.outgoing] == [(2, b"second")]
    assert again.next_number() == 3


def test_a_damaged_or_newer_journal_is_refused_in_words() -> None:
    with pytest.raises(JournalError, match="damaged"):
        Journal.read({JOURNAL: b"\x00"})
    newer = msgspec.msgpack.encode(module.Entry(format=99))
    with pytest.raises(JournalError, match="format 99"):
        Journal.read({JOURNAL: newer})
