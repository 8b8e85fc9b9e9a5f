"""Writes an action plan as TOML that reads back alike, and says what differs between two plans."""

import json
from collections.abc import Iterator
from datetime import date
from typing import Any

import msgspec

from earlywarning.core.action_plan import ActionPlan


def plan_toml(plan: ActionPlan) -> str:
    """The plan as TOML; what is left at its default is left out."""
    return "".join(_table((), _plain(plan))).lstrip("\n")


def plan_differences(old: ActionPlan, new: ActionPlan) -> list[tuple[str, str, str]]:
    """(where, before, after) of all that differs; empty where there was or is nothing. Parts are matched by their codes."""
    before, after = dict(_leaves("", _plain(old))), dict(_leaves("", _plain(new)))
    keys = dict.fromkeys([*before, *after])
    return [(key, before.get(key, ""), after.get(key, "")) for key in keys if before.get(key) != after.get(key)]


def _plain(record: msgspec.Struct) -> dict[str, Any]:
    """Fields that differ from their defaults, tables last as TOML wants them."""
    values: dict[str, Any] = {}
    for field in msgspec.structs.fields(record):
        value = getattr(record, field.name)
        if value is None or (not field.required and value == field.default):
            continue
        if isinstance(value, msgspec.Struct):
            values[field.name] = _plain(value)
        elif isinstance(value, tuple) and value and isinstance(value[0], msgspec.Struct):
            values[field.name] = [_plain(v) for v in value]
        else:
            values[field.name] = list(value) if isinstance(value, tuple) else value
    return dict(sorted(values.items(), key=lambda item: _is_table(item[1])))


def _is_table(value: Any) -> bool:
    return isinstance(value, dict) or (isinstance(value, list) and bool(value) and isinstance(value[0], dict))


def _table(path: tuple[str, ...], values: dict[str, Any]) -> Iterator[str]:
    for key, value in values.items():
        if isinstance(value, dict):
            yield f"\n[{'.'.join((*path, key))}]\n"
            yield from _table((*path, key), value)
        elif _is_table(value):
            for part in value:
                yield f"\n[[{'.'.join((*path, key))}]]\n"
                yield from _table((*path, key), part)
        else:
            yield f"{key} = {_value(value)}\n"


def _value(value: Any) -> str:
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, list):
        return f"[{', '.join(map(_value, value))}]"
    # A TOML basic string has JSON's escapes; DEL is the one character that TOML escapes and JSON does not.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007F")


def _leaves(path: str, value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _leaves(f"{path}.{key}" if path else key, inner)
    elif _is_table(value):
        for i, inner in enumerate(value):
            yield from _leaves(f"{path}[{inner.get('code', i + 1)}]", inner)
    else:
        yield path, ", ".join(map(str, value)) if isinstance(value, list) else str(value)
