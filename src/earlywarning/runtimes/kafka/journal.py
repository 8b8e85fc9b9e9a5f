"""One record a message: how a municipality's state is written so that a crash between any two writes loses nothing.

State on Kafka is records by key, and several records cannot be written at once. So all that a message changes goes into
one record, the journal: how far each topic was read, the clock, the pages and alerts that changed, what is still to be sent.
A page or alert moves from the journal into a record of its own later, and leaves the journal only in a later journal of the
same partition: whatever prefix of the writes has arrived, the records overlaid with the journal are the state after
exactly one message.
"""

from collections.abc import Iterator, Mapping
from typing import Literal

import msgspec

FORMAT = 1
MOST_PENDING = 64 * 1024  # bytes in the journal before pages and alerts get records of their own
JOURNAL = ""  # the journal's own key within a municipality

Where = Literal["alerts", "statistics", "dead-letters"]
Write = tuple[str, bytes | None]  # key within the municipality, value; None deletes


class JournalError(ValueError):
    """A journal that cannot be read: damaged, or written by a newer version."""


class Outgoing(msgspec.Struct, frozen=True, array_like=True):
    """A message that is sent once the journal with it is on the brokers. number rises by one. An empty value takes a key back."""

    number: int
    where: Where
    key: str
    value: bytes


class Position(msgspec.Struct, frozen=True, array_like=True):
    """How far a topic was read: the offset of the next message, and how many of its events are taken already."""

    offset: int
    events: int = 0


class Entry(msgspec.Struct, array_like=True):
    """The journal's record. opened: days on which alerts about counts were opened; unsent: changed pages to be published.

    floor: first local day whose events are kept; those of earlier days were forgotten."""

    format: int = FORMAT
    positions: dict[str, Position] = {}
    clock_day: int = 0
    clock_hour: int = 0
    number: int = 0
    opened: list[int] = []
    unsent: dict[int, int] = {}
    pending: dict[str, bytes | None] = {}
    outgoing: list[Outgoing] = []
    floor: int = 0


class Journal:
    """Gathers what a step changes, and says which records to write for it."""

    def __init__(self) -> None:
        self.entry = Entry()
        self._fresh: dict[str, bytes | None] = {}

    @classmethod
    def read(cls, records: Mapping[str, bytes]) -> "tuple[Journal, dict[str, bytes]]":
        """The journal, and the state as its last step left it. Raises JournalError."""
        journal = cls()
        state = {key: value for key, value in records.items() if key != JOURNAL}
        if JOURNAL in records:
            try:
                journal.entry = msgspec.msgpack.decode(records[JOURNAL], type=Entry)
            except msgspec.DecodeError as error:
                raise JournalError(f"a municipality's journal is damaged ({error}); restore the topic from a backup") from error
            if journal.entry.format != FORMAT:
                raise JournalError(f"a journal has format {journal.entry.format}; this version reads format {FORMAT}")
            for key, value in journal.entry.pending.items():
                if value is None:
                    state.pop(key, None)
                else:
                    state[key] = value
        return journal, state

    def keep(self, key: str, value: bytes | None) -> None:
        """Put a record into the state, or take it out."""
        self._fresh[key] = value

    def send(self, where: Where, key: str, value: bytes) -> None:
        """Have a message sent once the step is kept."""
        self.entry.outgoing.append(Outgoing(self.entry.number, where, key, value))

    def next_number(self) -> int:
        """The number of the next outgoing message."""
        self.entry.number += 1
        return self.entry.number

    def sent(self, number: int) -> None:
        """An outgoing message is on the brokers."""
        self.entry.outgoing = [o for o in self.entry.outgoing if o.number != number]

    def writes(self) -> Iterator[Write]:
        """The records of this step, in the order in which they must be written."""
        pending = self.entry.pending
        if sum(len(v) for v in pending.values() if v is not None) > MOST_PENDING:
            # As they were before this step: the journal before this one says the same of them.
            yield from pending.items()
            self.entry.pending = pending = {}
        pending.update(self._fresh)
        self._fresh = {}
        yield JOURNAL, msgspec.msgpack.encode(self.entry)
