"""What an address asks of the lab: a choice of settings, a surge, and what is wrong with either, by field."""

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Any, NamedTuple, cast
from urllib.parse import parse_qsl, urlencode

from litestar.datastructures import MultiDict

from earlywarning.core.calendar import date_of
from earlywarning.core.categories import ROOT
from earlywarning.core.events import KINDS
from earlywarning.lab.bench import MOST, SHAPES, TENDENCIES, Choice, LabError, Recording, Surge
from earlywarning.lab.choices import settle_choice
from earlywarning.runtimes.lab_answers import fields_of_values

# What sliders reach: lowest, highest, step.
REACH: dict[str, tuple[float, float, float]] = {
    "budget": (0.1, 5, 0.1), "min_count": (1, 20, 1), "settle_after": (1, 28, 1), "days": (1, 60, 1), "total": (1, 100, 1),
    "repeats": (1, 20, 1),
}  # fmt: skip
LISTS = ("windows", "tendencies", "areas", "categories")
_MOST_CODES, _LONGEST = 2_000, 4_000
_VIEW = ("from", "to", "areas", "categories")  # what is looked at, rather than tried
Query = MultiDict[Any]  # a value may hold several with commas between


class Asked(NamedTuple):
    """A choice, every field as its form shows it, and the rule that each wrong field breaks (see `refused`)."""

    choice: Choice
    shown: dict[str, Any]
    problems: dict[str, str]

    @property
    def address(self) -> str:
        """The same choice as an address has it."""
        given = [(k, v) for k, v in self.shown.items() if k not in LISTS and v not in ("", None)]
        return urlencode([*given, *((k, ",".join(map(str, self.shown[k]))) for k in LISTS if self.shown[k])])


class AskedSurge(NamedTuple):
    """A surge (None while something is wrong with it), and as of `Asked`."""

    surge: Surge | None
    repeats: int
    shown: dict[str, Any]
    problems: dict[str, str]


class _Reader:
    def __init__(self, query: Query) -> None:
        self.query, self.problems = query, dict[str, str]()

    def day(self, name: str) -> date | None:
        text = str(self.query.get(name) or "").strip()
        try:
            return date.fromisoformat(text) if text else None
        except ValueError:
            self.problems[name] = "date"
            return None

    def number(self, name: str, usual: float) -> float:
        text = str(self.query.get(name) or "").strip().replace(",", ".")
        low, high, step = REACH[name]
        high = MOST if name == "budget" else high  # an address may ask for more than the slider
        try:
            value = float(text) if text else usual
        except ValueError:
            value = float("nan")
        # A value in force may lie beyond what the slider reaches.
        if value != usual and not (low <= value <= high and (step < 1 or value == int(value))):
            self.problems[name] = "number"
            return usual
        return value

    def items(self, name: str) -> list[str]:
        given = [part.strip() for text in self.query.getall(name, []) for part in str(text).split(",")]
        return list(dict.fromkeys(part for part in given if part))[:_MOST_CODES]

    def codes(self, name: str, known: Sequence[str]) -> tuple[str, ...]:
        wanted = self.items(name)
        if any(code not in known for code in wanted):
            self.problems[name] = "unknown"
        return tuple(code for code in wanted if code in known)


def read_choice(query: Query, recording: Recording) -> Asked:
    """The choice of an address; what it does not name is as today. A wrong field is told, and stays as today."""
    m, read = recording.meta, _Reader(query)
    today = settle_choice(recording, Choice())
    first, last = date_of(m.first), date_of(m.last)
    begin, end = read.day("from") or first, read.day("to") or last
    for name, day in (("from", begin), ("to", end)):
        if not first <= day <= last:
            read.problems[name] = "days"
    if begin > end and not read.problems:
        read.problems["to"] = "before"
    if {"from", "to"} & read.problems.keys():
        begin, end = first, last
    budget = read.number("budget", m.budget)
    min_count, settle = int(read.number("min_count", m.min_count)), int(read.number("settle_after", m.settle_after))
    sent = query.get("tried") == "1"  # a form, in which nothing may be ticked, rather than an address that leaves it out
    windows = read.codes("windows", [str(w) for w in m.windows])
    tendencies = read.codes("tendencies", TENDENCIES)
    for name, chosen in (("windows", windows), ("tendencies", tendencies)):
        if sent and not chosen:
            read.problems[name] = "missing"
    on = tendencies or today.tendencies
    areas, categories = read.codes("areas", m.areas), read.codes("categories", m.categories)
    choice = Choice(
        budget=None if budget == m.budget else budget, windows=tuple(int(w) for w in windows), tendencies=tendencies,
        min_count=None if min_count == m.min_count else min_count, settle_after=None if settle == m.settle_after else settle,
        areas=areas, categories=categories, first=begin, last=end,
    )  # fmt: skip
    shown = {
        "from": begin.isoformat(), "to": end.isoformat(), "budget": f"{budget:g}", "min_count": min_count, "settle_after": settle,
        "windows": [int(w) for w in windows] or list(m.windows_in_force), "tendencies": list(on), "areas": list(areas),
        "categories": list(categories),
    }  # fmt: skip
    return Asked(choice, shown, read.problems)


def read_surge(query: Query, recording: Recording, choice: Choice) -> AskedSurge:
    """The surge of an address; what it does not name is some surge that could be tried."""
    m, read = recording.meta, _Reader(query)
    if len(m.areas) > 1:
        areas, usual_area = m.areas, m.areas[1]
    else:
        areas, usual_area = m.areas, m.areas[0]
    what = [code for code in m.categories if code != ROOT]
    place = (read.codes("place", areas) or (usual_area,))[0]
    category = (read.codes("category", what) or (what[0],))[0]
    kind = (read.codes("kind", KINDS) or (KINDS[0],))[0]
    days, total = int(read.number("days", 14)), int(read.number("total", 12))
    repeats, shape = int(read.number("repeats", 1)), (read.codes("shape", SHAPES) or (SHAPES[0],))[0]
    first, last = choice.first or date_of(m.first), choice.last or date_of(m.last)
    earliest = date_of(int(recording.days[0]))
    latest = max(earliest, date_of(int(recording.days[-1])) - timedelta(days=days - 1))
    begin = read.day("begin") or min(first + (last - first) / 2, latest)
    if not earliest <= begin <= latest:
        read.problems["begin"] = "days"
    surge = Surge(
        areas=(place,), categories=(category,), begin=begin, kind=cast("Any", kind), days=days, total=total,
        shape=cast("Any", shape),
    )  # fmt: skip
    shown = {
        "place": place, "category": category, "kind": kind, "begin": begin.isoformat(), "days": days, "total": total,
        "shape": shape, "repeats": repeats,
    }  # fmt: skip
    return AskedSurge(None if read.problems else surge, repeats, shown, read.problems)


def address_of_values(values: Mapping[str, Any], view: str) -> str:
    """The address of the lab for settings with these values. view: an address of the lab whose days and places are kept."""
    seen = [(name, text) for name, text in parse_qsl(view[:_LONGEST], max_num_fields=100) if name in _VIEW]
    fields = {
        name: ",".join(map(str, value)) if isinstance(value, list) else f"{value:g}" if isinstance(value, float) else value
        for name, value in fields_of_values(values).items()
    }
    return urlencode([*seen, *fields.items()])


def refused(problems: dict[str, str]) -> LabError:
    """All that is wrong as one error, for programs."""
    words = {
        "date": "is no date such as 2025-03-14", "days": "lies outside the recorded days", "before": "lies before from",
        "number": "is no number that is allowed", "unknown": "names what the recording does not have",
        "missing": "names nothing; leave it out for what is in force",
    }  # fmt: skip
    return LabError("; ".join(f"{field}: {words[rule]}" for field, rule in problems.items()))
