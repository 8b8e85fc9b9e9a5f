"""The HTTP API of the lab: a choice beside today's settings, its curve, a surge put in, known events; and the same as files."""

import asyncio
from collections.abc import Callable
from typing import Annotated, Any, TypeVar

import msgspec
from litestar import Litestar, Request, Response, get
from litestar.datastructures import State
from litestar.params import FromQuery, QueryParameter

from earlywarning.lab.bench import Choice, LabError, Recording
from earlywarning.lab.labels import LABEL_TYPES, label_rows
from earlywarning.lab.table_forms import Form, MissingExtraError, Row, table_bytes
from earlywarning.lab.tables import ALERTS, COLUMNS, alert_rows, setting_row
from earlywarning.runtimes.front import Front
from earlywarning.runtimes.lab_answers import Known, beside, curve_beside, draft_changes, known_of_lab, surge_beside
from earlywarning.runtimes.lab_recordings import NoRecordingError, Recordings
from earlywarning.runtimes.lab_supply import labels_of_marks
from earlywarning.store.marked_events import MarkedEvents
from earlywarning.web.access import Visitor
from earlywarning.web.access_log import log_of
from earlywarning.web.json_answers import json_answer
from earlywarning.web.lab_choice import read_choice, read_surge, refused

Asking = Request[Visitor, Any, State]
T = TypeVar("T")
_TYPES: dict[Form, str] = {
    "csv": "text/csv; charset=utf-8", "json": "application/json", "parquet": "application/vnd.apache.parquet",
}  # fmt: skip


def recordings_of(state: State) -> Recordings:
    """The recording of one application's municipality."""
    if "recordings" not in state:
        state.recordings = Recordings(state.service)
    recordings: Recordings = state.recordings
    return recordings


def stop_recording(app: Litestar) -> None:
    """End what an application that closes has begun: the next one records anew."""
    if "recordings" in app.state:
        app.state.recordings.stop()


def on_recording(state: State, work: Callable[[Recording, Known], T]) -> T:
    """Ask the recording, one at a time: what it works out is kept in it. Raises LabError, StoreError."""
    recording, turn = recordings_of(state).get()
    with turn:
        return work(recording, known_of_lab(state.service, recording))


async def _answered(work: Callable[[], Any]) -> Response[bytes]:
    try:
        return json_answer(await asyncio.to_thread(work))
    except LabError as error:
        return _refusal(error)


def _refusal(error: Exception) -> Response[bytes]:
    return json_answer({"problem": str(error)}, 404 if isinstance(error, NoRecordingError) else 422)


def _chosen(request: Asking, recording: Recording) -> Choice:
    asked = read_choice(request.query_params, recording)
    if asked.problems:
        raise refused(asked.problems)
    return asked.choice


@get("/v1/lab", summary="Other settings tried on the recorded history", tags=["lab"])
async def lab_answer(request: Asking, state: State) -> Response[bytes]:
    """Query: from, to, areas, categories, tendencies, windows (lists with commas), budget, min_count, settle_after; what is
    left out is as today. Both sides with their alerts and judged known events; the keys that a draft would change."""

    def work(recording: Recording, known: Known) -> dict[str, Any]:
        choice = _chosen(request, recording)
        found = beside(recording, choice, known)
        sides = {
            side.outcome.choice.name: {
                "outcome": side.outcome, "judgement": side.judged, "per_week_low": side.low, "per_week_high": side.high,
                "only_here": sorted(side.only), "real_alerts": side.real,
            }
            for side in (found.today, found.tried)
        }  # fmt: skip
        lost = [label.name for label in found.lost]
        return {**sides, "both": found.both, "labels_left_out": lost, "draft": draft_changes(recording, choice)}

    return await _answered(lambda: on_recording(state, work))


@get("/v1/lab/curve", summary="Known events found against other alerts", tags=["lab"])
async def lab_curve(request: Asking, state: State) -> Response[bytes]:
    """A point for each of a row of budgets, the rest as chosen. Query as of /v1/lab."""
    return await _answered(lambda: on_recording(state, lambda r, known: {"points": curve_beside(r, _chosen(request, r), known)}))


@get("/v1/lab/surge", summary="When a surge would have been found", tags=["lab"])
async def lab_surge(request: Asking, state: State) -> Response[bytes]:
    """Query as of /v1/lab, and place, category, kind, begin, days, total, shape, repeats."""

    def work(recording: Recording, _: Known) -> dict[str, Any]:
        choice = _chosen(request, recording)
        asked = read_surge(request.query_params, recording, choice)
        if asked.surge is None:
            raise refused(asked.problems)
        today, tried = surge_beside(recording, asked.surge, choice, asked.repeats)
        return {"today": today, "tried": tried}

    return await _answered(lambda: on_recording(state, work))


@get("/v1/lab/recording", summary="How the recording stands", tags=["lab"])
async def lab_recording(state: State) -> Response[bytes]:
    """Whether there is one, of which days and settings, and how far a new one has come."""
    return await _answered(lambda: recordings_of(state).state())


@get("/v1/lab/known", summary="Known events that were marked", tags=["lab"])
async def lab_known(state: State) -> Response[bytes]:
    """The newest first. The group's assessed alerts count beside them."""
    service: Front = state.service
    own = service.register.municipality
    return await _answered(lambda: {"known": MarkedEvents(service.store, own).every()})


@get("/lab/export", include_in_schema=False)
async def lab_export(
    request: Asking, state: State, what: FromQuery[str] = "alerts", form: Annotated[Form, QueryParameter(name="as")] = "csv"
) -> Response[bytes]:
    """The answer as a file. what: settings (a row each), alerts (of both), curve."""
    asked_for = what if what in ("settings", "curve") else "alerts"

    def work(recording: Recording, known: Known) -> tuple[dict[str, type], list[Row]]:
        choice = _chosen(request, recording)
        if asked_for == "curve":
            points = [msgspec.structs.asdict(p) for p in curve_beside(recording, choice, known)]
            return {name: int if name in ("labels", "found") else float for name in points[0]}, list(points)
        found = beside(recording, choice, known)
        sides = found.today, found.tried
        if asked_for == "settings":
            return COLUMNS, [setting_row(s.outcome, s.judged) for s in sides]
        return ALERTS, [row for s in sides for row in alert_rows(s.outcome, s.judged)]

    def made() -> bytes:
        log_of(state).note(request.user, "exported", f"lab/{asked_for}")
        columns, rows = on_recording(state, work)
        return table_bytes(form, columns, rows)

    return await _file(made, form, f"lab-{asked_for}")


@get("/lab/known/export", include_in_schema=False)
async def export_known(request: Asking, state: State) -> Response[bytes]:
    """The marked events as CSV, as the import takes them."""
    service: Front = state.service

    def made() -> bytes:
        log_of(state).note(request.user, "exported", "lab/known")
        every = MarkedEvents(service.store, service.register.municipality).every()
        return table_bytes("csv", LABEL_TYPES, label_rows(labels_of_marks(every)))

    return await _file(made, "csv", "known-events")


async def _file(made: Callable[[], bytes], form: Form, name: str) -> Response[bytes]:
    try:
        content = await asyncio.to_thread(made)
    except (LabError, MissingExtraError) as error:
        return _refusal(error)
    headers = {"content-type": _TYPES[form], "content-disposition": f'attachment; filename="{name}.{form}"'}
    return Response(content, headers=headers)


LAB = (lab_answer, lab_curve, lab_surge, lab_recording, lab_known, lab_export, export_known)
