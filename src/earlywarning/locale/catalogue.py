"""The texts of both languages, from one file each, and how numbers, days and chances are written."""

import tomllib
from datetime import date
from functools import cache
from importlib import resources
from typing import Literal

from babel.dates import format_date
from babel.numbers import format_decimal, format_percent

Language = Literal["sv", "en"]
LANGUAGES: tuple[Language, ...] = ("sv", "en")
_LOCALE = {"sv": "sv_SE", "en": "en_GB"}


@cache
def catalogue(language: Language) -> dict[str, dict[str, str]]:
    """All texts of a language: section, key, text."""
    return tomllib.loads(resources.files("earlywarning.locale").joinpath(f"{language}.toml").read_text(encoding="utf-8"))


def text(language: Language, key: str, section: str = "text", /, **values: object) -> str:
    """A text with its values put in."""
    return catalogue(language)[section][key].format(**values)


def label(key: str, language: Language) -> str:
    """A heading or the name of a state, an outcome, a tendency."""
    return catalogue(language)["label"].get(key, key)


def day_words(day: date, language: Language, *, year: bool = True) -> str:
    """A day with its weekday, such as "Sunday 12 April 2026"."""
    words = format_date(day, "EEEE d MMMM y" if year else "EEEE d MMMM", locale=_LOCALE[language])
    return str(words)


def count_words(value: float, language: Language) -> str:
    """A count: whole numbers as they are, fractions (from events spread over days) rounded."""
    whole = round(value)
    if abs(value - whole) < 0.01:
        return str(format_decimal(whole, locale=_LOCALE[language]))
    return text(language, "about", n=format_decimal(max(whole, 1), locale=_LOCALE[language]))


def expected_words(value: float, language: Language) -> str:
    """An expectation: no digits that it does not have."""
    if value < 0.75:
        return text(language, "under_one")
    return text(language, "about", n=format_decimal(round(value), locale=_LOCALE[language]))


def number_words(value: float, language: Language, digits: int = 1) -> str:
    """A number for a table, with so many decimals at most."""
    return str(format_decimal(round(value, digits), locale=_LOCALE[language], decimal_quantization=False))


def share_words(value: float, language: Language) -> str:
    """A share in per cent."""
    return str(format_percent(round(value, 2), locale=_LOCALE[language]))


def chance_words(days: float, language: Language) -> str:
    """How seldom, in the unit that a person would use."""
    if days < 7:
        return text(language, "often", "chance")
    for most, unit, length in (
        (28, "days", 1.0),
        (91, "weeks", 7.0),
        (730, "months", 30.44),
        (36_525, "years", 365.25),
    ):
        if days < most:
            n = format_decimal(round(days / length), locale=_LOCALE[language])
            return text(language, unit, "chance", n=n)
    return text(language, "never", "chance")
