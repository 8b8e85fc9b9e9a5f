"""The pages' texts: both languages say the same, and every text that a page asks for is there."""

import re
from importlib import resources
from string import Formatter

import pytest

from earlywarning.locale import LANGUAGES, Language
from earlywarning.locale.catalogue import catalogue
from earlywarning.locale.pages import page_counted, page_text, page_texts

ASKED = re.compile(r't\("([a-z_]+)", "([a-zA-Z_-]+)"|counted\("([a-z_]+)", "([a-z_]+)"|t\(\'([a-z_]+)\', \'([a-zA-Z_-]+)\'')


def templates() -> list[str]:
    folder = resources.files("earlywarning.web").joinpath("templates", "pages")
    return [f.read_text(encoding="utf-8") for f in folder.iterdir() if f.name.endswith(".html")]


def test_both_languages_have_the_same_texts_with_the_same_places() -> None:
    def every(language: Language) -> dict[tuple[str, str], set[str]]:
        return {
            (section, key): {field for _, field, _, _ in Formatter().parse(text) if field is not None}
            for section, part in page_texts(language).items()
            for key, text in part.items()
        }

    assert every("sv") == every("en")


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_text_that_a_page_asks_for_is_there(language: Language) -> None:
    texts = {**catalogue(language), **page_texts(language)}
    found = [m.groups() for template in templates() for m in ASKED.finditer(template)]
    assert len(found) > 150
    for group in found:
        section, key = [g for g in group if g]
        assert section in texts, section
        known = {k.removesuffix("_one") for k in texts[section]} | set(texts[section])
        assert key in known or any(k.startswith(key) for k in known), (section, key)


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_text_speaks_of_risk_or_of_more_crime(language: Language) -> None:
    said = " ".join(text for part in page_texts(language).values() for text in part.values()).casefold()
    assert not re.search(r"\brisk|more crime\b|fler brott i|högre brottslighet|farlig|dangerous|worst|värst", said)


def test_a_number_asks_for_singular_or_plural() -> None:
    assert page_counted("sv", "inbox", "count", 1) == "1 varning"
    assert page_counted("en", "inbox", "count", 2) == "2 alerts"
    assert page_text("sv", "stage", "new") == "ny"  # of the catalogue, where the pages have no such section
