"""Settings of a detection method from texts, name=value: R's names and ours, checked for name, kind and range."""

import difflib
import types
from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from earlywarning.core.detectors.status import DetectorError

# R's names for settings, where ours differ.
ALIASES = {
    "noPeriods": "no_periods", "pastWeeksNotIncluded": "past_weeks_not_included", "weightsThreshold": "weights_threshold",
    "pThresholdTrend": "p_threshold_trend", "limit54": "limit", "thresholdMethod": "threshold_method",
    "powertrans": "power_transform", "populationOffset": "population_offset",
    "epochAsDate": "by_date", "minSigma": "min_sigma", "actY": "act_y",
    "c.ARL": "threshold", "M": "window", "Mtilde": "shortest", "trans": "transform", "freq": "frequency", "S": "harmonics",
}  # fmt: skip
_TRUE, _FALSE = ("true", "t", "yes", "1"), ("false", "f", "no", "0")
_NOTHING = ("null", "none", "")


def read_settings(kinds: Sequence[type], preset: Mapping[str, Any], given: Sequence[str], frequency: int) -> dict[type, Any]:
    """Settings of each kind (dataclasses), from their defaults, the method's own presets, and what is given.

    Raises DetectorError naming the setting: unknown (with what is allowed), given twice, of another kind, out of range.
    """
    hints = {name: (kind, hint) for kind in kinds for name, hint in get_type_hints(kind).items()}
    names = [f.name for kind in kinds for f in fields(kind)]
    allowed = [name for name in names if name not in preset]
    values: dict[type, dict[str, Any]] = {kind: {} for kind in kinds}
    for name, value in [*preset.items(), ("frequency", frequency)]:
        if name in names:
            values[hints[name][0]][name] = value
    seen: set[str] = set()
    for text in given:
        key, equals, value = (part.strip() for part in text.partition("="))
        name = ALIASES.get(key, key)
        if not equals or name not in allowed:
            raise DetectorError(_unknown(text if not equals else key, allowed))
        if name in seen:
            raise DetectorError(f"{key} is set twice; give it once")
        seen.add(name)
        kind, hint = hints[name]
        values[kind][name] = _value(key, value.strip("\"'"), hint)
    made = {kind: kind(**values[kind]) for kind in kinds}
    for one in made.values():
        if hasattr(one, "check"):
            one.check()
    return made


def _unknown(key: str, allowed: Sequence[str]) -> str:
    in_r = {ours: theirs for theirs, ours in ALIASES.items()}
    close = difflib.get_close_matches(key, [*allowed, *(in_r[name] for name in allowed if name in in_r)], 1, 0.5)
    hint = f"did you mean {close[0]}? " if close else ""
    listed = ", ".join(f"{name} ({in_r[name]})" if name in in_r else name for name in allowed)
    return f"there is no setting {key!r} here; {hint}settings are {listed}, given as name=value"


def _value(name: str, text: str, hint: Any) -> Any:
    """A text as the kind that the setting has."""
    kinds = get_args(hint) if get_origin(hint) in (Union, types.UnionType) else (hint,)
    if type(None) in kinds:
        if text.lower() in _NOTHING:
            return None
        kinds = tuple(kind for kind in kinds if kind is not type(None))
    kind = kinds[0]
    if get_origin(kind) is Literal:
        if text not in get_args(kind):
            close = difflib.get_close_matches(text, get_args(kind), 1, 0.5)
            raise DetectorError(
                f"{name} = {text!r}: {f'did you mean {close[0]}? ' if close else ''}one of {', '.join(get_args(kind))}"
            )
        return text
    try:
        if kind is bool:
            return {**dict.fromkeys(_TRUE, True), **dict.fromkeys(_FALSE, False)}[text.lower()]
        if get_origin(kind) is tuple:
            parts = tuple(int(part) for part in text.removeprefix("c").strip("()").split(","))
            if len(parts) != len(get_args(kind)):
                raise ValueError
            return parts
        if kind is int:
            return int(text)
        return _finite(float(text))
    except (KeyError, ValueError):
        must = {bool: "true or false", int: "a whole number", float: "a number"}.get(kind, "two whole numbers, as in 5,4")
        raise DetectorError(f"{name} = {text!r}: must be {must}") from None


def _finite(number: float) -> float:
    if number - number != 0:
        raise ValueError
    return number
