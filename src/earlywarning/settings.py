"""Settings: one TOML file becomes one checked value; all errors at once, each with its key and what is allowed."""

import hashlib
import tomllib
from pathlib import Path
from typing import Any

import msgspec

from earlywarning.core.calendar import CalendarError, LocalCalendar
from earlywarning.settings_access import Access
from earlywarning.settings_answers import Answers
from earlywarning.settings_channels import AnyChannel, read_channels
from earlywarning.settings_disclosure import Disclosure
from earlywarning.settings_retention import Retention, retention_problems
from earlywarning.settings_routing import Meeting, Recipient, Reporter, Routing, routing_problems
from earlywarning.settings_sections import (
    Alerts,
    Budget,
    Calendar,
    CalendarEvent,
    Detection,
    Events,
    Kafka,
    Language,
    Mapping,
    Municipality,
    PoliceFeed,
    Registers,
    Section,
    Service,
    StoreSection,
)
from earlywarning.settings_text import (
    address_problem,
    calendar_problems,
    flatten,
    mapping_problems,
    value_problems,
    without_password,
)

__all__ = [
    "Access",
    "Alerts",
    "Answers",
    "Budget",
    "Calendar",
    "CalendarEvent",
    "ClusterSettings",
    "Detection",
    "Disclosure",
    "Events",
    "Kafka",
    "Language",
    "Mapping",
    "Municipality",
    "PoliceFeed",
    "Registers",
    "Retention",
    "Service",
    "Settings",
    "SettingsError",
    "StoreSection",
    "diff_settings",
    "flat_settings",
    "load_cluster_settings",
    "load_settings",
    "parse_settings",
    "parse_settings_bytes",
    "with_values",
]


class SettingsError(ValueError):
    """Settings that cannot be put in force; `problems` lists every error with its key."""

    def __init__(self, problems: list[str], file: str = "") -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(f"{file}: {p}" if file else p for p in problems))


class Settings(Section, frozen=True, kw_only=True):
    """Everything that the service's file says; `text` is the file, `folder` where it lies."""

    municipality: Municipality
    registers: Registers = Registers()
    service: Service = Service()
    store: StoreSection = StoreSection()
    events: Events = Events()
    detection: Detection = Detection()
    alerts: Alerts = Alerts()
    budget: Budget = Budget()
    answers: Answers = Answers()
    access: Access = Access()
    calendar: Calendar = Calendar()
    mappings: dict[str, Mapping] = msgspec.field(default_factory=dict)
    police_feed: PoliceFeed = PoliceFeed()
    kafka: Kafka = Kafka()
    meeting: Meeting = Meeting()
    routing: Routing = Routing()
    recipients: dict[str, Recipient] = msgspec.field(default_factory=dict)
    reporters: dict[str, Reporter] = msgspec.field(default_factory=dict)
    channels: dict[str, AnyChannel] = msgspec.field(default_factory=dict)
    disclosure: Disclosure = Disclosure()
    retention: Retention = Retention()
    text: str = ""
    folder: Path = Path()

    @property
    def version(self) -> str:
        """12 hexadecimal digits of what influences judgement; comments, layout and order do not change it."""
        d = self.detection
        ordered = msgspec.structs.replace(d, windows=sorted(d.windows), origins=sorted(d.origins), kinds=sorted(d.kinds))
        judged = [self.municipality, self.registers, self.events, ordered, self.alerts, self.budget, self.calendar]
        return hashlib.sha256(msgspec.json.encode(judged, order="sorted")).hexdigest()[:12]

    @property
    def store_url(self) -> str:
        """The store's URL with a relative SQLite path made absolute."""
        return _absolute(self.store.url, self.folder)


class ClusterSettings(Section, frozen=True, kw_only=True):
    """What a process that serves many municipalities reads of a file: how to reach the brokers, the store, where to listen."""

    kafka: Kafka = Kafka()
    store: StoreSection = StoreSection()
    service: Service = Service()
    channels: dict[str, AnyChannel] = msgspec.field(default_factory=dict)
    folder: Path = Path()

    @property
    def store_url(self) -> str:
        """The store's URL with a relative SQLite path made absolute."""
        return _absolute(self.store.url, self.folder)


def _absolute(url: str, folder: Path) -> str:
    prefix = "sqlite:///"
    if not url.startswith(prefix) or url == prefix:
        return url
    return prefix + str((folder / url.removeprefix(prefix)).absolute())


_SHARES = tuple(f"{name}_share" for name in ("first", "apart", "drift", "mixture", "harm"))
MOST_SHARED = 0.9
_SECTIONS: dict[str, type[Section]] = {
    "municipality": Municipality,
    "registers": Registers,
    "service": Service,
    "store": StoreSection,
    "events": Events,
    "detection": Detection,
    "alerts": Alerts,
    "budget": Budget,
    "answers": Answers,
    "access": Access,
    "calendar": Calendar,
    "police_feed": PoliceFeed,
    "kafka": Kafka,
    "meeting": Meeting,
    "routing": Routing,
    "disclosure": Disclosure,
    "retention": Retention,
}
_NAMED: dict[str, type[Section]] = {"recipients": Recipient, "reporters": Reporter}


def load_settings(path: Path) -> Settings:
    """Read and check a settings file. Raises SettingsError with every error in it."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise SettingsError([f"cannot be read ({error.strerror})"], str(path)) from error
    return parse_settings_bytes(data, path)


def parse_settings_bytes(data: bytes, path: Path) -> Settings:
    """Check the content of a settings file. Raises SettingsError with every error in it."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise SettingsError([f"line {line} is not UTF-8; save the file as UTF-8"], str(path)) from error
    return parse_settings(text, file=str(path), folder=path.parent)


def load_cluster_settings(path: Path) -> ClusterSettings:
    """Read [kafka], [store] and [service] of a file, which may also be that of one municipality. Raises SettingsError."""
    try:
        document = _document(path.read_bytes().decode("utf-8-sig"), str(path))
    except OSError as error:
        raise SettingsError([f"cannot be read ({error.strerror})"], str(path)) from error
    except UnicodeDecodeError as error:
        raise SettingsError(["is not UTF-8; save the file as UTF-8"], str(path)) from error
    known = {*_SECTIONS, *_NAMED, "mappings", "channels"}
    problems = [f"{n}: there is no such section; sections are {', '.join(sorted(known))}" for n in document if n not in known]
    parts: dict[str, Any] = {n: _section(n, document.get(n, {}), _SECTIONS[n], problems) for n in ("kafka", "store", "service")}
    parts["channels"] = read_channels(document.get("channels", {}), path.parent, problems, _section)
    if problems:
        raise SettingsError(problems, str(path))
    return ClusterSettings(**parts, folder=path.parent)


def parse_settings(text: str, *, file: str, folder: Path) -> Settings:
    """Check settings text. Raises SettingsError with every error in it."""
    return _checked(_document(text, file), text, file, folder)


def with_values(settings: Settings, values: dict[str, str], file: str = "") -> Settings:
    """The settings with some keys set anew, as to try them out: {"detection.min_count": "4"}, values as in TOML.

    A text may go without quotes. Raises SettingsError with every error.
    """
    document = _document(settings.text, file)
    for name, written in values.items():
        *sections, key = [part.strip() for part in name.split(".")]
        place: Any = document
        for section in sections:
            place = place.setdefault(section, {}) if isinstance(place, dict) else None
        if not sections or not all([*sections, key]) or not isinstance(place, dict):
            raise SettingsError([f"{name}: is no key; write section.key, such as detection.min_count"], file)
        place[key] = _value(written)
    return _checked(document, settings.text, file, settings.folder)


def _value(written: str) -> Any:
    try:
        return tomllib.loads(f"value = {written}")["value"]
    except (ValueError, RecursionError):
        return written


def _document(text: str, file: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except RecursionError as error:
        raise SettingsError(["not valid TOML: nested too deeply"], file) from error
    except ValueError as error:  # TOMLDecodeError, and a number of thousands of digits, which Python does not read
        raise SettingsError([f"not valid TOML: {error}"], file) from error


def _checked(document: dict[str, Any], text: str, file: str, folder: Path) -> Settings:
    problems: list[str] = []
    parts: dict[str, Any] = {}
    for name, value in {"municipality": {}, **document}.items():
        if name == "mappings":
            parts[name] = _mappings(value, problems)
        elif name == "channels":
            parts[name] = read_channels(value, folder, problems, _section)
        elif name == "calendar":
            parts[name] = _calendar(value, problems)
        elif name in _NAMED:
            parts[name] = _named(name, value, _NAMED[name], problems)
        elif name in _SECTIONS:
            parts[name] = _section(name, value, _SECTIONS[name], problems)
        else:
            known = [*_SECTIONS, *_NAMED, "mappings", "channels"]
            problems.append(f"{name}: there is no such section; sections are {', '.join(known)}")
    recipients, reporters = parts.get("recipients", {}), parts.get("reporters", {})
    problems += routing_problems(recipients, reporters, parts.get("channels"), document.get("recipients") or ())
    problems += retention_problems(parts.get("retention", Retention()), parts.get("detection", Detection()))
    if problems:
        raise SettingsError(problems, file)
    return Settings(**parts, text=text, folder=folder)


def _section(key: str, value: Any, kind: type[Section], problems: list[str]) -> Any:
    """One section, key by key, so that each error is found; None when a key that must be there is not."""
    if not isinstance(value, dict):
        problems.append(f"{key}: must be a section with keys, as in [{key}]")
        return None
    fields = {f.name: f for f in msgspec.structs.fields(kind)}
    fine: dict[str, Any] = {}
    for name, item in value.items():
        if name not in fields:
            problems.append(f"{key}.{name}: there is no such key; keys are {', '.join(fields)}")
            continue
        if wrong := value_problems(f"{key}.{name}", item, fields[name].type):
            problems += wrong
            continue
        fine[name] = msgspec.convert(item, fields[name].type)
        if name == "timezone" and (kind is Municipality or item):
            try:
                LocalCalendar(item)
            except CalendarError as error:
                problems.append(f"{key}.{name}: {error}")
        elif isinstance(item, list) and len({repr(i) for i in item}) < len(item):
            problems.append(f"{key}.{name}: a value stands twice in {item}; each may stand once")
    problems += [f"{key}.{n}: is missing; it must be given" for n, f in fields.items() if f.required and n not in value]
    if not any(f.required for f in fields.values()):
        known = {**msgspec.structs.asdict(kind()), **fine}
        _check_together({n: v for n, v in known.items() if n in fine or n not in value}, kind, problems)
    complete = all(n in fine for n, f in fields.items() if f.required)
    return kind(**fine) if complete else None


def _check_together(known: dict[str, Any], kind: type[Section], problems: list[str]) -> None:
    """Rules beyond one key's own type. known: values in force, without the keys that are wrong in themselves."""
    if kind is Detection and known.keys() >= {"min_years", "years"}:
        least, most = known["min_years"], known["years"]
        if least > most:
            problems.append(f"detection.min_years: {least} is more than detection.years ({most}); allowed: 0 to {most}")
    elif kind is Budget and known.keys() >= set(_SHARES):
        total = sum(known[name] for name in _SHARES)
        if total > MOST_SHARED:
            problems.append(f"budget: the shares add up to {total:g}; allowed: up to {MOST_SHARED}, unusual counts need the rest")
    elif kind is StoreSection and "url" in known:
        scheme = known["url"].partition(":")[0]
        if not known["url"].startswith(("sqlite:///", "postgresql://", "postgresql+psycopg://")):
            problems.append(f"store.url: {scheme[:20]!r} is not a store; allowed: sqlite:///FILE or postgresql://USER@HOST/NAME")
    elif kind is PoliceFeed:
        if problem := address_problem(known.get("url", "https://polisen.se")):
            problems.append(f"police_feed.url: {problem}")
        if known.get("enabled") and not known.get("user_agent", "given").strip():
            problems.append(
                "police_feed.user_agent: is empty, but the police ask who fetches; "
                "write the service and who to reach, such as 'earlywarning (trygghet@example.se)'"
            )


def _calendar(value: Any, problems: list[str]) -> Calendar | None:
    """The calendar; its events are sections of their own."""
    if not isinstance(value, dict) or not isinstance(value.get("events", {}), dict):
        what = "calendar" if not isinstance(value, dict) else "calendar.events"
        example = "[calendar]" if what == "calendar" else "[calendar.events.valborg]"
        problems.append(f"{what}: must be a section with keys, as in {example}")
        return None
    events = {
        name: event
        for name, item in value.get("events", {}).items()
        if (event := _section(f"calendar.events.{name}", item, CalendarEvent, problems)) is not None
    }
    before = len(problems)
    calendar: Calendar = _section("calendar", {k: v for k, v in value.items() if k != "events"}, Calendar, problems)
    on = {name: event.on for name, event in events.items()}
    problems += [f"calendar.{problem}" for problem in calendar_problems(calendar.own_breaks, on)]
    if len(problems) == before and (problem := _country_problem(calendar.holidays)):
        problems.append(f"calendar.holidays: {problem}")
    return msgspec.structs.replace(calendar, events=events)


def _country_problem(country: str) -> str:
    """Why there are no holidays of a country; empty when there are."""
    if country in ("", "SE"):
        return ""
    from earlywarning.core.day_kinds import DayCalendar  # noqa: PLC0415  # the package of holidays: only where it is asked

    try:
        DayCalendar(country)
    except ValueError as error:
        return str(error)
    return ""


def _named(key: str, value: Any, kind: type[Section], problems: list[str]) -> dict[str, Any]:
    """Sections below one, by name; those that are wrong in themselves are left out."""
    if not isinstance(value, dict):
        problems.append(f"{key}: must hold a section for each, as in [{key}.coordination]")
        return {}
    read = {name: _section(f"{key}.{name}", item, kind, problems) for name, item in value.items()}
    return {name: one for name, one in read.items() if one is not None}


def _mappings(value: Any, problems: list[str]) -> dict[str, Mapping]:
    if not isinstance(value, dict):
        problems.append("mappings: must hold a section for each mapping, as in [mappings.wardens]")
        return {}
    out = {}
    for name, item in value.items():
        mapping = _section(f"mappings.{name}", item, Mapping, problems)
        if mapping is not None:
            out[name] = mapping
            problems += [f"mappings.{name}.{problem}" for problem in mapping_problems(mapping)]
    return out


def diff_settings(old: Settings, new: Settings) -> list[tuple[str, str, str]]:
    """(key, old value, new value) of every key that differs, values as JSON; an absent value is empty."""
    before, after = _flat(old), _flat(new)
    differing = sorted(key for key in before.keys() | after.keys() if before.get(key) != after.get(key))
    return [(k, without_password(before.get(k, "")), without_password(after.get(k, ""))) for k in differing]


def flat_settings(settings: Settings) -> dict[str, str]:
    """Every key with its value in force as JSON, defaults included; a password in the store's URL is starred out."""
    return {key: without_password(value) for key, value in _flat(settings).items()}


def _flat(settings: Settings) -> dict[str, str]:
    tree = msgspec.to_builtins(settings, enc_hook=str)
    return flatten({key: value for key, value in tree.items() if key not in ("text", "folder")})
