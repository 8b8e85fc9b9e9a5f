"""The form of a draft: values of settings as fields, and fields and addresses as values of settings."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from earlywarning.settings_drafting import KEYS, Key
from earlywarning.web.pages.frame import Words

_BETWEEN = re.compile(r"[\s,;]+")
_DIGITS = 6
Getter = Callable[[str], Sequence[str]]


class Field(NamedTuple):
    """A key as it is asked for. written: what stands in the field; chosen: of a list of choices; changed: not what is in force."""

    key: Key
    id: str
    written: str
    chosen: tuple[str, ...]
    in_force: str
    changed: bool
    problem: str


def read_form(given: Getter) -> dict[str, Any]:
    """Every key from a form that has them all: a list of choices of which none is ticked is not sent, and empty."""
    return {name: _value(key, given(name)) for name, key in KEYS.items() if given(name) or key.kind == "choices"}


def read_address(given: Getter) -> dict[str, Any]:
    """The keys that an address names, such as ?detection.min_count=4&detection.windows=1,7."""
    return {name: _value(key, given(name)) for name, key in KEYS.items() if given(name)}


def _value(key: Key, texts: Sequence[str]) -> Any:
    """What was written, as a value; what is none stays a text, and is refused with what is allowed."""
    parts = [part for text in texts for part in _BETWEEN.split(text.strip()) if part]
    if key.kind == "choices":
        return parts
    if key.kind == "days":
        return [_number(part, int) for part in parts]
    if key.kind == "weights":
        lines = [line for text in texts for line in re.split(r"[\n;]", text) if line.strip()]
        pairs = [line.partition("=") for line in lines]
        return {code.strip().strip('"'): _number(weight, float) for code, _, weight in pairs}
    text = texts[0].strip()
    return text if key.kind == "choice" else _number(text, int if key.kind == "whole" else float)


def _number(text: str, kind: type[int] | type[float]) -> int | float | str:
    text = text.strip().replace(",", ".").replace("\N{MINUS SIGN}", "-")
    try:
        number = float(text)
    except ValueError:
        return text
    if kind is int and number.is_integer():
        return int(number)
    return number if number - number == 0 else text  # neither endless nor no number


def written(key: Key, value: Any) -> str:
    """A value as it stands in its field."""
    if key.kind == "days":
        return ", ".join(str(v) for v in value)
    if key.kind == "weights" and isinstance(value, dict):
        return "\n".join(f"{code} = {_plain(weight)}" for code, weight in value.items())
    return _plain(value)


def _plain(value: Any) -> str:
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def worded(t: Words, name: str, value: Any) -> str:
    """A value as people read it."""
    key = KEYS.get(name)
    if value is None or key is None:
        return "\N{EN DASH}" if value is None else str(value)
    if isinstance(value, list | tuple):
        return ", ".join(t("option", v) if v in key.options else str(v) for v in value) or "\N{EN DASH}"
    if isinstance(value, dict):
        return ", ".join(f"{code}: {_worded(t, weight)}" for code, weight in value.items()) or "\N{EN DASH}"
    return t("option", value) if value in key.options else _worded(t, value)


def _worded(t: Words, value: Any) -> str:
    return t.number(value, _DIGITS) if isinstance(value, int | float) and not isinstance(value, bool) else str(value)


def allowed(t: Words, key: Key) -> str:
    """What a key may be, in the reader's language."""
    if key.kind in ("choice", "choices"):
        return ", ".join(t("option", o) for o in key.options)
    low = t.number(key.low) if key.low is not None else t("settings", "above_zero")
    return t("settings", f"allowed_{key.kind}", low=low, high=t.number(key.high or 0))


def fields(t: Words, values: Mapping[str, Any], in_force: Mapping[str, Any], wrong: Mapping[str, str]) -> dict[str, list[Field]]:
    """All fields by section. values: what differs from what is in force."""
    out: dict[str, list[Field]] = {}
    for name, key in KEYS.items():
        value = values.get(name, in_force[name])
        chosen = tuple(map(str, value)) if key.kind == "choices" and isinstance(value, list) else ()
        field = Field(
            key, name.replace(".", "-"), written(key, value), chosen, worded(t, name, in_force[name]), value != in_force[name],
            wrong.get(name, ""),
        )  # fmt: skip
        out.setdefault(name.partition(".")[0], []).append(field)
    return out
