"""The day page: one municipality's one local day as bytes, the unit of state in every runtime.

A page holds the rows of the ledger whose event may have happened on that day (an event known only to an interval
stands on each of its days), with the codes of areas, categories and sources, so that it can be read without any
register. Encoding is canonical: the same rows give the same bytes.
"""

import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from earlywarning.core.ledger import COLUMNS, Held

FORMAT = 1
_CODED = ("area", "category", "source")


class PageError(ValueError):
    """A page that cannot be read: damaged, or written by a newer version."""


class Page(msgspec.Struct, frozen=True):
    """A decoded page. columns: those of the ledger, the coded ones as indices into `codes[name]`."""

    day: int
    codes: dict[str, list[str]]
    columns: dict[str, Any]

    def __len__(self) -> int:
        return len(self.columns["key"])


def encode_page(day: int, rows: Held, codes: Mapping[str, Sequence[str]]) -> bytes:
    """The bytes of one page. codes: for area, category and source, the code of each index in the rows."""
    tables: dict[str, list[str]] = {}
    columns: dict[str, bytes] = {}
    for name, dtype in COLUMNS.items():
        values = rows.columns[name]
        if name in _CODED:
            used, values = np.unique(values, return_inverse=True)
            words = np.array([codes[name][i] for i in used.tolist()], dtype=object)
            order = np.argsort(words)  # by code, whatever numbers an engine has given to them
            tables[name] = words[order].tolist()
            values = np.argsort(order)[values]
        columns[name] = np.ascontiguousarray(values.astype(dtype)).tobytes()
    body = msgspec.msgpack.encode([FORMAT, day, tables, columns])
    return zlib.compress(body, 1)  # level 1: the ids do not shrink, the rest does at any level


def decode_page(blob: bytes) -> Page:
    """Read one page. Raises PageError when it is damaged or of a newer format."""
    try:
        form, day, tables, raw = msgspec.msgpack.decode(
            zlib.decompress(blob), type=tuple[int, int, dict[str, list[str]], dict[str, bytes]]
        )
    except (zlib.error, msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise PageError(f"a day page is damaged ({error}); restore it from a backup") from error
    if form != FORMAT:
        raise PageError(f"the page of day {day} has format {form}; this version reads format {FORMAT}")
    try:
        columns = {name: np.frombuffer(raw[name], dtype=dtype) for name, dtype in COLUMNS.items()}
        whole = len({len(column) for column in columns.values()}) == 1
        known = all(columns[name].max(initial=0) < max(len(tables[name]), 1) for name in _CODED)
        known &= all(tables[name] or not len(columns[name]) for name in _CODED)
    except (KeyError, ValueError) as error:
        raise PageError(f"the page of day {day} is damaged ({error}); restore it from a backup") from error
    if not whole or not known:
        what = "columns of different lengths" if not whole else "a code that it does not name"
        raise PageError(f"the page of day {day} is damaged (it has {what}); restore it from a backup")
    return Page(day, tables, columns)


class Rows(msgspec.Struct, frozen=True):
    """The rows of many pages, each event once, with common code tables."""

    codes: dict[str, list[str]]
    columns: dict[str, Any]


def join_pages(pages: Iterable[Page]) -> Rows:
    """Put pages together: rows that stand on several pages once, and healed where pages were not written together.

    Pages of one event may be from different moments when a runtime writes page by page and dies in between: where two
    rows of one event claim to be standing, the higher revision does, and the lower one counts as superseded on the day
    the higher one arrived.
    """
    codes: dict[str, list[str]] = {name: [] for name in _CODED}
    number: dict[str, dict[str, int]] = {name: {} for name in _CODED}
    parts: dict[str, list[NDArray[np.generic]]] = {name: [] for name in COLUMNS}
    for page in pages:
        for name in COLUMNS:
            values = page.columns[name]
            if name in _CODED:
                known = number[name]
                for code in page.codes[name]:
                    if code not in known:
                        known[code] = len(codes[name])
                        codes[name].append(code)
                values = np.array([known[c] for c in page.codes[name]], dtype=np.int64)[values]
            parts[name].append(values)
    columns = {
        name: np.concatenate(parts[name]).astype(np.int64 if name in _CODED else dtype) if parts[name] else np.empty(0, dtype=dtype)
        for name, dtype in COLUMNS.items()
    }
    order = np.lexsort((columns["superseded"], columns["arrived"], columns["revision"], columns["key"]))
    columns = {name: column[order] for name, column in columns.items()}
    key, revision = columns["key"], columns["revision"]
    # The same row on several pages: after the sort the copy with the earliest end stands first and is kept.
    first = np.append(True, (key[1:] != key[:-1]) | (revision[1:] != revision[:-1]))[: len(key)]
    columns = {name: column[first] for name, column in columns.items()}
    key, arrived = columns["key"], columns["arrived"]
    older = np.flatnonzero(key[1:] == key[:-1])
    superseded = columns["superseded"].copy()
    superseded[older] = np.minimum(superseded[older], arrived[older + 1])
    columns["superseded"] = superseded
    return Rows(codes, columns)


def numbers_of(codes: Sequence[str], held: list[str]) -> NDArray[np.int64]:
    """Numbers of codes in `held`; one that the registers no longer know gets a number beyond them, and is not counted."""
    known = {code: number for number, code in enumerate(held)}
    for code in codes:
        if code not in known:
            known[code] = len(held)
            held.append(code)
    return np.array([known[c] for c in codes], dtype=np.int64)


def ledger_rows(
    pages: Iterable[bytes], codes: Mapping[str, list[str]], source: Callable[[str], int]
) -> dict[str, NDArray[np.generic]]:
    """The rows of pages as an engine's ledger has them. codes: the engine's areas and categories, made longer by codes that it
    does not know; source: its number of a source. Raises PageError when a page is damaged."""
    rows = join_pages(decode_page(page) for page in pages)
    columns = dict(rows.columns)
    for name in ("area", "category"):
        columns[name] = numbers_of(rows.codes[name], codes[name])[columns[name]]
    columns["source"] = np.array([source(s) for s in rows.codes["source"]], dtype=np.int64)[columns["source"]]
    return columns
