"""The tables of the documents: from facts and the inventory of fields."""

import tomllib
from collections.abc import Callable, Mapping
from importlib import resources

from earlywarning.documents.facts import Facts
from earlywarning.documents.inventory import WITHOUT_MONTHS, Field, Group, inventory
from earlywarning.locale import Language

Texts = Mapping[str, Mapping[str, str]]
Rows = list[list[str]]
Table = tuple[list[str], Rows]  # keys of the columns, and rows


def table(name: str, facts: Facts, texts: Texts, language: Language, values: Mapping[str, object]) -> Table:
    """A table by its name in the texts."""
    if name == "risks":
        rows: Rows = [[cell.format(**values) for cell in row] for row in texts["risks"]["rows"]]
        return ["risk", "measure", "remains"], rows
    return _TABLES[name](facts, texts["words"], language)


def kept_for(field_or_group: Field | Group, facts: Facts, words: Mapping[str, str]) -> str:
    """For how long, in words."""
    keep = field_or_group.keep
    if keep in WITHOUT_MONTHS:
        return words[keep].format(n=facts.settings.access.session_hours)
    return words.get(keep, words["months"]).format(n=facts.retention[keep])


def _said(of: object, name: str, language: Language) -> str:
    return str(getattr(of, f"{name}_{language}"))


def _groups(facts: Facts, words: Mapping[str, str], language: Language) -> Table:
    rows = [
        [_said(g, "name", language), _said(g, "why", language), words["yes" if g.personal else "no"], kept_for(g, facts, words),
         _said(g, "seen", language)]
        for g in inventory()
    ]  # fmt: skip
    return ["what", "why", "personal", "keep", "seen"], rows


def _fields(facts: Facts, words: Mapping[str, str], language: Language, *, personal_only: bool = False) -> Table:
    rows = [
        [_said(g, "name", language), f.name, str(getattr(f, language)), words[f.personal], kept_for(f, facts, words)]
        for g in inventory()
        for f in g.fields
        if f.personal != "no" or not personal_only
    ]
    return ["what", "field", "means", "personal", "keep"], rows


def _personal(facts: Facts, words: Mapping[str, str], language: Language) -> Table:
    return _fields(facts, words, language, personal_only=True)


def _retention(facts: Facts, words: Mapping[str, str], language: Language) -> Table:
    rows = []
    for key, months in facts.retention.items():
        what = list(dict.fromkeys(_said(g, "name", language) for g in inventory() for f in g.fields if key in (g.keep, f.keep)))
        rows.append([f"retention.{key}", words.get(key, words["months"]).format(n=months), "; ".join(what)])
    return ["key", "keep", "what"], rows


def _recipients(facts: Facts, words: Mapping[str, str], language: Language) -> Table:
    s = facts.settings
    rows = [[name, r.role, r.channel] for name, r in s.recipients.items()]
    rows += [[name, r.source, r.channel] for name, r in s.reporters.items()]
    return ["recipient", "role", "way"], rows or [[words["none"], "", ""]]


def _roles(facts: Facts, words: Mapping[str, str], language: Language) -> Table:
    rows = [[role, str(n)] for role, n in sorted(facts.roles.items())]
    return ["role", "number"], rows or [[words["none"], "0"]]


def _plans(facts: Facts, words: Mapping[str, str], language: Language) -> Table:
    rows = [[f"{p.number} ({p.version})", f"{p.applied_at:%Y-%m-%d}"] for p in facts.plans]
    return ["version", "since"], rows or [[words["none"], ""]]


def _settings(facts: Facts, words: Mapping[str, str], language: Language) -> Table:
    rows = [[version, f"{at:%Y-%m-%d}"] for version, at in facts.versions]
    return ["version", "since"], rows or [[words["none"], ""]]


def _years(facts: Facts, words: Mapping[str, str], language: Language) -> Table:
    rows = [[str(n) for n in (y.year, y.alerts, y.assessed, y.confirmed, y.with_measure, y.followed_up)] for y in facts.years]
    return ["year", "alerts", "assessed", "confirmed", "measures", "followed"], rows or [[words["none"], *["0"] * 5]]


def _measured(facts: Facts, words: Mapping[str, str], language: Language) -> Table:
    text = resources.files("earlywarning.documents").joinpath("measured.toml").read_text(encoding="utf-8")
    figures = tomllib.loads(text)["figures"]
    return ["figure", "value", "source"], [[f[language], f["value"], f["source"]] for f in figures]


def _forgotten(facts: Facts, words: Mapping[str, str], language: Language) -> Table:
    noted = facts.forgotten
    gone = noted.get("rows", {})
    rows = [[str(noted["on"]), what, str(n)] for what, n in gone.items()] if isinstance(gone, dict) and gone else []
    return ["since", "what", "number"], rows or [[words["none"], "", ""]]


_TABLES: Mapping[str, Callable[[Facts, Mapping[str, str], Language], Table]] = {
    "groups": _groups, "fields": _fields, "personal": _personal, "retention": _retention, "recipients": _recipients,
    "roles": _roles, "plans": _plans, "settings": _settings, "years": _years, "measured": _measured, "forgotten": _forgotten,
}  # fmt: skip
