"""From settings to the core's own values: registers, calendar and engine settings."""

from datetime import UTC, datetime, time
from importlib import resources
from pathlib import Path

from earlywarning.core.admission import AdmissionRules
from earlywarning.core.alerts import AlertSettings
from earlywarning.core.areas import AreaRegister, load_areas, municipality_only
from earlywarning.core.calendar import LocalCalendar
from earlywarning.core.categories import CategoryTree, load_categories
from earlywarning.core.detectors.expectation import ExpectationSettings
from earlywarning.core.engine import Engine
from earlywarning.core.events import KINDS, ORIGINS
from earlywarning.core.tallies import EngineSettings
from earlywarning.core.watch import WatchSettings
from earlywarning.runtimes.day_calendar import day_calendar
from earlywarning.settings import Settings, SettingsError

_OLDEST_YEARS = 15  # what is older than this is taken for a wrong date unless the settings say otherwise


def _read(settings: Settings, key: str, value: str, builtin: str) -> tuple[bytes, str]:
    """Bytes and name of a register's file: of the package, or beside the settings file."""
    if value.startswith("builtin:"):
        name = value.removeprefix("builtin:")
        file = resources.files("earlywarning.data").joinpath(*builtin.format(name=name).split("/"))
        if not file.is_file():
            raise SettingsError([f"registers.{key}: there is no built-in register {name!r}"])
        return file.read_bytes(), f"{value}/{Path(builtin).name}"
    path = settings.folder / value
    try:
        return path.read_bytes(), value
    except OSError as error:
        raise SettingsError([f"registers.{key}: {value} cannot be read ({error.strerror}); give a path or builtin:NAME"]) from error


def area_register(settings: Settings) -> AreaRegister:
    """The municipality's areas. Raises RegisterError, SettingsError."""
    own = settings.municipality
    if not settings.registers.areas:
        return municipality_only(own.code, own.name)
    data, file = _read(settings, "areas", settings.registers.areas, "{name}/areas.geojson")
    properties = {str(field): name for field, name in settings.registers.area_properties.items()}
    return load_areas(data, file=file, municipality=own.code, municipality_name=own.name, properties=properties)


def category_tree(settings: Settings) -> CategoryTree:
    """The categories. Raises RegisterError, SettingsError."""
    value = settings.registers.categories
    builtin = "categories.csv" if value == "builtin:default" else "{name}/categories.csv"
    data, file = _read(settings, "categories", value, builtin)
    return load_categories(data, file=file)


def engine_settings(settings: Settings, today: datetime) -> EngineSettings:
    """What the settings say to the core. today: wall time, from which the oldest day taken is reckoned."""
    oldest = settings.events.oldest or today.date().replace(year=today.year - _OLDEST_YEARS, day=1)
    detection = settings.detection
    return EngineSettings(
        admission=AdmissionRules(
            future_tolerance=settings.events.future_tolerance_minutes * 60,
            longest_interval=settings.events.longest_interval_days,
            oldest=int(datetime.combine(oldest, time(), tzinfo=UTC).timestamp()) - 14 * 3600,
        ),
        watch=WatchSettings(
            windows=tuple(sorted(set(detection.windows))),
            years=detection.years,
            min_years=detection.min_years,
            min_count=detection.min_count,
            lateness=settings.events.lateness_days,
            false_alarms_per_week=settings.alerts.false_alarms_per_week,
            baseline=ExpectationSettings(guard=detection.guard_days),
        ),
        alerts=AlertSettings(settle_after=settings.alerts.settle_after_days, version=settings.version),
        origins=tuple(ORIGINS.index(o) for o in detection.origins),
        kinds=tuple(KINDS.index(k) for k in detection.kinds),
        silence_recurrence_days=settings.alerts.silence_recurrence_days,
    )


def make_engine(settings: Settings, today: datetime) -> Engine:
    """An empty engine for these settings. Raises RegisterError, SettingsError, CalendarError."""
    calendar = LocalCalendar(settings.municipality.timezone)
    chosen = engine_settings(settings, today)
    return Engine(area_register(settings), category_tree(settings), calendar, chosen, day_calendar(settings))
