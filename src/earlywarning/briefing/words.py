"""The picture's own texts in both languages, and how its numbers are told: rounded, without digits that they do not have."""

import math
import tomllib
from datetime import date
from functools import cache
from importlib import resources

from babel import Locale

from earlywarning.locale import Language
from earlywarning.locale.catalogue import day_words, list_words, number_words

HIDDEN = ".."  # as Statistics Sweden writes what may not be shown


@cache
def texts(language: Language) -> dict[str, dict[str, str]]:
    """All texts of a language: section, key, text."""
    return tomllib.loads(resources.files("earlywarning.briefing").joinpath(f"{language}.toml").read_text(encoding="utf-8"))


def say(language: Language, section: str, key: str, /, **values: object) -> str:
    """A text with its values put in."""
    return texts(language)[section][key].format(**values)


def said_count(language: Language, key: str, n: int, /, section: str = "text", **values: object) -> str:
    """A text in the singular or plural that a number asks for; the number itself is {n}."""
    form = Locale.parse(language).plural_form(n)
    return say(language, section, f"{key}_{form}", n=number_words(n, language, 0), **values)


def whole(count: float, language: Language) -> str:
    """A count as a whole number; a small share of an event (spread over days) is "less than 1"."""
    if 0 < count < 0.5:
        return say(language, "text", "under", n=1)
    return number_words(round(count), language, 0)


def rounded(value: float, language: Language) -> str:
    """An expectation: whole, from a hundred on with two digits that count."""
    return number_words(_coarse(value), language, 0) if value >= 0.75 else say(language, "text", "under", n=1)


def about(value: float, language: Language) -> str:
    """An expectation inside a sentence."""
    return say(language, "text", "about", n=rounded(value, language)) if value >= 0.75 else rounded(value, language)


def ratio_words(low: float, high: float, language: Language) -> str:
    """An interval of a ratio, one decimal; two where one would round a change away."""
    lower, upper = (_ratio(v, language) for v in (low, high))
    if low <= 0:
        return say(language, "text", "interval_upto", high=upper)
    return say(language, "text", "interval", low=lower, high=upper)


def hour_words(hours: float, language: Language) -> str:
    """A delay in hours, from two days on in days."""
    if hours >= 48:
        return said_count(language, "days", round(hours / 24))
    return said_count(language, "hours", max(round(hours), 1))


def short_day(day: date, language: Language, *, year: bool = False) -> str:
    """A day with its weekday, without the year unless asked."""
    return day_words(day, language, year=year)


def listing(items: list[str], language: Language) -> str:
    """Several names as one list."""
    return list_words(items, language)


def _coarse(value: float) -> float:
    if value < 100:
        return round(value)
    unit = 10 ** (int(math.log10(value)) - 1)
    return float(round(value / unit) * unit)


def _ratio(value: float, language: Language) -> str:
    digits = 0 if value >= 10 else 1
    if round(value, digits) == 1.0:
        digits = 2
    return number_words(value, language, digits)
