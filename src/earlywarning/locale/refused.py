"""Why an event was refused, in the reader's words: by its rule and field, with the details of the English words."""

import re
import tomllib
from functools import cache
from importlib import resources
from string import Formatter
from typing import NamedTuple

from earlywarning.core.screening import RULE_TEXT
from earlywarning.locale.catalogue import Language, catalogue

_SUPPLIERS: Language = "en"  # what suppliers read, and what is kept of a refusal


class Told(NamedTuple):
    """A problem in words. foreign: it is in English, since there are no words of the reader's language for it."""

    words: str
    foreign: bool = False


@cache
def refused_texts(language: Language) -> dict[str, dict[str, str]]:
    """Names of rules (`rule`), problems by rule, or by rule and field (`problem`), and what each field wants (`wants`).

    The English problems are those that suppliers read: by them the details of one are found.
    """
    file = resources.files("earlywarning.locale").joinpath(f"refused_{language}.toml")
    return tomllib.loads(file.read_text(encoding="utf-8"))


def rule_name(rule: str, language: Language) -> str:
    """What a rule is called; an unknown one is its own name."""
    return refused_texts(language)["rule"].get(rule, rule)


def problem_words(rule: str, field: str, problem: str, language: Language) -> Told:
    """A problem as it is kept (in English) in the reader's language, with its details."""
    if language == _SUPPLIERS:
        return Told(problem)
    own = refused_texts(language)
    for key in (f"{rule}.{field}", rule):
        words, pattern = own["problem"].get(key), refused_texts(_SUPPLIERS)["problem"].get(key)
        if words is None or pattern is None:
            continue
        found = pattern_of(pattern).fullmatch(problem)
        wanted = own["wants"].get(field)
        if found is not None and (wanted or "{wanted}" not in words):
            return Told(words.format(**found.groupdict(), wanted=wanted))
    answer = answer_refusal(rule, field, language)  # one that came by a topic
    return Told(problem, foreign=True) if answer is None else Told(answer)


def answer_refusal(rule: str, field: str, language: Language) -> str | None:
    """Why an answer to an alert is refused, by an AnswerRule and its field; None where there are no words for the rule."""
    known = catalogue(language)["refusal"]
    return known.get(f"{rule}.{field}") or known.get(rule) or (known["personal-data"] if rule in RULE_TEXT else None)


@cache
def pattern_of(template: str) -> re.Pattern[str]:
    """What finds the details of a text that was made by a template."""
    parts = [re.escape(text) + (f"(?P<{name}>.*?)" if name else "") for text, name, _, _ in Formatter().parse(template)]
    return re.compile("".join(parts), re.DOTALL)
