"""From settings to the core's own values: registers, calendar and engine settings."""

from datetime import UTC, datetime, time
from functools import cache
from importlib import resources
from math import log10
from pathlib import Path

import numpy as np
import structlog
from numpy.typing import NDArray

from earlywarning.core.admission import AdmissionRules
from earlywarning.core.alerts import AlertSettings
from earlywarning.core.areas import AreaRegister, load_areas, municipality_only
from earlywarning.core.calendar import LocalCalendar
from earlywarning.core.categories import CategoryTree, load_categories
from earlywarning.core.detectors.expectation import ExpectationSettings
from earlywarning.core.detectors.pattern import Scorer
from earlywarning.core.engine import Engine
from earlywarning.core.events import KINDS, ORIGINS
from earlywarning.core.tallies import EngineSettings
from earlywarning.core.tendencies import TendencySettings
from earlywarning.core.watch import WatchSettings
from earlywarning.lab.models import ModelError, load_model
from earlywarning.runtimes.day_calendar import day_calendar
from earlywarning.settings import Budget, Settings, SettingsError

log = structlog.get_logger(__name__)
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


def register_files(settings: Settings) -> tuple[bytes | None, bytes]:
    """The files of areas (None: the municipality is one area) and categories. Raises SettingsError."""
    chosen = settings.registers
    areas = _read(settings, "areas", chosen.areas, "{name}/areas.geojson")[0] if chosen.areas else None
    return areas, _read(settings, "categories", chosen.categories, _categories_file(chosen.categories))[0]


def _categories_file(value: str) -> str:
    return "categories.csv" if value == "builtin:default" else "{name}/categories.csv"


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
    data, file = _read(settings, "categories", value, _categories_file(value))
    return load_categories(data, file=file)


def engine_settings(settings: Settings, today: datetime, register: AreaRegister, tree: CategoryTree) -> EngineSettings:
    """What the settings say to the core. today: wall time, from which the oldest day taken is reckoned.

    Raises SettingsError for a district that the register does not have.
    """
    oldest = settings.events.oldest or today.date().replace(year=today.year - _OLDEST_YEARS, day=1)
    detection, budget = settings.detection, settings.budget
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
            false_discovery_rate=budget.false_discovery_rate,
            area_bonus=_area_bonus(budget, register),
            category_bonus=_category_bonus(budget, tree),
        ),
        tendencies=TendencySettings(
            harm_limit=budget.severe_harm,
            rare_days=budget.severe_rare_days,
            first_share=budget.first_share,
            apart_share=budget.apart_share,
            drift_share=budget.drift_share,
            mixture_share=budget.mixture_share,
            harm_share=budget.harm_share,
        ),
        trained_model=budget.mixture == "model",
        alerts=AlertSettings(settle_after=settings.alerts.settle_after_days, version=settings.version),
        origins=tuple(ORIGINS.index(o) for o in detection.origins),
        kinds=tuple(KINDS.index(k) for k in detection.kinds),
        silence_recurrence_days=settings.alerts.silence_recurrence_days,
    )


def _area_bonus(budget: Budget, register: AreaRegister) -> tuple[float, ...]:
    """Powers of ten by area: the weight of the nearest area above (or itself) that the settings name."""
    if not budget.district_weights:
        return ()
    if unknown := [code for code in budget.district_weights if code not in register.codes]:
        names = ", ".join(repr(code) for code in unknown)
        raise SettingsError([f"budget.district_weights: the register of areas has no {names}; write codes of its areas"])
    weight = {register.codes.index(code): w for code, w in budget.district_weights.items()}
    out = []
    for above in register.ancestors.tolist():
        named = [weight[a] for a in above if a in weight]
        out.append(log10(named[0]) if named else 0.0)
    return tuple(out)


def _category_bonus(budget: Budget, tree: CategoryTree) -> tuple[float, ...]:
    """Powers of ten by category: the given power of its harm weight, beside that of the middle one."""
    if not budget.harm_weight:
        return ()
    harm = np.maximum(np.asarray(tree.harm, dtype=np.float64), 1e-6)
    # Held within a factor of a hundred, so that one category cannot spend the whole budget.
    bonus = np.clip(budget.harm_weight * np.log10(harm / np.median(harm)), -2.0, 2.0)
    return tuple(bonus.tolist())


@cache
def _trained() -> Scorer | None:
    try:
        return load_model()
    except ModelError as error:
        log.error("the model of usual mixtures is refused, mixtures are scored without it", problem=str(error))
        return None


class PatternModel:
    """The bundled model of usual mixtures, read when it is first asked: that takes a second or two, and few commands do.

    One that does not fit is refused, which is logged; the scores are then the plain ones.
    """

    def score_samples(self, X: NDArray[np.float64]) -> NDArray[np.float64]:  # scikit-learn's name
        """Log-density of each row, higher is more usual; without a model minus the sum of squares."""
        model = _trained()
        return -(X**2).sum(1) if model is None else model.score_samples(X)


def make_engine(settings: Settings, today: datetime) -> Engine:
    """An empty engine for these settings. Raises RegisterError, SettingsError, CalendarError."""
    calendar = LocalCalendar(settings.municipality.timezone)
    register, tree = area_register(settings), category_tree(settings)
    chosen = engine_settings(settings, today, register, tree)
    return Engine(register, tree, calendar, chosen, day_calendar(settings), PatternModel())
