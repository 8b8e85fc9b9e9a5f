"""The lab: what other settings would have given on the municipality's own history, beside today's; nothing is changed by it."""

import asyncio
from datetime import date, timedelta
from typing import Any, NamedTuple

from litestar import Response, get, post
from litestar.datastructures import State
from markupsafe import Markup

from earlywarning.core.calendar import date_of
from earlywarning.lab.bench import SHAPES, TENDENCIES, LabError, Recording, TriedAlert
from earlywarning.lab.outcomes import RATE_NOTE
from earlywarning.locale import Names
from earlywarning.runtimes.front import Front
from earlywarning.runtimes.lab_answers import (
    Beside,
    Known,
    Side,
    beside,
    curve_beside,
    draft_changes,
    known_of_lab,
    surge_beside,
)
from earlywarning.runtimes.lab_recordings import Recordings, RecordingState
from earlywarning.runtimes.lab_supply import USUAL_WEEKS
from earlywarning.settings_drafting import KEYS
from earlywarning.web.drawing.lab import curve_of_points, weeks_of
from earlywarning.web.lab import recordings_of
from earlywarning.web.lab_choice import REACH, Asked, AskedSurge, read_choice, read_surge
from earlywarning.web.pages.frame import POLICY, STATIC, Asking, Words, form_of, go, language_of, part, render
from earlywarning.web.pages.picture import category_choices
from earlywarning.web.pages.settings_form import written

_LISTED = 20  # alerts of each list; the file has all
_STALE = timedelta(days=7)  # of history that the recording lacks, from which the page says so
_PARTS = ("answer", "curve", "surge", "recording")


class Line(NamedTuple):
    """An alert in a list. mark: right, wrong, or empty; real: id of the alert that the service opened in truth, or empty."""

    alert: TriedAlert
    areas: list[tuple[str, str]]
    categories: str
    mark: str
    real: str


@get("/lab", include_in_schema=False)
async def lab_page(request: Asking, state: State) -> Response[bytes]:
    """The page; with `part`, one of its parts alone, as the script fetches it."""
    return await asyncio.to_thread(_page, request, state)


def _page(request: Asking, state: State, problem: str = "", status: int = 200) -> Response[bytes]:
    recordings, wanted = recordings_of(state), request.query_params.get("part", "")
    told = recordings.state()
    usable = recordings.fits(told)
    if wanted == "recording":
        return _fragment(_recording(request, state, told, usable))
    around: dict[str, Any] = {"here": "lab", "script_lab": _script(), "problem": problem}
    status_part = _recording(request, state, told, usable)
    if not usable:
        return render(request, "lab.html", status=status, recording=status_part, told=told, asked=None, **around)
    try:
        recording, turn = recordings.get()
        with turn:
            return _asked(request, state, recording, wanted, status, told, {**around, "recording": status_part})
    except LabError as error:
        return render(request, "lab.html", status=422, recording=status_part, told=told, asked=None,
                      **{**around, "problem": str(error)})  # fmt: skip


def _asked(
    request: Asking, state: State, recording: Recording, wanted: str, status: int, told: RecordingState, around: dict[str, Any]
) -> Response[bytes]:
    front: Front = state.service
    asked = read_choice(request.query_params, recording)
    put = read_surge(request.query_params, recording, asked.choice)
    known = known_of_lab(front, recording)
    if wanted == "curve":
        return _fragment(_curve(request, recording, asked, known))
    if wanted == "surge":
        return _fragment(_surge(request, front, recording, asked, put))
    answer = _answer(request, front, recording, asked, known)
    if wanted == "answer":
        return _fragment(answer)
    t = Words(language_of(request), front.settings.municipality.timezone)
    names = Names.from_registers(front.register, front.tree)
    m = recording.meta
    surged = request.query_params.get("inject") == "1"
    return render(
        request, "lab.html", status=422 if asked.problems and status == 200 else status, told=told, asked=asked, put=put,
        answer=answer, reach=REACH, meta=m,
        curve=_curve(request, recording, asked, known) if request.query_params.get("curve") == "1" else "",
        surge=_surge(request, front, recording, asked, put) if surged else "", first=date_of(m.first), last=date_of(m.last),
        windows=m.windows, tendencies=TENDENCIES, always=[x for x in TENDENCIES if x not in m.shares], shapes=SHAPES,
        areas=areas_below(front), categories=category_choices(front.tree, names, t), kinds=("incident", "report"),
        known=sum(label.true for label in known.labels), **around,
    )  # fmt: skip


def _fragment(content: Markup) -> Response[bytes]:
    return Response(
        str(content).encode(),
        headers={"content-type": "text/html; charset=utf-8", "content-security-policy": POLICY, "cache-control": "no-store"},
    )


def _script() -> str:
    return f"/static/lab.js?v={STATIC['lab.js'].version}"


def areas_below(front: Front) -> list[tuple[str, str, int]]:
    """Codes, names and level of all areas below the municipality, each below the one that it lies in."""
    r = front.register
    order = sorted(range(1, len(r.codes)), key=lambda i: [r.names[a] for a in reversed(r.ancestors[i].tolist()) if a >= 0])
    return [(r.codes[i], r.names[i], int(r.levels[i])) for i in order]


# ---- parts ------------------------------------------------------------------------------------------------------------


def _recording(request: Asking, state: State, told: RecordingState, usable: bool) -> Markup:
    front: Front = state.service
    clock = front.store.engine_state(front.register.municipality)
    newest = date_of(clock[0]) if clock else None
    behind = (newest - told.judged_to).days if newest and told.judged_to else 0
    held = front.store.page_span(front.register.municipality)
    oldest = date_of(held[0]) if held else None
    done = 0.0
    if told.day and told.last and oldest:
        done = min(max((told.day - oldest).days / max((told.last - oldest).days, 1), 0.0), 1.0)
    usual = max(newest - timedelta(weeks=USUAL_WEEKS), oldest + (newest - oldest) / 2) if newest and oldest else None
    why = told.problem.partition(":")[0] if told.state == "failed" else ""
    return part(
        request, "lab_recording.html", told=told, usable=usable, behind=behind if behind > _STALE.days else 0, newest=newest,
        done=round(100 * done), usual=usual, windows=sorted({*front.settings.detection.windows, *told.windows}), why=why,
        csrf=_csrf(request),
    )  # fmt: skip


def _csrf(request: Asking) -> Markup:
    return Markup('<input type="hidden" name="csrf" value="{}">').format(request.user.csrf)


def _answer(request: Asking, front: Front, recording: Recording, asked: Asked, known: Known) -> Markup:
    if asked.problems:
        return part(request, "lab_answer.html", asked=asked, found=None)
    try:
        found = beside(recording, asked.choice, known)
    except LabError as error:
        return part(request, "lab_answer.html", asked=asked, found=None, problem=str(error))
    names = Names.from_registers(front.register, front.tree)
    changes = draft_changes(recording, asked.choice)

    def lines(side: Side, only: bool) -> list[Line]:
        some = [a for a in side.outcome.alerts if not only or a.number in side.only]
        return [_line(request, names, side, a) for a in reversed(some[-_LISTED:])]

    return part(
        request, "lab_answer.html", asked=asked, found=found, problem="", sides=(found.today, found.tried),
        weeks=weeks_of(found.today.outcome.by_week, found.tried.outcome.by_week),
        only_tried=lines(found.tried, True), only_today=lines(found.today, True), every=lines(found.tried, False),
        events=_events(names, found, language_of(request)), changes=changes, most=_LISTED,
        draft={key: _given(key, value) for key, value in changes.items()}, rate_note=RATE_NOTE in found.tried.outcome.notes,
        seen_only=[x for x in TENDENCIES if x not in recording.meta.shares and x not in asked.shown["tendencies"]],
    )  # fmt: skip


def _given(key: str, value: Any) -> str:
    return written(KEYS[key], value)


def _line(request: Asking, names: Names, side: Side, alert: TriedAlert) -> Line:
    language, number = language_of(request), alert.number
    mark = "right" if number in side.judged.right else "wrong" if number in side.judged.wrong else ""
    areas = [(code, names.area(code, language)) for code in alert.areas]
    return Line(alert, areas, _named(names, alert.categories, language), mark, side.real.get(number, ""))


def _named(names: Names, codes: tuple[str, ...], language: Any) -> str:
    return ", ".join(names.category(code, language) for code in codes)


def _events(names: Names, found: Beside, language: Any) -> list[tuple[Any, Any, str, str]]:
    """Known events with what became of them on both sides; those that are outside the days last."""
    rows = []
    for today, tried in zip(found.today.judged.answers, found.tried.judged.answers, strict=True):
        label = today.label
        places = ", ".join("*" if code == "*" else names.area(code, language) for code in label.areas)
        what = ", ".join("*" if code == "*" else names.category(code, language) for code in label.categories)
        rows.append((today, tried, places, what))
    return sorted(rows, key=lambda r: (r[0].found == "not-judged", r[0].label.first), reverse=False)


def _curve(request: Asking, recording: Recording, asked: Asked, known: Known) -> Markup:
    if asked.problems:
        return part(request, "lab_curve.html", points=[], none=False)
    try:
        points = curve_beside(recording, asked.choice, known)
    except LabError:
        return part(request, "lab_curve.html", points=[], none=True)
    found = beside(recording, asked.choice, known)
    sides = [(s.judged.others_per_week, s.judged.share, s.judged.labels) for s in (found.today, found.tried)]
    return part(request, "lab_curve.html", points=points, none=False, curve=curve_of_points(points, sides))


def _surge(request: Asking, front: Front, recording: Recording, asked: Asked, put: AskedSurge) -> Markup:
    problem = ""
    if put.surge is not None and not asked.problems:
        try:
            both = surge_beside(recording, put.surge, asked.choice, put.repeats)
        except LabError as error:
            problem = str(error)
        else:
            names = Names.from_registers(front.register, front.tree)
            language = language_of(request)
            return part(
                request, "lab_surge.html", put=put, both=both, problem="", place=names.area(put.shown["place"], language),
                what=names.category(put.shown["category"], language),
            )  # fmt: skip
    return part(request, "lab_surge.html", put=put, both=None, problem=problem)


# ---- the recording ----------------------------------------------------------------------------------------------------


@post("/lab/recording", include_in_schema=False)
async def begin_recording(request: Asking, state: State) -> Response[bytes]:
    """Record anew, in the background. Fields: first (a day), windows."""
    form = await form_of(request)
    every = [v for v in (await request.form()).getall("windows", []) if isinstance(v, str)]
    front: Front = state.service
    t = Words(language_of(request), front.settings.municipality.timezone)

    def work() -> Response[bytes]:
        first, problem = None, ""
        try:
            first = date.fromisoformat(form["first"]) if form.get("first") else None
            windows = tuple(sorted({int(w) for text in every for w in text.replace(",", " ").split()}))
        except ValueError:
            return _page(request, state, t("lab", "bad_recording"), 422)
        if not all(1 <= w <= 56 for w in windows) or len(windows) > 12:
            return _page(request, state, t("lab", "bad_recording"), 422)
        try:
            recordings: Recordings = recordings_of(state)
            recordings.begin(request.user.name or t("case", "open_actor"), first, windows)
        except LabError as error:
            problem = str(error)
        return _page(request, state, problem, 503) if problem else go(request, "/lab")

    return await asyncio.to_thread(work)


LAB_PAGES = (lab_page, begin_recording)
