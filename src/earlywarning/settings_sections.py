"""The sections of a settings file: their keys, what each may be, and its default."""

from datetime import date
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

Language = Literal["sv", "en"]


class Section(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A section of the file; its keys are the fields."""


class Municipality(Section, frozen=True, kw_only=True):
    """Whom the service is for. language: of alerts and pages when nobody asks for another."""

    code: Annotated[
        str,
        Meta(
            pattern="^[0-9A-Z][0-9A-Z-]{1,11}$",
            description='2 to 12 digits, capital letters and hyphens in quotes, such as "0380"',
        ),
    ]
    name: Annotated[str, Meta(min_length=1, max_length=80)]
    timezone: str = "Europe/Stockholm"
    language: Language = "sv"


class Registers(Section, frozen=True, kw_only=True):
    """Areas and categories: a path beside the settings file, or builtin:NAME; no areas = the municipality as one."""

    areas: str = ""
    area_properties: dict[Literal["code", "name", "parent", "population"], str] = {}
    categories: str = "builtin:default"


class Service(Section, frozen=True, kw_only=True):
    """Where the service listens. clock: "wall" closes days as time passes, "events" only as events arrive.

    public_url: where people reach it, for links in messages; without it, messages have no links.
    """

    host: Annotated[str, Meta(min_length=1)] = "127.0.0.1"
    port: Annotated[int, Meta(ge=0, le=65535)] = 8620
    clock: Literal["wall", "events"] = "wall"
    max_body_megabytes: Annotated[int, Meta(ge=1, le=1024)] = 16
    public_url: Annotated[
        str, Meta(pattern="^(https?://[^\\s@?#]+)?$", description="an address such as https://est.example.se")
    ] = ""


class StoreSection(Section, frozen=True, kw_only=True):
    """The SQL store. A relative SQLite path is relative to the settings file."""

    url: str = "sqlite:///earlywarning.db"


class Events(Section, frozen=True, kw_only=True):
    """What is taken. lateness_days: how long a day's counts may still raise an alert."""

    future_tolerance_minutes: Annotated[int, Meta(ge=0, le=1440)] = 10
    longest_interval_days: Annotated[int, Meta(ge=1, le=366)] = 366
    lateness_days: Annotated[int, Meta(ge=0, le=28)] = 7
    oldest: date | None = None


class Detection(Section, frozen=True, kw_only=True):
    """How counts are judged. windows in days; years of history used at most and needed at least."""

    windows: Annotated[list[Annotated[int, Meta(ge=1, le=56)]], Meta(min_length=1, max_length=12)] = msgspec.field(
        default_factory=lambda: [1, 3, 7, 14, 28]
    )
    years: Annotated[int, Meta(ge=2, le=10)] = 5
    min_years: Annotated[int, Meta(ge=0, le=10)] = 1
    min_count: Annotated[int, Meta(ge=1, le=1000)] = 3
    guard_days: Annotated[int, Meta(ge=0, le=182)] = 28
    origins: Annotated[list[Literal["reported", "discovered", "tasked"]], Meta(min_length=1)] = msgspec.field(
        default_factory=lambda: ["reported"]
    )
    kinds: Annotated[list[Literal["incident", "report"]], Meta(min_length=1)] = msgspec.field(
        default_factory=lambda: ["incident", "report"]
    )


class Alerts(Section, frozen=True, kw_only=True):
    """false_alarms_per_week: how many alerts a week chance alone may cause in the whole municipality."""

    false_alarms_per_week: Annotated[float, Meta(gt=0, le=1000)] = 1.0
    settle_after_days: Annotated[int, Meta(ge=1, le=60)] = 7
    silence_recurrence_days: Annotated[float, Meta(ge=7, le=100000)] = 365.0


class Budget(Section, frozen=True, kw_only=True):
    """How false alarms are shared out, and which events are severe.

    Shares are of alerts.false_alarms_per_week; unusual counts have what the others leave; a share of 0 switches a tendency
    off. district_weights: how many times as many false alarms an area may have as others, by code, with all in it.
    harm_weight: 0, or the power of a category's harm weight by which it may have more. false_discovery_rate: 0, or
    the share of false ones among alerts about counts that is held in place of a number a week. mixture: how unusual
    mixtures are scored.
    """

    first_share: Annotated[float, Meta(ge=0, le=0.5)] = 0.02
    apart_share: Annotated[float, Meta(ge=0, le=0.5)] = 0.02
    drift_share: Annotated[float, Meta(ge=0, le=0.5)] = 0.02
    mixture_share: Annotated[float, Meta(ge=0, le=0.5)] = 0.02
    harm_share: Annotated[float, Meta(ge=0, le=0.5)] = 0.02
    district_weights: dict[str, Annotated[float, Meta(ge=0.01, le=100)]] = {}
    harm_weight: Annotated[float, Meta(ge=0, le=2)] = 0.0
    false_discovery_rate: Annotated[float, Meta(ge=0, le=0.9)] = 0.0
    severe_harm: Annotated[float, Meta(gt=0, le=1e9)] = 200.0
    severe_rare_days: Annotated[float, Meta(gt=0, le=36500)] = 30.0
    mixture: Literal["model", "plain"] = "model"


class CalendarEvent(Section, frozen=True, kw_only=True):
    """A local event: on days such as 2025-05-17, or every year such as 04-30, and so many days around it.

    areas: codes of those it is in; none: all.
    """

    on: Annotated[list[str], Meta(min_length=1)]
    days_before: Annotated[int, Meta(ge=0, le=30)] = 0
    days_after: Annotated[int, Meta(ge=0, le=30)] = 0
    areas: list[str] = []


class Calendar(Section, frozen=True, kw_only=True):
    """Which days are unlike others. holidays: a country, or one with a part such as CA-ON. region: whose school breaks.

    own_breaks: school breaks of the municipality by name, each as 2025-02-17..2025-02-21; they replace those of their years.
    """

    holidays: Annotated[
        str,
        Meta(
            pattern="^([A-Z]{2}(-[A-Z0-9]{1,3})?)?$",
            description='a country such as "SE", one with a part such as "CA-ON", or "" for none',
        ),
    ] = "SE"
    school_breaks: bool = True
    region: Annotated[
        str,
        Meta(
            pattern="^([0-9]{2}|[0-9]{4})?$",
            description='a county of 2 digits or a municipality of 4 in quotes, such as "03", or "" for municipality.code',
        ),
    ] = ""
    own_breaks: dict[str, list[str]] = {}
    events: dict[str, CalendarEvent] = {}


class Mapping(Section, frozen=True, kw_only=True):
    """How a supplier's file becomes events: columns by event field, constants, translated values, rows to leave out."""

    columns: Annotated[dict[str, str], Meta(min_length=1)]
    constants: dict[str, str] = {}
    values: dict[str, dict[str, str]] = {}
    skip: dict[str, list[str]] = {}
    timestamp_format: str = ""
    timezone: str = ""
    delimiter: Annotated[str, Meta(pattern='^[^"\r\n]$', description="one character, such as , or ;")] = ","
    encoding: str = "utf-8"


class PoliceFeed(Section, frozen=True, kw_only=True):
    """The Swedish police's public feed: at most 60 requests an hour, with a User-Agent that says who asks."""

    enabled: bool = False
    url: str = "https://polisen.se/api/events"
    every_minutes: Annotated[int, Meta(ge=1, le=1440)] = 5
    user_agent: Annotated[str, Meta(pattern="^[ -~]*$", max_length=200, description="up to 200 plain ASCII characters")] = ""
    timeout_seconds: Annotated[float, Meta(gt=0, le=120)] = 20.0


class Kafka(Section, frozen=True, kw_only=True):
    """How workers, desk and suppliers reach the brokers, and how the topics are made.

    brokers: host:port, several with commas. prefix: of the names of topics and consumer groups. password_file: a file that
    holds the password of username; without it, the environment variable EARLYWARNING_KAFKA_PASSWORD. worker_host,
    worker_port: where a worker answers for its metrics and health. session_seconds: how long a worker that is silent keeps
    its partitions. clock: "wall" closes days as time passes, "events" only as events arrive.
    """

    brokers: Annotated[
        str,
        Meta(pattern="^[^\\s,]+:[0-9]+(,[^\\s,]+:[0-9]+)*$", description="host:port, several with commas"),
    ] = "127.0.0.1:9092"
    prefix: Annotated[str, Meta(pattern="^[a-z0-9][a-z0-9.-]{0,60}$", description="small letters, digits, dots and hyphens")] = (
        "earlywarning"
    )
    partitions: Annotated[int, Meta(ge=1, le=1000)] = 12
    replication: Annotated[int, Meta(ge=1, le=9)] = 1
    retention_days: Annotated[int, Meta(ge=1, le=3650)] = 30
    security: Literal["plaintext", "ssl", "sasl_plaintext", "sasl_ssl"] = "plaintext"
    mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = "SCRAM-SHA-512"
    username: str = ""
    password_file: str = ""
    ca_file: str = ""
    cert_file: str = ""
    key_file: str = ""
    worker_host: Annotated[str, Meta(min_length=1)] = "127.0.0.1"
    worker_port: Annotated[int, Meta(ge=0, le=65535)] = 9464
    session_seconds: Annotated[int, Meta(ge=6, le=300)] = 15
    clock: Literal["wall", "events"] = "wall"
