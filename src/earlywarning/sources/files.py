"""Events from files: CSV and JSON Lines, plain or gzip, in batches, one bad row never dropping its neighbours."""

import gzip
import io
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from operator import itemgetter
from pathlib import Path

import msgspec

from earlywarning.core.events import (
    FIELDS,
    LONGEST_EVENT,
    Decoded,
    Rejection,
    decode_array,
    decode_lines,
    decode_mappings,
)
from earlywarning.core.screening import mask
from earlywarning.sources.csv_rows import BadRow, read_rows
from earlywarning.sources.mapping import ColumnMapping, RowMapper, id_prefix, identity
from earlywarning.sources.supply import Supply

BATCH = 20_000  # rows of a CSV batch
CHUNK = 8 << 20  # bytes of a JSON Lines batch
LONGEST_LINE = 1 << 20
MOST_LINES = 1 << 16  # of one batch; a chunk of events has fewer, one of nonsense may have millions
_READ = 256 << 10
_LARGEST_ARRAY = 256 << 20
_BOM = b"\xef\xbb\xbf"
_DAMAGE = (EOFError, zlib.error, OSError, UnicodeError)

Texts = Sequence[str]


class FileProblem(ValueError):
    """A file that cannot be read on; names it, what is wrong, and the way out."""


class _Plain:
    """What a CSV without a mapping is read with: columns are event fields by name."""

    def __init__(self, columns: dict[str, str]) -> None:
        self.columns = columns
        self.constants: dict[str, str] = {}
        self.values: dict[str, dict[str, str]] = {}
        self.skip: dict[str, list[str]] = {}
        self.timestamp_format = self.timezone = ""
        self.delimiter, self.encoding = ",", "utf-8"


class EventFile:
    """An iterable of batches from one file. size, position: bytes on disk, read so far; skipped: rows left out.

    Rows without an id get "<file name>-<row number>" (see mapping.id_prefix). Promised is only this: the same file under
    the same name gives the same ids again. Files with other content need other names; an export made anew, with rows put
    in or taken out, gives its events other ids: who exports the same events again needs a column with ids of their own.

    Raises FileProblem when the file cannot be opened or is damaged; what stood before the damage has been delivered by
    then. CSV positions are row numbers, the header being row 1; those of JSON Lines count from the Supply's `first`.
    """

    def __init__(self, path: Path, *, mapping: ColumnMapping | None = None, mapping_name: str = "", default_timezone: str) -> None:
        self.path, self.mapping, self.mapping_name = path, mapping, mapping_name
        self.default_timezone = default_timezone
        self.skipped = 0
        try:
            self.size = path.stat().st_size
            self._raw = path.open("rb")
        except OSError as error:
            raise FileProblem(f"{path}: cannot be opened ({error.strerror})") from error

    @property
    def position(self) -> int:
        """Bytes of the file on disk that have been read."""
        return self.size if self._raw.closed else self._raw.tell()

    def __iter__(self) -> Iterator[Supply]:
        with self._raw:
            # What the file is called does not tell whether it is zipped; its first bytes do.
            zipped = self._raw.peek(2)[:2] == b"\x1f\x8b"
            stream = gzip.GzipFile(fileobj=self._raw) if zipped else self._raw
            name = self.path.name.lower().removesuffix(".gz")
            try:
                if name.endswith((".csv", ".tsv", ".txt")):
                    yield from self._csv(stream)
                elif name.endswith(".json"):
                    yield from self._json(stream)
                else:
                    yield from self._lines(stream)
            except (EOFError, zlib.error, gzip.BadGzipFile) as error:
                raise FileProblem(f"{self.path}: the gzip data is damaged or cut off ({error}); fetch the file again") from error
            except UnicodeError as error:
                raise FileProblem(
                    f"{self.path}: not readable as {self._encoding} from some place on; "
                    f"save the file as UTF-8, or name its encoding in the mapping"
                ) from error
            except OSError as error:
                raise FileProblem(f"{self.path}: cannot be read on ({error.strerror or error})") from error

    # ---- JSON -----------------------------------------------------------------------------------------------------

    def _lines(self, stream: gzip.GzipFile | io.BufferedReader) -> Iterator[Supply]:
        rest, line, damage = b"", 1, None
        too_long = False
        while damage is None:
            chunk, damage = _read_whole(stream, CHUNK)
            if not chunk:
                break
            if too_long:
                end = chunk.find(b"\n")
                if end < 0:
                    continue
                chunk, too_long = chunk[end + 1 :], False
            data = rest + chunk
            cut = data.rfind(b"\n") + 1
            if cut:
                yield from self._whole_lines(data[:cut], line)
                line += data.count(b"\n", 0, cut)
            rest = data[cut:]
            if len(rest) > LONGEST_LINE:
                problem = f"the line is longer than {LONGEST_LINE} bytes; at most {LONGEST_EVENT} are taken"
                yield Supply(Decoded([], [], [Rejection(0, "", "size", problem)]), self.path.name, line)
                rest, too_long = b"", True
                line += 1
        if rest.strip():
            last = self._decoded(rest, line)
            # A line that the damage has cut off is part of the damage, not a bad event.
            if damage is None or not last.decoded.rejections:
                yield last
        if damage is not None:
            raise damage

    def _whole_lines(self, data: bytes, line: int) -> Iterator[Supply]:
        if data.count(b"\n") <= MOST_LINES:
            yield self._decoded(data, line)
            return
        cut = (data.rfind(b"\n", 0, len(data) // 2) + 1) or (data.find(b"\n") + 1)
        yield from self._whole_lines(data[:cut], line)
        yield from self._whole_lines(data[cut:], line + data.count(b"\n", 0, cut))

    def _decoded(self, data: bytes, line: int) -> Supply:
        return Supply(decode_lines(data.removeprefix(_BOM) if line == 1 else data), self.path.name, line)

    def _json(self, stream: gzip.GzipFile | io.BufferedReader) -> Iterator[Supply]:
        data = stream.read(_LARGEST_ARRAY + 1)
        if len(data) > _LARGEST_ARRAY:
            raise FileProblem(f"{self.path}: a JSON array of more than {_LARGEST_ARRAY >> 20} MB; send it as JSON Lines")
        try:
            yield Supply(decode_array(data.removeprefix(_BOM)), self.path.name)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise FileProblem(f"{self.path}: not JSON ({error}); JSON Lines files end in .jsonl") from error

    # ---- CSV ------------------------------------------------------------------------------------------------------

    @property
    def _encoding(self) -> str:
        return self.mapping.encoding if self.mapping else "utf-8"

    def _csv(self, stream: gzip.GzipFile | io.BufferedReader) -> Iterator[Supply]:
        # A byte that the encoding does not know becomes a lone surrogate, which marks its row and no other.
        text = io.TextIOWrapper(stream, encoding=self._encoding, errors="surrogateescape", newline="")
        rows = read_rows(text, self.mapping.delimiter if self.mapping else ",")
        header = self._header(next(rows, []))
        mapper = RowMapper(self._checked(header), self.default_timezone)
        # Only mapped columns are read on: the others may hold what must not be kept.
        pick = _picker([header.index(column) for column in mapper.columns])
        own_id = "event_id" in mapper.mapping.columns or "event_id" in mapper.mapping.constants
        prefix = "" if own_id else id_prefix(self.path.name)
        skipping = bool(mapper.mapping.skip)
        numbers: list[int] = []
        batch: list[Texts] = []
        bad: list[Rejection] = []
        damage: Exception | None = None
        number = 1
        while damage is None:
            try:
                row = next(rows, None)
            except _DAMAGE as error:
                damage = error
                break
            if row is None:
                break
            number += 1
            if isinstance(row, BadRow):
                bad.append(Rejection(number, "", row.rule, row.problem))
            elif row:
                texts = pick(row)
                if skipping and mapper.skipped(texts):
                    self.skipped += 1
                elif problem := _unreadable(texts, self._encoding):
                    bad.append(Rejection(number, "", "encoding", problem))
                else:
                    numbers.append(number)
                    batch.append(texts)
            if len(batch) + len(bad) >= BATCH:
                yield self._supply(mapper, prefix, numbers, batch, bad)
                numbers, batch, bad = [], [], []
        if batch or bad:
            yield self._supply(mapper, prefix, numbers, batch, bad)
        if damage is not None:
            raise damage

    def _header(self, row: list[str] | BadRow) -> list[str]:
        if isinstance(row, BadRow):
            raise FileProblem(f"{self.path}: the header is {row.problem}; the first row must name the columns")
        if not row:
            raise FileProblem(f"{self.path}: there is no header; the first row must name the columns")
        if problem := _unreadable(row, self._encoding):
            raise FileProblem(f"{self.path}: the header is {problem}")
        return [name.strip() for name in row]

    def _checked(self, header: list[str]) -> ColumnMapping:
        if self.mapping is None:
            unknown = [name for name in header if name not in FIELDS]
            if unknown:
                # Where a header is missing, its place is taken by an event, of which nothing may be shown.
                raise FileProblem(
                    f"{self.path}: {mask(unknown[0])[:40]!r} is not an event field; name a mapping (--mapping), "
                    f"or use the fields {', '.join(FIELDS)}"
                )
            mapping: ColumnMapping = _Plain(identity(header))
        else:
            mapping = self.mapping
        for column in (*mapping.columns.values(), *mapping.skip):
            if column not in header:
                raise FileProblem(
                    f"{self.path}: column {column!r} of mapping {self.mapping_name!r} "
                    f"is not in the header ({mask(', '.join(header))[:200]}); mend the mapping, or its delimiter"
                )
            if header.count(column) > 1:
                raise FileProblem(f"{self.path}: column {column!r} stands twice in the header; its name must be unique")
        return mapping

    def _supply(self, mapper: RowMapper, prefix: str, numbers: list[int], batch: list[Texts], bad: list[Rejection]) -> Supply:
        items = [mapper.fields_of(texts) for texts in batch]
        if prefix:
            for number, item in zip(numbers, items, strict=True):
                item["event_id"] = f"{prefix}{number}"
        decoded = decode_mappings(items)
        rejections = [msgspec.structs.replace(r, index=numbers[r.index]) for r in decoded.rejections]
        rejections = sorted([*rejections, *bad], key=lambda r: r.index)
        placed = Decoded(decoded.events, [numbers[p] for p in decoded.positions], rejections)
        if self.mapping is None:
            return Supply(placed, self.path.name, 0)
        return Supply(placed, self.path.name, 0, f"mapping:{self.mapping_name}", _KeepableRows(mapper, numbers, batch))


class _KeepableRows(Mapping[int, Mapping[str, str]]):
    """By row number, what may be kept of a row; made only for the rows that are asked for."""

    def __init__(self, mapper: RowMapper, numbers: list[int], batch: list[Texts]) -> None:
        self._mapper = mapper
        self._texts = dict(zip(numbers, batch, strict=True))

    def __getitem__(self, number: int) -> Mapping[str, str]:
        return self._mapper.keepable(self._texts[number])

    def __iter__(self) -> Iterator[int]:
        return iter(self._texts)

    def __len__(self) -> int:
        return len(self._texts)


def _read_whole(stream: gzip.GzipFile | io.BufferedReader, size: int) -> tuple[bytes, Exception | None]:
    """Some `size` bytes, fewer only at the end, and the damage met behind them: what could be read is never lost."""
    pieces: list[bytes] = []
    left = size
    try:
        while left > 0 and (piece := stream.read1(min(left, _READ))):
            pieces.append(piece)
            left -= len(piece)
    except _DAMAGE as error:
        return b"".join(pieces), error
    return b"".join(pieces), None


def _picker(places: list[int]) -> Callable[[list[str]], Texts]:
    """What takes the texts at these places from a row; for one place, too, a sequence comes back."""
    return itemgetter(*places) if len(places) > 1 else itemgetter(slice(places[0], places[0] + 1))


def _unreadable(texts: Texts, encoding: str) -> str:
    """What is wrong with the characters of some texts; empty when nothing is."""
    joined = "".join(texts)
    if "\0" in joined:
        return "not text: it holds NUL bytes; save the file again as text"
    if not joined.isascii() and any("\ud800" <= c <= "\udfff" for c in joined):
        return f"not {encoding}; save the file as {encoding}, or name its encoding in the mapping"
    return ""
