"""Rows of a CSV text one by one, in bounded memory: a quote that is never closed costs one row, not those behind it."""

import csv
from collections.abc import Callable, Iterator
from typing import IO, Literal, NamedTuple

LONGEST_ROW = 128 << 10  # characters
# What may be read again of one file, in characters with so many more for each line: some seconds' work. It bounds the
# time that a file full of open quotes can take; behind it an open quote costs the lines that it swallows.
_READ_AGAIN = 64 << 20
_LINE_COST = 64


class BadRow(NamedTuple):
    """A row that cannot be read: the rule it breaks, and the problem in words without any of its text."""

    rule: Literal["csv", "columns"]
    problem: str


def read_rows(text: IO[str], delimiter: str) -> Iterator[list[str] | BadRow]:
    """The header, then every row that follows; a blank row is an empty list, so that rows can be counted.

    text: opened with newline="". A row may span lines within quotes as long as it has as many columns as the header;
    otherwise only its first line is bad, and the lines behind it are read again as rows of their own.
    """
    lines = _Lines(text.readline)
    # Strict, so that a quote opened in one row and "closed" by the opening one of a later row does not swallow the rows
    # between; a stray quote within one line is forgiven below.
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    width = 0
    while True:
        lines.begin_row()
        try:
            row = next(reader)
        except StopIteration:
            return
        except _RowTooLong as error:
            yield BadRow("csv", f"not readable as CSV: {error}{lines.read_again()}")
            continue
        except csv.Error as error:
            if (line := lines.only_line()) is None:
                yield BadRow("csv", f"not readable as CSV: {error}{lines.read_again()}")
                continue
            try:
                row = next(csv.reader([line], delimiter=delimiter))
            except csv.Error:
                yield BadRow("csv", f"not readable as CSV: {error}")
                continue
        width = width or len(row)
        if not row or len(row) == width:
            yield row
        else:
            problem = f"{len(row)} columns where the header has {width}; check delimiter and quotation marks"
            yield BadRow("columns", problem + lines.read_again())


class _RowTooLong(csv.Error):
    """A row that finds no end where it may."""


class _Lines:
    """Lines as csv.reader wants them; remembers those of the row that is being read."""

    def __init__(self, readline: Callable[[int], str]) -> None:
        self._readline = readline
        self._row: list[str] = []
        self._size = 0
        self._budget = _READ_AGAIN
        # The mark must go before the CSV is read: behind it the first name's quotation marks would be plain letters.
        first = self._fresh().removeprefix("\ufeff")
        self._waiting = [first] if first else []

    def begin_row(self) -> None:
        self._row = []
        self._size = 0

    def only_line(self) -> str | None:
        """The row's line, when it has but one."""
        return self._row[0] if len(self._row) == 1 else None

    def read_again(self) -> str:
        """Let the lines behind the row's first one be read once more; says so in words when they are lost instead."""
        behind = len(self._row) - 1
        cost = self._size + _LINE_COST * behind
        if behind < 1:
            return ""
        if cost > self._budget:
            return f" ({behind} lines behind it are lost with it: too many open quotation marks)"
        self._budget -= cost
        self._waiting += reversed(self._row[1:])
        return ""

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = self._waiting.pop() if self._waiting else self._fresh()
        if not line:
            if self._row:
                raise _RowTooLong("a quotation mark is opened and never closed")
            raise StopIteration
        self._row.append(line)
        self._size += len(line)
        if self._size > LONGEST_ROW:
            what = "a quotation mark is not closed" if len(self._row) > 1 else "the row is too long"
            raise _RowTooLong(f"{what}; at most {LONGEST_ROW} characters are taken")
        return line

    def _fresh(self) -> str:
        line = self._readline(LONGEST_ROW + 1)
        if len(line) > LONGEST_ROW:
            end = line
            while end and end[-1] not in "\r\n":
                end = self._readline(LONGEST_ROW)
        return line
