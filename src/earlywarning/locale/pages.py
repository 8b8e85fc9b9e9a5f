"""The texts of the pages in both languages; texts about alerts and casework are those of the catalogue."""

import tomllib
from functools import cache
from importlib import resources

from babel import Locale

from earlywarning.locale.catalogue import Language, catalogue, number_words


@cache
def page_texts(language: Language) -> dict[str, dict[str, str]]:
    """All texts of the pages: section, key, text."""
    return tomllib.loads(resources.files("earlywarning.locale").joinpath(f"pages_{language}.toml").read_text(encoding="utf-8"))


def page_text(language: Language, section: str, key: str, /, **values: object) -> str:
    """A text with its values put in: of the pages, or where they have no such section, of the catalogue."""
    texts = page_texts(language)
    return (texts[section] if section in texts else catalogue(language)[section])[key].format(**values)


def page_counted(language: Language, section: str, key: str, n: int, /, **values: object) -> str:
    """A text in the singular or plural that a whole number asks for; the number itself is {n}."""
    form = Locale.parse({"sv": "sv_SE", "en": "en_GB"}[language]).plural_form(n)
    return page_text(language, section, f"{key}_{form}", n=number_words(n, language, 0), **values)
