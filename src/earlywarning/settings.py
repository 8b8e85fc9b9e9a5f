"""Settings: one TOML file becomes one checked value; all errors at once, each with its key and what is allowed."""

import hashlib
import threading
import tomllib
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta

from earlywarning.core.calendar import CalendarError, LocalCalendar
from earlywarning.core.events import FIELDS

Language = Literal["sv", "en"]


class SettingsError(ValueError):
    """Settings that cannot be put in force; `problems` lists every error with its key."""

    def __init__(self, problems: list[str], file: str = "") -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(f"{file}: {p}" if file else p for p in problems))


class _Section(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    pass


class Municipality(_Section):
    """Whom the service is for. language: of alerts and pages when nobody asks for another."""

    code: Annotated[str, Meta(pattern="^[0-9A-Z][0-9A-Z-]{1,11}$")]
    name: Annotated[str, Meta(min_length=1, max_length=80)]
    timezone: str = "Europe/Stockholm"
    language: Language = "sv"


class Registers(_Section):
    """Areas and categories: a path beside the settings file, or builtin:NAME; no areas = the municipality as one."""

    areas: str = ""
    area_properties: dict[Literal["code", "name", "parent", "population"], str] = {}
    categories: str = "builtin:default"


class Service(_Section):
    """Where the service listens. clock: "wall" closes days as time passes, "events" only as events arrive."""

    host: str = "127.0.0.1"
    port: Annotated[int, Meta(ge=0, le=65535)] = 8620
    clock: Literal["wall", "events"] = "wall"
    max_body_megabytes: Annotated[int, Meta(ge=1, le=1024)] = 16


class StoreSection(_Section):
    """The SQL store. A relative SQLite path is relative to the settings file."""

    url: str = "sqlite:///earlywarning.db"


class Events(_Section):
    """What is taken. lateness_days: how long a day's counts may still raise an alert."""

    future_tolerance_minutes: Annotated[int, Meta(ge=0, le=1440)] = 10
    longest_interval_days: Annotated[int, Meta(ge=1, le=366)] = 366
    lateness_days: Annotated[int, Meta(ge=0, le=28)] = 7
    oldest: date | None = None


class Detection(_Section):
    """How counts are judged. windows in days; years of history used at most and needed at least."""

    windows: Annotated[list[Literal[1, 7, 28]], Meta(min_length=1, max_length=3)] = msgspec.field(default_factory=lambda: [1, 7, 28])
    method: Literal["farrington-flexible", "ears-c1", "ears-c2", "ears-c3"] = "farrington-flexible"
    years: Annotated[int, Meta(ge=2, le=10)] = 5
    min_years: Annotated[int, Meta(ge=1, le=10)] = 2
    min_count: Annotated[int, Meta(ge=1, le=1000)] = 5
    origins: Annotated[list[Literal["reported", "discovered", "tasked"]], Meta(min_length=1)] = msgspec.field(
        default_factory=lambda: ["reported"]
    )
    kinds: Annotated[list[Literal["incident", "report"]], Meta(min_length=1)] = msgspec.field(
        default_factory=lambda: ["incident", "report"]
    )
    no_periods: Annotated[int, Meta(ge=1, le=20)] = 10
    past_weeks_not_included: Annotated[int, Meta(ge=0, le=51)] = 26
    weights_threshold: Annotated[float, Meta(gt=0, le=10)] = 2.58
    trend: bool = True


class Alerts(_Section):
    """per_week: how many alerts a week chance alone may cause in the whole municipality."""

    per_week: Annotated[float, Meta(gt=0, le=1000)] = 1.0
    settle_after_days: Annotated[int, Meta(ge=1, le=60)] = 7
    silence_recurrence_days: Annotated[float, Meta(ge=7, le=100000)] = 365.0


class Mapping(_Section):
    """How a supplier's file becomes events: columns by event field, constants, translated values, rows to leave out."""

    columns: dict[str, str]
    constants: dict[str, str] = {}
    values: dict[str, dict[str, str]] = {}
    skip: dict[str, list[str]] = {}
    timestamp_format: str = ""
    timezone: str = ""
    delimiter: Annotated[str, Meta(min_length=1, max_length=1)] = ","
    encoding: str = "utf-8"


class PoliceFeed(_Section):
    """The Swedish police's public feed: at most 60 requests an hour, with a User-Agent that says who asks."""

    enabled: bool = False
    url: str = "https://polisen.se/api/events"
    every_minutes: Annotated[int, Meta(ge=1, le=1440)] = 5
    user_agent: str = ""
    timeout_seconds: Annotated[float, Meta(gt=0, le=120)] = 20.0


class Settings(_Section):
    """Everything that the service's file says; `text` is the file, `folder` where it lies."""

    municipality: Municipality
    registers: Registers = Registers()
    service: Service = Service()
    store: StoreSection = StoreSection()
    events: Events = Events()
    detection: Detection = Detection()
    alerts: Alerts = Alerts()
    mappings: dict[str, Mapping] = {}
    police_feed: PoliceFeed = PoliceFeed()
    text: str = ""
    folder: Path = Path()

    @property
    def version(self) -> str:
        """12 hexadecimal digits of what influences judgement; comments and layout do not change it."""
        judged = [self.municipality, self.registers, self.events, self.detection, self.alerts]
        return hashlib.sha256(msgspec.json.encode(judged, order="sorted")).hexdigest()[:12]

    @property
    def store_url(self) -> str:
        """The store's URL with a relative SQLite path made absolute."""
        prefix = "sqlite:///"
        if not self.store.url.startswith(prefix) or self.store.url == prefix:
            return self.store.url
        return prefix + str((self.folder / self.store.url.removeprefix(prefix)).absolute())


_SECTIONS: dict[str, type[_Section]] = {
    "municipality": Municipality,
    "registers": Registers,
    "service": Service,
    "store": StoreSection,
    "events": Events,
    "detection": Detection,
    "alerts": Alerts,
    "police_feed": PoliceFeed,
}


def load_settings(path: Path) -> Settings:
    """Read and check a settings file. Raises SettingsError with every error in it."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError([f"cannot be read: {error}"], str(path)) from error
    return parse_settings(text, file=str(path), folder=path.parent)


def parse_settings(text: str, *, file: str, folder: Path) -> Settings:
    """Check settings text. Raises SettingsError with every error in it."""
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SettingsError([f"not valid TOML: {error}"], file) from error
    problems: list[str] = []
    parts: dict[str, Any] = {}
    for name, value in document.items():
        if name == "mappings":
            parts[name] = _mappings(value, problems)
        elif name in _SECTIONS:
            parts[name] = _section(name, value, _SECTIONS[name], problems)
        else:
            problems.append(f"{name}: there is no such section; sections are {', '.join([*_SECTIONS, 'mappings'])}")
    if "municipality" not in document:
        problems.append("municipality: is missing; give code and name")
    if not problems:
        _check_together(Settings(**parts), problems)
    if problems:
        raise SettingsError(problems, file)
    return Settings(**parts, text=text, folder=folder)


def _section(key: str, value: Any, kind: type[_Section], problems: list[str]) -> Any:
    """One section, key by key, so that each error is found."""
    if not isinstance(value, dict):
        problems.append(f"{key}: must be a section with keys")
        return None
    fields = {f.name: f for f in msgspec.structs.fields(kind)}
    fine = {}
    for name, item in value.items():
        if name not in fields:
            problems.append(f"{key}.{name}: there is no such key; keys are {', '.join(fields)}")
            continue
        try:
            fine[name] = msgspec.convert(item, fields[name].type)
        except msgspec.ValidationError as error:
            problems.append(f"{key}.{name}: {_words(str(error), item)}{_allowed(fields[name].type)}")
    missing = [n for n, f in fields.items() if f.required and n not in value]
    problems += [f"{key}.{n}: is missing" for n in missing]
    complete = not missing and all(n in fine for n, f in fields.items() if f.required)
    return kind(**fine) if complete else None


def _words(message: str, item: Any) -> str:
    text = message.replace("`", "").split(" - at ")[0]
    return f"{text[:1].lower()}{text[1:]}, got {str(item)[:60]!r}"


def _allowed(kind: Any) -> str:
    info = msgspec.inspect.type_info(kind)
    if isinstance(info, msgspec.inspect.ListType):
        info = info.item_type
    if isinstance(info, msgspec.inspect.LiteralType):
        return f"; allowed: {', '.join(map(str, info.values))}"
    low = getattr(info, "ge", None) if getattr(info, "ge", None) is not None else getattr(info, "gt", None)
    if isinstance(info, msgspec.inspect.IntType | msgspec.inspect.FloatType) and low is not None:
        return f"; allowed: {low} to {info.le}"
    return ""


def _mappings(value: Any, problems: list[str]) -> dict[str, Mapping]:
    if not isinstance(value, dict):
        problems.append("mappings: must hold a section for each mapping, as in [mappings.police]")
        return {}
    out = {}
    for name, item in value.items():
        mapping = _section(f"mappings.{name}", item, Mapping, problems)
        if mapping is None:
            continue
        out[name] = mapping
        for part in ("columns", "constants", "values"):
            for field in getattr(mapping, part):
                if field not in FIELDS:
                    problems.append(f"mappings.{name}.{part}.{field}: no event field; fields are {', '.join(FIELDS)}")
        if mapping.timezone:
            _check_timezone(f"mappings.{name}.timezone", mapping.timezone, problems)
        try:
            "".encode(mapping.encoding)
        except LookupError:
            problems.append(f"mappings.{name}.encoding: {mapping.encoding!r} is not a known encoding, such as utf-8 or cp1252")
    return out


def _check_timezone(key: str, value: str, problems: list[str]) -> None:
    try:
        LocalCalendar(value)
    except CalendarError as error:
        problems.append(f"{key}: {error}")


def _check_together(settings: Settings, problems: list[str]) -> None:
    """Rules that look at more than one key."""
    _check_timezone("municipality.timezone", settings.municipality.timezone, problems)
    detection = settings.detection
    if detection.min_years > detection.years:
        problems.append(f"detection.min_years: {detection.min_years} is more than detection.years ({detection.years})")
    for key in ("windows", "origins", "kinds"):
        if len(set(getattr(detection, key))) != len(getattr(detection, key)):
            problems.append(f"detection.{key}: a value stands twice")
    if urlsplit(settings.store.url).scheme.split("+")[0] not in ("sqlite", "postgresql"):
        problems.append("store.url: must begin with sqlite:/// or postgresql://")
    if settings.police_feed.enabled and not settings.police_feed.user_agent:
        problems.append("police_feed.user_agent: say who asks, such as 'earlywarning (name@municipality)'; the police ask for it")


def diff_settings(old: Settings, new: Settings) -> list[tuple[str, str, str]]:
    """(key, old value, new value) of every key that differs; an absent value is empty."""
    before, after = _flat(old), _flat(new)
    return [
        (key, before.get(key, ""), after.get(key, ""))
        for key in sorted(before.keys() | after.keys())
        if before.get(key) != after.get(key)
    ]


def flat_settings(settings: Settings) -> dict[str, str]:
    """Every key with its value in force, defaults included."""
    return _flat(settings)


def _flat(settings: Settings) -> dict[str, str]:
    out: dict[str, str] = {}

    def walk(prefix: str, value: Any) -> None:
        if isinstance(value, dict) and value:
            for key, item in value.items():
                walk(f"{prefix}.{key}" if prefix else key, item)
        else:
            out[prefix] = msgspec.json.encode(value).decode()

    tree = msgspec.to_builtins(settings, enc_hook=str)
    walk("", {key: value for key, value in tree.items() if key not in ("text", "folder")})
    return out


def watch_settings(
    path: Path,
    on_change: Callable[[Settings], None],
    on_error: Callable[[SettingsError], None],
    stop: threading.Event,
) -> None:
    """Call on_change with each new, valid content of the file until `stop`; a broken file goes to on_error.

    Watches the folder, so that editors which replace the file are noticed as well.
    """
    from watchfiles import watch  # noqa: PLC0415  # starts threads of its own: only where watching is wanted

    last = path.read_bytes() if path.exists() else b""
    for _ in watch(path.parent, stop_event=stop, recursive=False, debounce=200, step=50, rust_timeout=500, yield_on_timeout=True):
        if stop.is_set():
            return
        now = path.read_bytes() if path.exists() else b""
        if not now or now == last:
            continue
        last = now
        try:
            settings = load_settings(path)
        except SettingsError as error:
            on_error(error)
        else:
            on_change(settings)
