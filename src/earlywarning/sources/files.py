"""Events from files: CSV and JSON Lines, plain or gzip, in batches, one bad row never dropping its neighbours."""

import csv
import gzip
import io
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any

import msgspec

from earlywarning.core.events import FIELDS, Decoded, Rejection, decode_array, decode_lines, decode_mappings
from earlywarning.sources.mapping import ColumnMapping, Row, RowMapper, identity
from earlywarning.sources.supply import Supply

BATCH = 20_000  # rows of a CSV batch
CHUNK = 8 << 20  # bytes of a JSON Lines batch
LONGEST_LINE = 1 << 20
_LARGEST_ARRAY = 256 << 20
csv.field_size_limit(LONGEST_LINE)


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

    Rows without an id get "<file name>-<row number>": the same file fed again gives the same events. Raises FileProblem
    when the file cannot be opened or is damaged; what stood before the damage has been delivered by then.
    """

    def __init__(
        self, path: Path, *, mapping: ColumnMapping | None = None, mapping_name: str = "", default_timezone: str
    ) -> None:
        self.path, self.mapping, self.mapping_name = path, mapping, mapping_name
        self.default_timezone = default_timezone
        self.skipped = 0
        try:
            self.size = path.stat().st_size
            self._raw: IO[bytes] = path.open("rb")
        except OSError as error:
            raise FileProblem(f"{path}: cannot be opened ({error.strerror})") from error

    @property
    def position(self) -> int:
        """Bytes of the file on disk that have been read."""
        return self.size if self._raw.closed else self._raw.tell()

    def __iter__(self) -> Iterator[Supply]:
        with self._raw:
            zipped = self._raw.read(2) == b"\x1f\x8b"
            self._raw.seek(0)
            stream: IO[bytes] = gzip.GzipFile(fileobj=self._raw) if zipped else self._raw  # type: ignore[assignment]  # a reader
            name = self.path.name.lower().removesuffix(".gz")
            try:
                if name.endswith((".csv", ".tsv", ".txt")):
                    yield from self._csv(stream)
                elif name.endswith(".json"):
                    yield from self._json(stream)
                else:
                    yield from self._lines(stream)
            except (EOFError, zlib.error, gzip.BadGzipFile) as error:
                raise FileProblem(
                    f"{self.path}: the gzip data is damaged or cut off ({error}); fetch the file again"
                ) from error

    # ---- JSON -----------------------------------------------------------------------------------------------------

    def _lines(self, stream: IO[bytes]) -> Iterator[Supply]:
        rest, line = b"", 1
        while chunk := stream.read(CHUNK):
            data = rest + chunk
            cut = data.rfind(b"\n") + 1
            if not cut and len(data) > LONGEST_LINE:
                # One endless line: refuse it, and go on behind its end.
                yield Supply(Decoded([], [], [_too_long(len(data))]), self.path.name, line)
                rest = self._behind_line(stream)
                line += 1
                continue
            rest = data[cut:]
            if cut:
                yield from self._decoded(data[:cut], line)
                line += data.count(b"\n", 0, cut)
        if rest.strip():
            yield from self._decoded(rest, line)

    def _decoded(self, data: bytes, line: int) -> Iterator[Supply]:
        if line == 1:
            data = data.removeprefix(b"\xef\xbb\xbf")
        yield Supply(decode_lines(data), self.path.name, line)

    @staticmethod
    def _behind_line(stream: IO[bytes]) -> bytes:
        while chunk := stream.read(CHUNK):
            at = chunk.find(b"\n")
            if at >= 0:
                return chunk[at + 1 :]
        return b""

    def _json(self, stream: IO[bytes]) -> Iterator[Supply]:
        data = stream.read(_LARGEST_ARRAY + 1)
        if len(data) > _LARGEST_ARRAY:
            raise FileProblem(f"{self.path}: a JSON array of more than {_LARGEST_ARRAY >> 20} MB; send it as JSON Lines")
        try:
            yield Supply(decode_array(data.removeprefix(b"\xef\xbb\xbf")), self.path.name)
        except (msgspec.DecodeError, RecursionError) as error:
            raise FileProblem(f"{self.path}: not JSON ({error}); JSON Lines files end in .jsonl") from error

    # ---- CSV ------------------------------------------------------------------------------------------------------

    def _csv(self, stream: IO[bytes]) -> Iterator[Supply]:
        encoding = self.mapping.encoding if self.mapping else "utf-8"
        # A byte that the encoding does not know becomes a lone surrogate, which marks its row and no other.
        text = io.TextIOWrapper(stream, encoding=encoding, errors="surrogateescape", newline="")
        reader = csv.reader(text, delimiter=self.mapping.delimiter if self.mapping else ",")
        header = [name.strip() for name in next(self._rows(reader), (0, [], ""))[1]]
        if header:
            header[0] = header[0].removeprefix("\ufeff")
        mapper = RowMapper(self._checked(header), self.default_timezone)
        wanted = {c for c in (*mapper.mapping.columns.values(), *mapper.mapping.skip) if c in header}
        places = [(header.index(c), c) for c in sorted(wanted)]
        batch: list[tuple[int, Row]] = []
        bad: list[tuple[int, str, str]] = []
        number = 1
        for number, (_, row, problem) in enumerate(self._rows(reader), start=2):
            if problem:
                bad.append((number, *_split(problem)))
            elif not row:
                continue
            elif len(row) != len(header):
                bad.append((number, "columns", f"{len(row)} columns where the header has {len(header)}"))
            else:
                # Only mapped columns are read on: the others may hold what must not be kept.
                values = {column: row[i] for i, column in places}
                if mapper.skipped(values):
                    self.skipped += 1
                elif any(not v.isascii() and _undecodable(v) for v in values.values()):
                    bad.append((number, "encoding", f"not {encoding}; save the file as {encoding} or name its encoding"))
                else:
                    batch.append((number, values))
            if len(batch) + len(bad) >= BATCH:
                yield self._supply(mapper, batch, bad)
                batch, bad = [], []
        if batch or bad:
            yield self._supply(mapper, batch, bad)

    @staticmethod
    def _rows(reader: Any) -> Iterator[tuple[int, list[str], str]]:
        while True:
            try:
                row = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                yield reader.line_num, [], f"csv|not readable as CSV: {error}"
            else:
                yield reader.line_num, row, ""

    def _checked(self, header: list[str]) -> ColumnMapping:
        double = sorted({name for name in header if header.count(name) > 1})
        if double:
            raise FileProblem(f"{self.path}: column {double[0]!r} stands twice in the header; names must be unique")
        if self.mapping is None:
            unknown = [name for name in header if name not in FIELDS]
            if unknown or not header:
                shown = repr(unknown[0][:40]) if unknown else "no header"
                raise FileProblem(
                    f"{self.path}: {shown} is not an event field; name a mapping (--mapping), "
                    f"or use the fields {', '.join(FIELDS)}"
                )
            return _Plain(identity(header))
        missing = [c for c in (*self.mapping.columns.values(), *self.mapping.skip) if c not in header]
        if missing:
            raise FileProblem(
                f"{self.path}: column {missing[0]!r} of mapping {self.mapping_name!r} "
                f"is not in the header ({', '.join(header)[:200]})"
            )
        return self.mapping

    def _supply(self, mapper: RowMapper, batch: list[tuple[int, Row]], bad: list[tuple[int, str, str]]) -> Supply:
        stem = self.path.name.split(".")[0]
        own_id = "event_id" in mapper.mapping.columns or "event_id" in mapper.mapping.constants
        items = []
        for number, row in batch:
            fields = mapper.fields(row)
            if not own_id:
                fields["event_id"] = f"{stem}-{number}"
            items.append(fields)
        decoded = decode_mappings(items)
        # Positions are row numbers, so that a person finds the row; the header is row 1.
        numbers = [number for number, _ in batch]
        rejections = [msgspec.structs.replace(r, index=numbers[r.index]) for r in decoded.rejections]
        rejections += [Rejection(number, "", rule, problem) for number, rule, problem in bad]
        placed = Decoded(decoded.events, [numbers[p] for p in decoded.positions], sorted(rejections, key=lambda r: r.index))
        form = f"mapping:{self.mapping_name}" if self.mapping else "event"
        return Supply(placed, self.path.name, 0, form, _KeepableRows(mapper, dict(batch)) if self.mapping else {})


class _KeepableRows(Mapping[int, Mapping[str, str]]):
    """By row number, what may be kept of a row; made only for the rows that are asked for."""

    def __init__(self, mapper: RowMapper, rows: dict[int, Row]) -> None:
        self._mapper, self._rows = mapper, rows

    def __getitem__(self, number: int) -> Mapping[str, str]:
        return self._mapper.keepable(self._rows[number])

    def __iter__(self) -> Iterator[int]:
        return iter(self._rows)

    def __len__(self) -> int:
        return len(self._rows)


def _undecodable(text: str) -> bool:
    return any("\udc80" <= c <= "\udcff" for c in text)


def _split(problem: str) -> tuple[str, str]:
    rule, words = problem.split("|", 1)
    return rule, words


def _too_long(size: int) -> Rejection:
    return Rejection(0, "", "size", f"a line of more than {size} bytes; at most {LONGEST_LINE} are taken")
