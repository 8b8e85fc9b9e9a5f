"""Notes by which method of the program (`core/method.py`) alerts were decided, and since which of the engine's days."""

from collections.abc import Sequence
from datetime import date

import msgspec

from earlywarning import __version__
from earlywarning.core.calendar import date_of
from earlywarning.core.method import METHOD
from earlywarning.store.errors import StoreError
from earlywarning.store.store import Store


class InForce(msgspec.Struct, frozen=True):
    """A method. since: the engine's day on which it came; the hours before were judged by the one before, or by one that nobody
    noted. None: from the beginning. program: the version that brought it."""

    number: int
    since: date | None
    program: str


_methods = msgspec.json.Decoder(tuple[InForce, ...])


def methods_of(store: Store, municipality: str) -> Sequence[InForce]:
    """The methods by which a municipality's alerts were decided, the oldest first; none where none is noted. Raises StoreError."""
    body = store.source_state(_name(municipality))
    try:
        return () if body is None else _methods.decode(body)
    except msgspec.DecodeError as error:
        raise StoreError(f"what is noted as {_name(municipality)} in source_state cannot be read ({error})") from error


def method_to_note(store: Store, municipality: str, number: int, day: int, program: str) -> dict[str, str]:
    """What to keep in `source_state` where the noted method is not `number`, else nothing. day: where the engine stands.

    In a store that holds no events of the municipality yet it is in force from the beginning. To be asked before anything of the
    engine is kept. Raises StoreError.
    """
    noted = methods_of(store, municipality)
    if noted and noted[-1].number == number:
        return {}
    empty = store.engine_state(municipality) is None
    said = (InForce(number, None, program),) if empty else (*noted, InForce(number, date_of(day), program))
    return {_name(municipality): msgspec.json.encode(said).decode()}


def note_method(store: Store, municipality: str) -> None:
    """Note that an engine of this program goes on from where the store stands. Raises StoreError."""
    day, _ = store.engine_state(municipality) or (0, 0)
    if noted := method_to_note(store, municipality, METHOD, day, __version__):
        store.commit(None, source_state=noted)


def _name(municipality: str) -> str:
    return f"method:{municipality}"
