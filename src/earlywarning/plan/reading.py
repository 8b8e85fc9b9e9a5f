"""Reads an action plan from a TOML or CSV file: every error with its place in the file, all at once."""

import re
import tomllib
from collections.abc import Mapping
from typing import Any

import msgspec

from earlywarning.core.action_plan import Action, ActionPlan, Priority, Promise
from earlywarning.core.areas import AreaRegister
from earlywarning.core.categories import CategoryTree
from earlywarning.core.plan_check import Path, PlanError, check_plan
from earlywarning.plan.rows import parse_rows

_PARTS: Mapping[str, type[msgspec.Struct]] = {"priorities": Priority, "promises": Promise, "actions": Action}
_AT = re.compile(r"^(?P<words>.*?)(?: - at `\$(?P<path>.*)`)?$", re.DOTALL)
_STEP = re.compile(r"\.([A-Za-z_]+)|\[(\d+)\]")


def read_plan(data: bytes, file: str, register: AreaRegister, tree: CategoryTree) -> ActionPlan:
    """A plan that fits the registers. file: its name, which says by its ending whether it is TOML or CSV.

    Raises PlanError with all problems.
    """
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise PlanError([f"{file}, line {line}: not UTF-8; save the file as UTF-8"]) from error
    lower = file.lower()
    if lower.endswith(".csv"):
        raw, places = parse_rows(text, file)
    elif lower.endswith(".toml"):
        raw, places = _toml(text, file)
    else:
        raise PlanError([f"{file}: an action plan is read from a .toml or a .csv file"])
    return plan_of(raw, file, places, register, tree)


def plan_of(
    raw: Mapping[str, Any], file: str, places: Mapping[Path, str], register: AreaRegister, tree: CategoryTree
) -> ActionPlan:
    """A plan from plain values. places: where in the file a part stands, for those that have a name of their own there."""
    problems: list[str] = []
    parts: dict[str, list[Any]] = {}
    for name, kind in _PARTS.items():
        parts[name] = []
        given = raw.get(name, [])
        if not isinstance(given, list):
            problems.append(f"{file}, {name}: must be a list; write [[{name}]] before each")
            continue
        for i, value in enumerate(given):
            try:
                parts[name].append(msgspec.convert(value, kind, strict=False))
            except msgspec.ValidationError as error:
                problems.append(_said(error, (name, i), file, places))
    head = {key: value for key, value in raw.items() if key not in _PARTS}
    try:
        plan = msgspec.convert(head, ActionPlan, strict=False)
    except msgspec.ValidationError as error:
        problems.insert(0, _said(error, (), file, places))
    if problems:
        raise PlanError(problems)
    plan = msgspec.structs.replace(plan, **{name: tuple(values) for name, values in parts.items()})
    if wrong := check_plan(plan, register, tree):
        raise PlanError([f"{place_words(p.path, file, places)}: {p.text}" for p in wrong])
    return plan


def place_words(path: Path, file: str, places: Mapping[Path, str]) -> str:
    """Where a part of the plan stands in its file."""
    for cut in range(len(path), 0, -1):
        if (known := places.get(path[:cut])) is not None:
            rest = _dotted(path[cut:])
            return f"{file}, {known}{', ' + rest if rest else ''}"
    return f"{file}, {_dotted(path)}" if path else file


def _dotted(path: Path) -> str:
    words = ""
    for step in path:
        words += f"[{step + 1}]" if isinstance(step, int) else f".{step}" if words else step
    return words


def _said(error: msgspec.ValidationError, path: Path, file: str, places: Mapping[Path, str]) -> str:
    match = _AT.match(str(error))
    words, inner = (match["words"], match["path"] or "") if match else (str(error), "")
    steps = tuple(int(number) if number else name for name, number in _STEP.findall(inner))
    words = words.replace("Object missing required field", "the required field is missing:")
    words = words.replace("Object contains unknown field", "there is no field of the name")
    return f"{place_words((*path, *steps), file, places)}: {words[0].lower()}{words[1:]}"


def _toml(text: str, file: str) -> tuple[dict[str, Any], dict[Path, str]]:
    try:
        raw = tomllib.loads(text)
    except RecursionError as error:
        raise PlanError([f"{file}: not TOML: nested too deeply"]) from error
    except ValueError as error:  # TOMLDecodeError, and a number of thousands of digits, which Python does not read
        raise PlanError([f"{file}: not TOML: {error}"]) from error
    places: dict[Path, str] = {}
    for name in _PARTS:
        given = raw.get(name, [])
        for i, value in enumerate(given if isinstance(given, list) else []):
            code = value.get("code") if isinstance(value, dict) else None
            places[(name, i)] = f"{name}[{i + 1}]{f' ({code})' if isinstance(code, str) else ''}"
    return raw, places
