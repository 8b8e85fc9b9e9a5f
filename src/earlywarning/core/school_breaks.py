"""School breaks: a dated table by place, where the row of the nearest place speaks for a break and its year.

Municipalities decide themselves when their schools are closed, so most of the bundled table follows stated rules; its column
`basis` says of each row whether it is a rule or a fact.
"""

from collections.abc import Mapping, Sequence
from datetime import date
from re import fullmatch
from typing import Literal, NamedTuple

from earlywarning.core.calendar import date_of, day_number
from earlywarning.core.registers import RegisterError, RegisterProblem

COLUMNS = ("year", "break", "region", "first", "last", "basis")
# Swedish and English; of the bundled table. A break of another name is called by it.
NAMES = {
    "sportlov": ("sportlov", "winter sports break"),
    "påsklov": ("påsklov", "Easter break"),
    "sommarlov": ("sommarlov", "summer break"),
    "höstlov": ("höstlov", "autumn break"),
    "jullov": ("jullov", "Christmas break"),
}
SUMMER = "sommarlov"
_BASES = ("rule", "fact")
_LONGEST = 100  # days; the longest summer break has some seventy


class SchoolBreak(NamedTuple):
    """One break of one year. region: "" all of the country, two digits a county, four a municipality. Days are included."""

    year: int
    name: str
    region: str
    first: int
    last: int
    basis: Literal["rule", "fact"]


def read_breaks(text: str, *, file: str) -> tuple[SchoolBreak, ...]:
    """Read a table with the header year,break,region,first,last,basis; lines that begin with # are remarks.

    year: that in which the break begins. Raises RegisterError with every error.
    """
    problems: list[RegisterProblem] = []
    breaks: list[SchoolBreak] = []
    header: list[str] = []
    seen: dict[tuple[int, str, str], int] = {}
    for line, written in enumerate(text.removeprefix("\ufeff").splitlines(), start=1):
        if not written.strip(" ,") or written.startswith("#"):
            continue
        cells = [cell.strip() for cell in written.split(",")]
        if not header:
            header = cells
            if sorted(header) != sorted(COLUMNS):
                words = f"the header is {','.join(header)}; it must name the columns {','.join(COLUMNS)}"
                raise RegisterError([RegisterProblem(file, f"line {line}", "header", words)])
            continue
        one, problem = _row(dict(zip(header, cells, strict=False)), len(cells) == len(header))
        if one is not None and (first := seen.setdefault((one.year, one.name, one.region), line)) != line:
            problem = f"{one.name} {one.year} of region {one.region!r} stands twice (first in line {first})"
        if problem:
            problems.append(RegisterProblem(file, f"line {line}", "break", problem))
        elif one is not None:
            breaks.append(one)
    if problems:
        raise RegisterError(problems)
    return tuple(breaks)


def _row(cells: dict[str, str], whole: bool) -> tuple[SchoolBreak | None, str]:
    """A row, or what is wrong with it."""
    if not whole:
        return None, f"there must be {len(COLUMNS)} columns"
    if not fullmatch(r"(\d{2}|\d{4})?", cells["region"]):
        return None, f"field region: {cells['region']!r} must be empty, a county of two digits or a municipality of four"
    if not cells["break"]:
        return None, "field break: is empty; it must name the break"
    if cells["basis"] not in _BASES:
        return None, f"field basis: {cells['basis']!r} is not one of {', '.join(_BASES)}"
    days = []
    for field in ("first", "last"):
        try:
            days.append(day_number(date.fromisoformat(cells[field])))
        except ValueError:
            return None, f"field {field}: {cells[field]!r} is not a day such as 2025-02-17"
    if not 0 <= days[1] - days[0] < _LONGEST:
        return None, f"field last: {cells['last']} must lie 0 to {_LONGEST - 1} days after {cells['first']}"
    if cells["year"] != cells["first"][:4]:
        return None, f"field year: {cells['year']!r} must be the year of the first day, {cells['first'][:4]}"
    basis: Literal["rule", "fact"] = "fact" if cells["basis"] == "fact" else "rule"
    return SchoolBreak(int(cells["year"]), cells["break"], cells["region"], days[0], days[1], basis), ""


def breaks_of(breaks: Sequence[SchoolBreak], region: str) -> tuple[SchoolBreak, ...]:
    """The breaks that hold in a place, in the order of their days.

    region: code of a municipality (its first two digits are the county), of a county, or "". Of each break and year the row of
    the longest region that the code begins with is taken.
    """
    best: dict[tuple[int, str], SchoolBreak] = {}
    for one in breaks:
        if region.startswith(one.region):
            known = best.get((one.year, one.name))
            if known is None or len(known.region) < len(one.region):
                best[one.year, one.name] = one
    return tuple(sorted(best.values(), key=lambda b: (b.first, b.name)))


def with_own(breaks: Sequence[SchoolBreak], own: Mapping[str, Sequence[tuple[date, date]]]) -> tuple[SchoolBreak, ...]:
    """Breaks with a municipality's own days in their place: those of the same name and year are replaced.

    own: by name, first and last day of each. A span that begins in a year replaces the table's break of that year.
    """
    ours = [
        SchoolBreak(first.year, name, "", day_number(first), day_number(last), "fact")
        for name, spans in own.items()
        for first, last in spans
    ]
    replaced = {(one.year, one.name) for one in ours}
    kept = [one for one in breaks if (one.year, one.name) not in replaced]
    return tuple(sorted([*kept, *ours], key=lambda b: (b.first, b.name)))


def years_covered(breaks: Sequence[SchoolBreak]) -> tuple[int, int] | None:
    """First and last calendar year with any break; None without any."""
    if not breaks:
        return None
    return date_of(min(b.first for b in breaks)).year, date_of(max(b.last for b in breaks)).year
