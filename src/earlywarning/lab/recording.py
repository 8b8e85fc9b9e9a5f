"""A history as it was judged, kept so that other settings can be tried on it at once.

A recording holds, for each judged day at its close, the counts of all windows, what was expected of them, every block that
counts more than expected down to a score that any budget's threshold lies above, and what else was heard; and for each fit
the signals that chance alone gives, so that the threshold of any budget follows without drawing anew.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from earlywarning.core.detectors.scan import Columns, Zones
from earlywarning.core.scope import Block, Scope, Watched
from earlywarning.core.window_law import WindowLaw
from earlywarning.lab.judged_days import LabError

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
FORMAT = 1


class Chance(NamedTuple):
    """Signals of weeks in which nothing happens, in the order of their days. areas, columns: sets as little-endian bits."""

    day: NDArray[np.int16]
    window: NDArray[np.int8]
    observed: NDArray[np.float32]
    score: Floats
    areas: NDArray[np.uint8]
    columns: NDArray[np.uint8]


class Fit(NamedTuple):
    """A baseline and the days that were judged by it.

    first: place of its first day in the recording; law: that of each of its days, (days, windows, K) columns; counts:
    (days, windows, areas, K) events at the close; relative: (areas, K) relative variance; common: (K,) what neighbours
    share; shares: (K, lags) of a day's events recorded so many days later.
    """

    day: int
    first: int
    watched: Watched
    level: Floats
    relative: Floats
    common: Floats
    shares: Floats
    law: WindowLaw
    counts: NDArray[Any]
    chance: Chance

    def __len__(self) -> int:
        return len(self.counts)


class Found(NamedTuple):
    """Blocks that count more than expected, by day, the most unusual of a day first; of equal length.

    block: number in the recording's blocks; column: scanned column of the day's fit; window: number of the window.
    """

    block: NDArray[np.int32]
    column: NDArray[np.int16]
    window: NDArray[np.int8]
    observed: Floats
    expectation: Floats
    score: Floats

    def take(self, which: Ints) -> "Found":
        """Some of the rows."""
        return Found._make([column[which] for column in self])


class Heard(NamedTuple):
    """What was heard beside counts. recurrence: days between such by chance; for "first" before its share is taken."""

    day: int
    tendency: str
    block: int
    window: int
    last_day: int
    observed: float
    expectation: float
    recurrence: float


class Meta(msgspec.Struct, frozen=True):
    """What a recording is of. settings: version in force; windows: that were recorded, and those in
    force; shares: of the budget, by tendency.

    first, last: judged days, in day numbers, none before there was history enough; events: that were recorded
    by the end; history: first day of the counts.
    """

    format: int
    municipality: str
    settings: str
    windows: tuple[int, ...]
    windows_in_force: tuple[int, ...]
    min_count: int
    settle_after: int
    budget: float
    shares: dict[str, float]
    false_discovery_rate: float
    kinds: tuple[int, ...]
    first: int
    last: int
    history: int
    events: int
    areas: tuple[str, ...]
    categories: tuple[str, ...]
    area_bonus: tuple[float, ...]

    @property
    def key(self) -> str:
        """The same for the same settings and extent of history: whether a kept recording may be used again."""
        return f"{self.municipality}-{self.settings}-{self.history}-{self.first}-{self.last}-{self.events}"


@dataclass(frozen=True)
class Recording:
    """See the module. days: (D,) judged days that closed; ends: (D,) where each day's signals end in `found`; fit_of: (D,).

    place: by day number, the place in `days`. Answers that were computed once are kept in `memo`.
    """

    meta: Meta
    scope: Scope
    days: Ints
    fit_of: Ints
    fits: list[Fit]
    found: Found
    ends: Ints
    blocks: list[Block]
    heard: list[Heard]
    memo: dict[Any, Any] = field(default_factory=dict, repr=False, compare=False)

    @cached_property
    def number_of(self) -> dict[Block, int]:
        """Numbers of the blocks; new ones are added as they are met."""
        return {block: i for i, block in enumerate(self.blocks)}

    @cached_property
    def zones(self) -> Zones:
        """The places that were scanned, with the weights of districts in force."""
        zones = self.scope.zones
        return zones._replace(bonus=np.array(self.meta.area_bonus)) if self.meta.area_bonus else zones

    def number(self, block: Block) -> int:
        """A block's number."""
        number = self.number_of.get(block)
        if number is None:
            number = self.number_of[block] = len(self.blocks)
            self.blocks.append(block)
        return number

    @cached_property
    def _bits(self) -> tuple[list[int], list[int]]:
        """Areas and categories as sets of what has no parts: two have something in common where their bits meet."""
        leaf = self.scope.part.sum(1) == 1
        return bits_of(self.scope.inside[:, self.scope.fine]), bits_of(self.scope.part[:, leaf])

    def bits(self, number: int) -> tuple[int, int, int]:
        """Kind, areas and categories of a block, as sets: blocks of one kind share where both meet."""
        key = ("bits", number)
        out = self.memo.get(key)
        if out is None:
            areas, categories = self._bits
            block, a, c = self.blocks[number], 0, 0
            for area in block.areas:
                a |= areas[area]
            for category in block.categories:
                c |= categories[category]
            out = self.memo[key] = (block.kind, a, c)
        return out

    def share(self, one: int, other: int) -> bool:
        """Whether two blocks have an area and a category in common."""
        a, b = self.bits(one), self.bits(other)
        return a[0] == b[0] and bool(a[1] & b[1]) and bool(a[2] & b[2])

    def depth(self, number: int) -> int:
        """How specific a block is."""
        key = ("depth", number)
        out = self.memo.get(key)
        if out is None:
            out = self.memo[key] = self.scope.depth(self.blocks[number])
        return out

    @property
    def size(self) -> int:
        """Bytes of its arrays."""
        return sum(a.nbytes for a in _arrays(self).values())


def bits_of(table: Bools) -> list[int]:
    """Each row as a whole number whose bits are its entries."""
    return [int.from_bytes(np.packbits(row, bitorder="little").tobytes(), "little") for row in table]


# ---- in a file --------------------------------------------------------------------------------------------------------


def _arrays(recording: Recording) -> dict[str, NDArray[Any]]:
    out: dict[str, NDArray[Any]] = {"days": recording.days, "fit_of": recording.fit_of, "ends": recording.ends}
    out |= {f"found.{name}": column for name, column in recording.found._asdict().items()}
    for i, fit in enumerate(recording.fits):
        for name in ("level", "relative", "common", "shares", "counts"):
            out[f"{i}.{name}"] = getattr(fit, name)
        out |= {f"{i}.law.{name}": column for name, column in fit.law._asdict().items()}
        out |= {f"{i}.chance.{name}": column for name, column in fit.chance._asdict().items()}
        columns = fit.watched._asdict()
        scanned = columns.pop("scanned")
        out |= {f"{i}.watched.{name}": column for name, column in columns.items()}
        out |= {f"{i}.members": scanned.members, f"{i}.rank": scanned.rank}
    return out


class _Head(msgspec.Struct):
    meta: Meta
    fits: list[tuple[int, int]]
    blocks: list[tuple[int, tuple[int, ...], tuple[int, ...]]]
    heard: list[tuple[int, str, int, int, int, float, float, float]]


def save_recording(recording: Recording, path: Path) -> None:
    """Write it to a file (NumPy's .npz). Raises LabError when the file cannot be written."""
    fits = [(f.day, f.first) for f in recording.fits]
    blocks = [(b.kind, b.areas, b.categories) for b in recording.blocks]
    head = _Head(recording.meta, fits, blocks, [tuple(h) for h in recording.heard])  # type: ignore[misc]  # a Heard is such
    arrays = _arrays(recording)
    arrays["head"] = np.frombuffer(msgspec.msgpack.encode(head), dtype=np.uint8)
    part = path.with_name(f"{path.name}.part")
    try:
        with part.open("wb") as file:
            np.savez_compressed(file, **arrays)  # type: ignore[arg-type]  # none is called allow_pickle
        part.replace(path)
    except OSError as error:
        raise LabError(f"{path}: the recording cannot be written ({error.strerror})") from error


def load_recording(path: Path, scope: Scope) -> Recording:
    """Read one. scope: of the registers it was made with. Raises LabError for a file that is none, or of other registers."""
    try:
        with np.load(path, allow_pickle=False) as file:
            data = {name: file[name] for name in file.files}
        head = msgspec.msgpack.decode(data["head"].tobytes(), type=_Head)
    except OSError as error:
        raise LabError(f"{path}: the recording cannot be read ({error.strerror or error})") from error
    except (ValueError, KeyError, EOFError, msgspec.MsgspecError) as error:
        raise LabError(f"{path}: this is not a recording; make one anew") from error
    if head.meta.format != FORMAT:
        raise LabError(f"{path}: the recording has format {head.meta.format}; this version reads {FORMAT}: make it anew")
    if len(head.meta.areas) != scope.space.areas or len(head.meta.categories) != scope.space.categories:
        raise LabError(f"{path}: the recording is of other registers of areas or categories; make it anew")
    fits = []
    for i, (day, first) in enumerate(head.fits):
        parts = {name: data[f"{i}.watched.{name}"] for name in Watched._fields[:-1]}
        watched = Watched(**parts, scanned=Columns(data[f"{i}.members"], data[f"{i}.rank"]))
        law = WindowLaw(*(data[f"{i}.law.{name}"] for name in WindowLaw._fields))
        chance = Chance(*(data[f"{i}.chance.{name}"] for name in Chance._fields))
        own = {name: data[f"{i}.{name}"] for name in ("level", "relative", "common", "shares", "counts")}
        fits.append(Fit(day=day, first=first, watched=watched, law=law, chance=chance, **own))
    found = Found(*(data[f"found.{name}"] for name in Found._fields))
    blocks = [Block(*b) for b in head.blocks]
    heard = [Heard(*h) for h in head.heard]
    # Files of before have the day that was asked for, on which nothing could be judged yet.
    meta = msgspec.structs.replace(head.meta, first=max(head.meta.first, int(data["days"][0])))
    return Recording(meta, scope, data["days"], data["fit_of"], fits, found, data["ends"], blocks, heard)


def joined(parts: Sequence[Found]) -> Found:
    """Several tables as one."""
    return Found(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))
