"""The texts of both languages, from one file each, and how numbers, days and chances are written."""

import math
import tomllib
from collections.abc import Sequence
from datetime import date
from functools import cache
from importlib import resources
from typing import Literal

from babel import Locale
from babel.dates import format_date
from babel.lists import format_list
from babel.numbers import format_decimal, format_percent

Language = Literal["sv", "en"]
LANGUAGES: tuple[Language, ...] = ("sv", "en")
_LOCALE = {"sv": "sv_SE", "en": "en_GB"}
_CENTURY = 36_525.0  # days
_NEXT_TO_NOTHING = 0.01  # events: what a sum of shares may be off a whole number
# Up to how many days a chance is told in a unit, and the unit's length in days. Each limit lies where the next unit
# has become fine enough: rounded to it, a chance is told within a fifth of what it is.
_CHANCE_UNITS = ((27.5, "days", 1.0), (84.0, "weeks", 7.0), (640.0, "months", 30.44), (_CENTURY, "years", 365.25))


@cache
def catalogue(language: Language) -> dict[str, dict[str, str]]:
    """All texts of a language: section, key, text."""
    return tomllib.loads(resources.files("earlywarning.locale").joinpath(f"{language}.toml").read_text(encoding="utf-8"))


def text(language: Language, key: str, section: str = "text", /, **values: object) -> str:
    """A text with its values put in."""
    return catalogue(language)[section][key].format(**values)


def counted_text(language: Language, key: str, count: float, section: str = "text", /, digits: int = 0, **values: object) -> str:
    """A text in the singular or plural that a count asks for: the key with _one or _other; the count itself is {n}."""
    shown = round(count, digits)
    if shown == 0 and count >= _NEXT_TO_NOTHING:
        shown = 1  # told as "less than one"
    # A whole number must be an int here: to the plural rules 1.0 is a number with a decimal, hence a plural.
    form = Locale.parse(_LOCALE[language]).plural_form(int(shown) if shown == int(shown) else shown)
    return text(language, f"{key}_{form}", section, n=count_words(count, language, digits), **values)


def label(key: str, language: Language) -> str:
    """A heading or the name of a state, an outcome, a tendency; an unknown key is its own name."""
    return catalogue(language)["label"].get(key, key)


def list_words(items: Sequence[str], language: Language) -> str:
    """Several names as one list: "a, b and c"."""
    return str(format_list(list(items), locale=_LOCALE[language]))


def day_words(day: date, language: Language, *, year: bool = True) -> str:
    """A day with its weekday, such as "Sunday 12 April 2026"."""
    words = format_date(day, "EEEE d MMMM y" if year else "EEEE d MMMM", locale=_LOCALE[language])
    return str(words)


def count_words(count: float, language: Language, digits: int = 0) -> str:
    """A count: whole numbers as they are, fractions (from events spread over days) rounded, and said to be so."""
    if abs(count - round(count)) < _NEXT_TO_NOTHING and (not digits or count == round(count)):
        return number_words(round(count), language)
    shown = round(count, digits)
    return text(language, "about", n=number_words(shown, language, digits)) if shown > 0 else text(language, "under_one")


def expected_words(expectation: float, language: Language) -> str:
    """An expectation: no digits that it does not have."""
    if expectation < 0.75:
        return text(language, "under_one")
    return text(language, "about", n=number_words(expectation, language, 0))


def floor_words(bound: float, language: Language, digits: int = 0) -> str:
    """A bound rounded down: counts above the number told are those above the bound."""
    return number_words(rounded_down(bound, digits), language, digits)


def rounded_down(bound: float, digits: int) -> float:
    """A bound rounded down to so many decimals."""
    scale = float(10**digits)
    return math.floor(bound * scale) / scale


def number_words(value: float, language: Language, digits: int = 1) -> str:
    """A number for a table, with so many decimals at most."""
    return str(format_decimal(round(value, digits), locale=_LOCALE[language], decimal_quantization=False))


def percent_words(share: float, language: Language) -> str:
    """A share as whole percent, also none and all of it."""
    return str(format_percent(share, locale=_LOCALE[language]))


def share_words(share: float, language: Language) -> str:
    """A share in whole per cent, at least one."""
    return str(format_percent(max(round(share, 2), 0.01), locale=_LOCALE[language]))


def chance_words(days: float, language: Language) -> str:
    """How seldom, in the unit that a person would use: days between two such happenings."""
    if days < 7:
        return text(language, "often", "chance")
    for most, unit, length in _CHANCE_UNITS:
        if days <= most:
            n = round(days / length)
            if (unit, n) in (("days", 7), ("months", 12)):
                return text(language, "week" if unit == "days" else "year", "chance")
            small = catalogue(language)["numeral"].get(str(n))
            return text(language, unit, "chance", n=small or number_words(n, language))
    return text(language, "never", "chance")
