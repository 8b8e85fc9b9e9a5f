"""Keys that a draft of settings may change: what each may be, and the file's text with new values, its comments kept."""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple

import msgspec
import tomlkit
from msgspec import inspect
from tomlkit.items import Table

from earlywarning.core.settings_draft import SECTIONS, DraftError
from earlywarning.settings import Alerts, Budget, Detection, Settings, SettingsError, parse_settings
from earlywarning.settings_sections import Section
from earlywarning.settings_text import allowed_words

Kind = Literal["whole", "number", "days", "choices", "choice", "weights"]
_SECTIONS: dict[str, type[Section]] = {"detection": Detection, "alerts": Alerts, "budget": Budget}


class Key(NamedTuple):
    """A key: how it is asked for, its default, its bounds (of each item, for lists) and choices, and what is allowed in words."""

    name: str
    kind: Kind
    default: Any
    low: float | None
    high: float | None
    options: tuple[str, ...]
    allowed: str


def _key(name: str, field: msgspec.structs.FieldInfo, default: Any) -> Key:
    info: inspect.Type = inspect.type_info(field.type)
    kind: Kind = "number"
    options: tuple[str, ...] = ()
    if isinstance(info, inspect.ListType):
        info = info.item_type
        kind = "choices" if isinstance(info, inspect.LiteralType) else "days"
    elif isinstance(info, inspect.LiteralType):
        kind = "choice"
    elif isinstance(info, inspect.DictType):
        kind, info = "weights", info.value_type
    elif isinstance(info, inspect.IntType):
        kind = "whole"
    if isinstance(info, inspect.LiteralType):
        options = tuple(str(v) for v in info.values)
    low, high = getattr(info, "ge", None), getattr(info, "le", None)
    return Key(name, kind, default, low, high, options, allowed_words(field.type))


def _keys() -> dict[str, Key]:
    found = {}
    for section in SECTIONS:
        kind = _SECTIONS[section]
        defaults = msgspec.to_builtins(kind())
        for field in msgspec.structs.fields(kind):
            name = f"{section}.{field.name}"
            found[name] = _key(name, field, defaults[field.name])
    return found


KEYS: Mapping[str, Key] = _keys()


def values_of(settings: Settings) -> dict[str, Any]:
    """The value in force of every key that a draft may change."""
    return {f"{s}.{k}": v for s in SECTIONS for k, v in msgspec.to_builtins(getattr(settings, s)).items()}


def rewritten(text: str, changes: Mapping[str, Any]) -> str:
    """The file's text with other values; None takes a key out, so that its default holds. All else stays as it was written."""
    document = tomlkit.parse(text)
    for name, value in changes.items():
        section, key = name.split(".", 1)
        if section not in document:
            if value is None:
                continue
            document.add(tomlkit.nl())
            document.add(section, tomlkit.table())
        table = document[section]
        if not isinstance(table, dict):
            raise SettingsError([f"{section}: must be a section with keys, as in [{section}]"])
        if value is None:
            table.pop(key, None)
        elif isinstance(value, dict):
            weights = tomlkit.inline_table()
            weights.update(value)
            table.pop(key, None)  # it may be a section of its own, [budget.district_weights]
            table[key] = weights
        elif isinstance(table, Table) and key not in table:
            table.add(key, value)
        else:
            table[key] = value
    new = tomlkit.dumps(document)
    if _filled(tomllib.loads(new)) != _filled(_expected(text, changes)):
        raise SettingsError(["the file is laid out so that it cannot be rewritten safely; change it by hand"])
    return new


def _filled(document: dict[str, Any]) -> dict[str, Any]:
    return {name: part for name, part in document.items() if part != {}}


def _expected(text: str, changes: Mapping[str, Any]) -> dict[str, Any]:
    document = tomllib.loads(text)
    for name, value in changes.items():
        section, key = name.split(".", 1)
        if value is not None:
            document.setdefault(section, {})[key] = value
        else:
            document.get(section, {}).pop(key, None)
    return document


def tried(settings: Settings, changes: Mapping[str, Any]) -> Settings:
    """The settings with other values, as they would be read from the file. Raises DraftError with the problem of each key."""
    try:
        return parse_settings(rewritten(settings.text, changes), file="", folder=settings.folder)
    except SettingsError as error:
        raise refusal(error) from error


def refusal(error: SettingsError) -> DraftError:
    """What is wrong with settings, by the key that a draft may change."""
    found: dict[str, str] = {}
    for said in error.problems:
        place, _, words = said.partition(": ")
        key = max((k for k in KEYS if place == k or place.startswith((f"{k}.", f"{k}["))), key=len, default="")
        line = words if key else said
        found[key] = f"{found[key]}; {line}" if key in found else line
    return DraftError("invalid", "the settings would not be valid", found)


def restoring(text: str, earlier: str) -> dict[str, Any]:
    """Changes that bring back what an earlier file said of the keys that a draft may change; None where it did not say it."""
    now, then = (_said(t) for t in (text, earlier))
    return {k: then.get(k) for k in sorted(now.keys() | then.keys()) if now.get(k) != then.get(k)}


def _said(text: str) -> dict[str, Any]:
    document = tomllib.loads(text)
    return {f"{s}.{k}": v for s in SECTIONS for k, v in document.get(s, {}).items() if f"{s}.{k}" in KEYS}


def version_values(text: str, folder: Path) -> dict[str, Any]:
    """The values of a version that was in force; empty when this version of the service cannot read it any more."""
    try:
        return values_of(parse_settings(text, file="", folder=folder))
    except SettingsError:
        return {}
