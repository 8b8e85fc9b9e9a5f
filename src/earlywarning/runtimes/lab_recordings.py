"""The lab's recording of a served municipality: made in a process of its own, kept in a file, held in memory while it is used.

There is one file for each municipality. Settings that were put in force since fit it as long as they differ only in what the lab
itself tries (budget, windows that were recorded, fewest events, when an alert is over).
"""

import fcntl
import os
import sys
from collections import OrderedDict
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, date, datetime
from hashlib import sha256
from multiprocessing import get_context
from multiprocessing.context import SpawnProcess
from pathlib import Path
from threading import Lock, Thread
from typing import Literal

import msgspec
import structlog

from earlywarning.core.areas import AreaRegister
from earlywarning.core.calendar import date_of
from earlywarning.core.categories import CategoryTree
from earlywarning.core.counts import SeriesSpace
from earlywarning.core.scope import Scope
from earlywarning.lab.bench import LabError, Recording, load_recording, save_recording
from earlywarning.lab.recording import Meta
from earlywarning.runtimes.front import Front
from earlywarning.runtimes.lab_supply import record_of_store
from earlywarning.settings import Settings
from earlywarning.settings_drafting import values_of
from earlywarning.store import Store, StoreError

log = structlog.get_logger(__name__)
_POLITE = 15  # of the process that records: it takes what the service leaves over
_PATIENCE = 10.0  # seconds for it to end
_HELD = 2  # recordings in memory, of one process; some hundred megabytes each for a large municipality
# What the lab tries: a recording does not depend on it.
_TRIED = frozenset({
    "detection.windows", "detection.min_count", "alerts.false_alarms_per_week", "alerts.settle_after_days",
    "alerts.silence_recurrence_days", "budget.false_discovery_rate",
})  # fmt: skip

State = Literal["none", "making", "failed", "ready"]


class NoRecordingError(LabError):
    """There is none that fits the settings in force."""


class RecordingState(msgspec.Struct, frozen=True, kw_only=True):
    """How a municipality's recording stands. making: first, day: judged days begin, and where it is; problem: of the last try.

    there: whether one can be used; made_at, judged_from, judged_to, windows, settings, basis, events: of that.
    """

    state: State = "none"
    begun_at: datetime | None = None
    first: date | None = None
    day: date | None = None
    last: date | None = None
    who: str = ""
    problem: str = ""
    there: bool = False
    made_at: datetime | None = None
    judged_from: date | None = None
    judged_to: date | None = None
    windows: tuple[int, ...] = ()
    settings: str = ""
    basis: str = ""
    events: int = 0


_held: OrderedDict[tuple[str, int, str], tuple[Recording, Lock]] = OrderedDict()
_holding = Lock()


class Recordings:
    """The recording of one municipality, as one process serves it."""

    def __init__(self, front: Front, folder: Path | None = None) -> None:
        self._front = front
        self._folder = folder or folder_of(front.store.url)
        self._lock = Lock()
        self._process: SpawnProcess | None = None

    @property
    def _file(self) -> Path:
        return self._folder / f"{self._front.register.municipality}.npz"

    def state(self) -> RecordingState:
        """How it stands now, across restarts and processes. One that stopped half-way says so."""
        told = _read(self._file)
        if told.state == "making":
            with _Turn(self._file) as free:
                if free:
                    told = _read(self._file)
                    if told.state == "making":  # whoever made it is gone
                        told = msgspec.structs.replace(told, state="failed", problem="interrupted")
        if told.there and not self._file.is_file():
            told = RecordingState(state="none" if told.state == "ready" else told.state, problem=told.problem, who=told.who)
        return told

    def fits(self, told: RecordingState) -> bool:
        """Whether what was recorded can stand for the settings in force."""
        settings = self._front.settings
        return told.there and told.basis == basis_of(settings) and set(settings.detection.windows) <= set(told.windows)

    def begin(self, who: str, first: date | None = None, windows: tuple[int, ...] = ()) -> bool:
        """Record anew, in a process of its own; False when one is at it already. Raises LabError when nothing can be kept."""
        with self._lock:
            try:
                self._folder.mkdir(parents=True, exist_ok=True)
                turn = _Turn(self._file)
                if not turn.take():
                    return False
            except OSError as error:
                raise LabError(f"{self._folder}: recordings cannot be kept there ({error.strerror}); {_WAY_OUT}") from error
            told = _read(self._file)
            told = msgspec.structs.replace(
                told, state="making", begun_at=datetime.now(UTC), first=first, day=None, last=None, who=who, problem=""
            )
            try:
                _write(self._file, told)
                front = self._front
                process = get_context("spawn").Process(
                    target=_record, args=(front.settings, front.store.url, self._file, told, windows), daemon=True, name="lab"
                )
                process.start()
            except OSError as error:
                turn.give()
                raise LabError(f"{self._folder}: a recording cannot be begun ({error.strerror})") from error
            except BaseException:
                turn.give()
                raise
            self._process = process
            Thread(target=self._wait, args=(process, turn), daemon=True, name="lab-waits").start()
            return True

    def _wait(self, process: SpawnProcess, turn: "_Turn") -> None:
        """Say so when the process ended without a word: killed, or out of memory."""
        process.join()
        with suppress(OSError):
            told = _read(self._file)
            if told.state == "making":
                _write(self._file, msgspec.structs.replace(told, state="failed", problem=f"ended:{process.exitcode}"))
        turn.give()

    def stop(self) -> None:
        """End a recording that is being made."""
        with self._lock:
            if self._process is not None and self._process.is_alive():
                self._process.terminate()
                self._process.join(_PATIENCE)

    def get(self) -> tuple[Recording, Lock]:
        """The recording, with today's settings, and the lock under which it may be asked. Raises LabError when there is none."""
        front = self._front
        try:
            key = (str(self._file), self._file.stat().st_mtime_ns, front.settings.version)
        except OSError as error:
            raise NoRecordingError("nothing has been recorded yet; record the history first") from error
        with _holding:
            if key not in _held:
                if not self.fits(self.state()):
                    raise NoRecordingError("the recording was made under other settings; record anew")
                # What is replaced leaves first: two of a large municipality would be twice the memory.
                for old in [k for k in _held if k[0] == key[0]]:
                    del _held[old]
                recording = load_recording(self._file, scope_of(front.register, front.tree))
                m = recording.meta
                if m.areas != tuple(front.register.codes) or m.categories != tuple(front.tree.codes):
                    raise NoRecordingError("the recording is of other registers of areas or categories; record anew")
                _held[key] = (replace(recording, meta=_of_today(m, front.settings)), Lock())
            _held.move_to_end(key)
            while len(_held) > _HELD:
                _held.popitem(last=False)
            return _held[key]


_WAY_OUT = "set the environment variable EARLYWARNING_CACHE to a folder that the service may write to"


def folder_of(store_url: str) -> Path:
    """Where recordings lie: EARLYWARNING_CACHE, or beside an SQLite store, or in the cache of whoever runs the service."""
    if chosen := os.environ.get("EARLYWARNING_CACHE", ""):
        return Path(chosen)
    kind, _, path = store_url.partition(":///")
    if kind.startswith("sqlite") and path and not path.startswith(":memory:"):
        return Path(path.partition("?")[0]).parent / "lab"
    cache = os.environ.get("CACHE_DIRECTORY", "").partition(":")[0]  # of a systemd unit that has one
    return Path(cache or os.environ.get("XDG_CACHE_HOME", "") or Path("~/.cache").expanduser()) / "earlywarning"


def scope_of(register: AreaRegister, tree: CategoryTree) -> Scope:
    """The series of registers, as a recording of them needs it."""
    return Scope(SeriesSpace(register.ancestors, tree.ancestors), register.neighbours, tree.harm)


def basis_of(settings: Settings) -> str:
    """The same for settings under which the same would be recorded."""
    values = {key: value for key, value in values_of(settings).items() if key not in _TRIED}
    place = settings.municipality.code, settings.municipality.timezone
    kept = [values, place, *(msgspec.to_builtins(part) for part in (settings.events, settings.calendar))]
    return sha256(msgspec.json.encode(kept, order="sorted")).hexdigest()[:12]


def _of_today(meta: Meta, settings: Settings) -> Meta:
    watch, alerts = settings.detection, settings.alerts
    return msgspec.structs.replace(
        meta, settings=settings.version, windows_in_force=tuple(sorted(set(watch.windows))),
        min_count=watch.min_count, settle_after=alerts.settle_after_days, budget=alerts.false_alarms_per_week,
        false_discovery_rate=settings.budget.false_discovery_rate,
    )  # fmt: skip


# ---- on disk ----------------------------------------------------------------------------------------------------------


class _Turn:
    """Whose turn it is to record into a file: a lock that the system releases when its holder dies."""

    def __init__(self, file: Path) -> None:
        self._path, self._file = file.with_suffix(".lock"), -1

    def take(self) -> bool:
        """Whether it is ours now. Raises OSError."""
        self._file = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self.give()
            return False
        return True

    def give(self) -> None:
        """Let the next one in."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def __enter__(self) -> bool:
        return self.take()

    def __exit__(self, *_: object) -> None:
        self.give()


def _read(file: Path) -> RecordingState:
    try:
        return msgspec.json.decode(file.with_suffix(".json").read_bytes(), type=RecordingState)
    except (OSError, msgspec.DecodeError):
        return RecordingState()


def _write(file: Path, told: RecordingState) -> None:
    part = file.with_suffix(".json.part")
    part.write_bytes(msgspec.json.encode(told))
    part.replace(file.with_suffix(".json"))


# ---- in the process that records --------------------------------------------------------------------------------------


def _record(settings: Settings, store_url: str, file: Path, told: RecordingState, windows: tuple[int, ...]) -> None:
    os.nice(_POLITE)
    service = os.getppid()

    def reached(day: date) -> None:
        if os.getppid() != service:
            sys.exit(0)  # the service is gone: another may record by now
        _write(file, msgspec.structs.replace(told, day=day, last=last))

    try:
        with Store.open(store_url) as store:
            state = store.engine_state(settings.municipality.code)
            last = date_of(state[0]) if state else None
            recording = record_of_store(store, settings, told.first, windows=windows, progress=reached)
        if os.getppid() != service:
            return
        save_recording(recording, file)
        m = recording.meta
        made = RecordingState(
            state="ready", begun_at=told.begun_at, who=told.who, there=True, made_at=datetime.now(UTC), windows=m.windows,
            judged_from=date_of(m.first), judged_to=date_of(m.last), settings=m.settings, basis=basis_of(settings), events=m.events,
        )  # fmt: skip
        _write(file, made)
    except (LabError, StoreError) as error:
        _write(file, msgspec.structs.replace(told, state="failed", problem=str(error)))
    except MemoryError:
        _write(file, msgspec.structs.replace(told, state="failed", problem="ended:memory"))
