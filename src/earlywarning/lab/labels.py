"""Known events, and which alerts they make right: found and how early, missed, and what the group said of the rest."""

import csv
import io
import tomllib
from collections.abc import Iterable, Sequence
from datetime import date, timedelta
from pathlib import Path
from statistics import median
from typing import Any, Literal

import msgspec

from earlywarning.core.events import KINDS
from earlywarning.core.learning import Known, share_interval
from earlywarning.core.scope import Block
from earlywarning.lab.judged_days import LabError
from earlywarning.lab.outcomes import Outcome, TriedAlert
from earlywarning.lab.recording import Recording

GRACE = timedelta(days=7)  # after a known event's last day, within which an alert still finds it
LABEL_TYPES: dict[str, type] = {
    "name": str, "first": date, "last": date, "areas": list, "categories": list, "kind": str, "true": bool
}  # fmt: skip
COLUMNS = tuple(LABEL_TYPES)
_NEEDED = ("first", "areas", "categories")
_TRUE, _FALSE = ("", "1", "true", "yes", "ja"), ("0", "false", "no", "nej")

Found = Literal["found", "open-before", "missed", "not-judged"]


class Label(msgspec.Struct, frozen=True, kw_only=True):
    """A known event: where, what, and from first to last day. areas, categories: codes, any of them; "*" is everything.

    kind: incident, report, or "" for either. true: False for what is known to be none, such as a false alarm. source: file,
    person, or group (an assessed alert); alert_id: of that.
    """

    name: str
    first: date
    last: date
    areas: tuple[str, ...]
    categories: tuple[str, ...]
    kind: str = ""
    true: bool = True
    source: str = "file"
    alert_id: str = ""


class LabelAnswer(msgspec.Struct, frozen=True):
    """What became of a label. found: by an alert opened from its first day to GRACE after its last; by one that was open
    before and went on; missed; or not judged, outside the judged days. alert: its number; days: from the first day until then.
    """

    label: Label
    found: Found
    alert: int | None
    opened_on: date | None
    days: int | None
    observed: float | None


class Judgement(msgspec.Struct, frozen=True):
    """An outcome beside the labels. Labels that are true events: labels, found, missed, median_days (None: none found).

    right, wrong: alerts that meet a true and only a false label; others: alerts that meet none, of which nothing is known.
    precision: right of right and wrong; low, high: 90 % intervals (Jeffreys) of it and of share found.
    """

    answers: list[LabelAnswer]
    labels: int
    found: int
    open_before: int
    missed: int
    share: float
    low: float
    high: float
    median_days: float | None
    right: list[int]
    wrong: list[int]
    others: list[int]
    others_per_week: float
    precision: float
    precision_low: float
    precision_high: float


def judge(outcome: Outcome, labels: Sequence[Label], recording: Recording) -> Judgement:
    """Which labels an outcome finds, and which of its alerts are right. Labels of unknown codes raise LabError."""
    blocks = [(a, _alert_bits(recording, a)) for a in outcome.alerts]
    answers, right, wrong = [], set[int](), set[int]()
    for label in labels:
        bits = _label_bits(recording, label)
        meeting = [a for a, b in blocks if _meets(a, b, label, bits)]
        (right if label.true else wrong).update(a.number for a in meeting)
        if label.true:
            answers.append(_answer(label, meeting, outcome))
    judged = [a for a in answers if a.found != "not-judged"]
    found = [a for a in judged if a.found == "found"]
    before = sum(a.found == "open-before" for a in judged)
    days = [a.days for a in found if a.days is not None]
    wrong -= right
    others = [a.number for a in outcome.alerts if a.number not in right and a.number not in wrong]
    n = len(found) + before
    low, high = share_interval(n, len(judged))
    told = len(right) + len(wrong)
    p_low, p_high = share_interval(len(right), told)
    return Judgement(
        answers, len(judged), len(found), before, len(judged) - n, n / len(judged) if judged else 0.0, low, high,
        float(median(days)) if days else None, sorted(right), sorted(wrong), others, len(others) / outcome.weeks,
        len(right) / told if told else 0.0, p_low, p_high,
    )  # fmt: skip


def _answer(label: Label, meeting: Sequence[TriedAlert], outcome: Outcome) -> LabelAnswer:
    if label.last < outcome.choice.first or label.first > outcome.choice.last:
        return LabelAnswer(label, "not-judged", None, None, None, None)
    fresh = [a for a in meeting if a.opened_on >= label.first]
    if fresh:
        a = min(fresh, key=lambda a: (a.opened_on, a.number))
        return LabelAnswer(label, "found", a.number, a.opened_on, (a.opened_on - label.first).days, a.observed)
    if meeting:
        a = max(meeting, key=lambda a: a.last_day)
        return LabelAnswer(label, "open-before", a.number, a.opened_on, 0, a.most_observed)
    return LabelAnswer(label, "missed", None, None, None, None)


def _meets(alert: TriedAlert, bits: list[tuple[int, int, int]], label: Label, wanted: tuple[int, int]) -> bool:
    if alert.opened_on > label.last + GRACE or alert.first_day > label.last or alert.last_day < label.first:
        return False
    if label.kind and alert.kind != label.kind:
        return False
    return any(a & wanted[0] and c & wanted[1] for _, a, c in (bits[:1] if alert.opened_on >= label.first else bits))


def _alert_bits(recording: Recording, alert: TriedAlert) -> list[tuple[int, int, int]]:
    """Of its block when it opened, and of that in the end."""
    m = recording.meta
    out = []
    for areas, categories in ((alert.areas, alert.categories), (alert.areas_in_the_end, alert.categories_in_the_end)):
        block = Block(KINDS.index(alert.kind), tuple(map(m.areas.index, areas)), tuple(map(m.categories.index, categories)))
        out.append(recording.bits(recording.number(block)))
    return out


def _label_bits(recording: Recording, label: Label) -> tuple[int, int]:
    m = recording.meta
    numbers = []
    for what, codes, known in (("area", label.areas, m.areas), ("category", label.categories, m.categories)):
        if strange := [c for c in codes if c != "*" and c not in known]:
            raise LabError(f"label {label.name!r}: there is no {what} {strange[0]!r} in the register; use its codes")
        numbers.append(tuple(0 if c == "*" else known.index(c) for c in codes))
    _, areas, categories = recording.bits(recording.number(Block(0, *numbers)))
    return areas, categories


# ---- where labels come from -------------------------------------------------------------------------------------------


def labels_of_group(known: Iterable[Known]) -> list[Label]:
    """What the group's answers say: confirmed alerts are true events, false alarms and data faults are none.

    What has a known cause was a rise, yet none that wanted work: it says nothing here.
    """
    out = []
    for alert, case in known:
        if case.assessment in ("confirmed", "false-alarm", "data-fault"):
            out.append(
                Label(
                    name=alert.alert_id, first=alert.first_day, last=max(alert.last_day, alert.first_day), areas=alert.areas,
                    categories=alert.categories, kind=alert.kind, true=case.assessment == "confirmed", source="group",
                    alert_id=alert.alert_id,
                )
            )  # fmt: skip
    return out


def label_rows(labels: Iterable[Label]) -> list[dict[str, Any]]:
    """Labels as rows of COLUMNS, as `read_labels` takes them."""
    return [
        {
            "name": v.name, "first": v.first, "last": v.last, "areas": v.areas, "categories": v.categories, "kind": v.kind,
            "true": v.true,
        }
        for v in labels
    ]  # fmt: skip


def read_labels(path: Path) -> list[Label]:
    """Labels from CSV (columns name, first, last, areas, categories, kind, true; lists ;-separated) or TOML ([[label]] tables).

    Needed are first, areas and categories. Raises LabError with every error, naming file, line and field.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise LabError(f"--labels {path}: cannot be read ({getattr(error, 'strerror', None) or 'not UTF-8'})") from error
    return labels_of_text(text, path)


def labels_of_text(text: str, path: Path) -> list[Label]:
    """The same of a text; path: what the file is called. Raises LabError."""
    problems: list[str] = []
    labels = []
    for place, row in _toml_rows(path, text) if path.suffix.lower() == ".toml" else _csv_rows(path, text):
        label = _label(f"{path}, {place}", row, problems)
        if label is not None:
            labels.append(label)
    if problems:
        raise LabError("\n".join(problems))
    return labels


def _csv_rows(path: Path, text: str) -> list[tuple[str, dict[str, Any]]]:
    header = text.split("\n", 1)[0]
    reader = csv.DictReader(io.StringIO(text), delimiter=";" if header.count(";") > header.count(",") else ",")
    names = [n.strip() for n in reader.fieldnames or ()]
    if unknown := [n for n in names if n not in COLUMNS]:
        raise LabError(f"{path}, line 1: there is no column {unknown[0][:40]!r}; columns are {', '.join(COLUMNS)}")
    if lacking := [n for n in _NEEDED if n not in names]:
        raise LabError(f"{path}, line 1: there is no column {lacking[0]}; every label needs {', '.join(_NEEDED)}")
    reader.fieldnames = names
    return [(f"line {reader.line_num}", {k: (v or "").strip() for k, v in row.items() if k in COLUMNS}) for row in reader]


def _toml_rows(path: Path, text: str) -> list[tuple[str, dict[str, Any]]]:
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise LabError(f"{path}: {error}") from error
    rows = document.get("label")
    if not isinstance(rows, list) or not all(isinstance(r, dict) for r in rows) or set(document) != {"label"}:
        raise LabError(f"{path}: write each label as a table [[label]] with {', '.join(COLUMNS)}")
    return [(f"label {i}", row) for i, row in enumerate(rows, 1)]


def _label(place: str, row: dict[str, Any], problems: list[str]) -> Label | None:
    def wrong(field: str, problem: str) -> None:
        problems.append(f"{place}, field {field}: {problem}")

    before = len(problems)
    if unknown := [name for name in row if name not in COLUMNS]:
        wrong(unknown[0][:40], f"there is no such field; fields are {', '.join(COLUMNS)}")
    first = _date(row.get("first", ""), "first", wrong)
    last = _date(row["last"], "last", wrong) if row.get("last") else first
    areas, categories = (_codes(row.get(name, ""), name, wrong) for name in ("areas", "categories"))
    kind = str(row.get("kind", "")).strip()
    if kind and kind not in KINDS:
        wrong("kind", f"{kind[:40]!r} is not one of {', '.join(KINDS)}; leave it out for either")
    true = str(row.get("true", "")).strip().lower()
    if true not in (*_TRUE, *_FALSE):
        wrong("true", f"{true[:40]!r} is neither true nor false")
    if first is not None and last is not None and last < first:
        wrong("last", f"{last} lies before first, {first}")
    if len(problems) > before or first is None or last is None:
        return None
    name = str(row.get("name", "")).strip() or place.rpartition(", ")[2]
    return Label(name=name, first=first, last=last, areas=areas, categories=categories, kind=kind, true=true in _TRUE)


def _date(value: Any, field: str, wrong: Any) -> date | None:
    if isinstance(value, date):
        return date(value.year, value.month, value.day)
    try:
        return date.fromisoformat(str(value).strip())
    except ValueError:
        wrong(field, f"{str(value)[:40]!r} is no date such as 2025-03-14")
        return None


def _codes(value: Any, field: str, wrong: Any) -> tuple[str, ...]:
    parts = value if isinstance(value, list) else str(value).split(";")
    codes = tuple(str(p).strip() for p in parts if str(p).strip())
    if not codes:
        wrong(field, "names nothing; write codes of the register, or * for all")
    return codes
