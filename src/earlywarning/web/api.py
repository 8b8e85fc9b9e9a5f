"""The HTTP API: POST /v1/events, and what the group's tools read."""

import asyncio
import csv
import io
from collections import Counter
from datetime import date
from typing import Annotated, Any, Literal

import msgspec
import structlog
from litestar import Litestar, Request, Response, get, post
from litestar.config.compression import CompressionConfig
from litestar.datastructures import State
from litestar.openapi import OpenAPIConfig
from litestar.params import FromPath, FromQuery, QueryParameter

from earlywarning import __version__
from earlywarning.core.alert_record import Alert
from earlywarning.core.events import KINDS, ORIGINS, schema
from earlywarning.core.tabulate import Selection, SelectionError
from earlywarning.lab.cells import cells
from earlywarning.locale import Language, Names, details, headline, note_sentence, sentence
from earlywarning.runtimes.front import Front
from earlywarning.runtimes.queries import count_rows, count_table, span
from earlywarning.sources.http_body import BodyProblem, supply_from_body
from earlywarning.sources.supply import bound_to
from earlywarning.store import StoreError
from earlywarning.web.access import Recognition, check_table, guard, recognise_at_no_route
from earlywarning.web.access_log import AccessLog, log_of
from earlywarning.web.answers import ANSWER_ROUTES, casework_of
from earlywarning.web.briefing import BRIEFING
from earlywarning.web.feeds import FEEDS
from earlywarning.web.json_answers import json_answer, problem
from earlywarning.web.lab import LAB, stop_recording
from earlywarning.web.letters import LETTERS
from earlywarning.web.mutes import MUTES
from earlywarning.web.openapi import openapi_document
from earlywarning.web.outbox import list_messages, retry_messages
from earlywarning.web.pages.frame import Asking, go
from earlywarning.web.pages.site import PAGES, wants_page
from earlywarning.web.plan import PLAN
from earlywarning.web.refusals import no_sniffing, refused
from earlywarning.web.settings import SETTINGS

log = structlog.get_logger(__name__)
_MOST_ROWS = 500_000


def _service(state: State) -> Front:
    service: Front = state.service
    return service


def _language(state: State, wanted: Language | None) -> Language:
    return wanted or _service(state).settings.municipality.language


def _shown(alert: Alert, names: Names, language: Language) -> dict[str, Any]:
    return {
        **msgspec.to_builtins(alert),
        "headline": headline(alert, names, language),
        "sentence": sentence(alert, names, language),
    }


@post("/v1/events", status_code=207, summary="Send events", tags=["events"])
async def send_events(request: Request[Any, Any, State], state: State) -> Response[bytes]:
    """Take one event, an array, or JSON Lines, and answer for each of them once it is on disk."""
    service = _service(state)
    body = await request.body()
    try:
        supply = supply_from_body(body, request.headers.get("content-type", ""))
    except BodyProblem as error:
        return problem(error.status, str(error))
    if request.user.source:
        supply = bound_to(supply, request.user.source)
    try:
        items = await asyncio.wrap_future(service.submit(supply))
    except StoreError as error:
        return _send_again(f"nothing of it was taken: {error}")
    except MemoryError:
        return _send_again("nothing of it was taken: the service is short of memory; send it again, in smaller batches")
    counts = Counter(item.outcome for item in items)
    return json_answer({"counts": dict(sorted(counts.items())), "results": items}, 207)


def _send_again(words: str) -> Response[bytes]:
    response = problem(503, words)
    response.headers["retry-after"] = "10"
    return response


@get("/v1/alerts", summary="List alerts", tags=["alerts"], sync_to_thread=True)
def list_alerts(
    state: State,
    alert_state: Annotated[list[Literal["open", "settled", "withdrawn"]] | None, QueryParameter(name="state")] = None,
    since: FromQuery[date | None] = None,
    until: FromQuery[date | None] = None,
    limit: Annotated[int, QueryParameter(ge=1, le=10_000)] = 100,
    language: FromQuery[Language | None] = None,
) -> Response[bytes]:
    """Alerts, the newest first; since and until are days on which they were opened."""
    service, words = _service(state), _language(state, language)
    names = Names.from_registers(service.register, service.tree)
    alerts = service.store.alerts(
        municipality=service.register.municipality, states=alert_state or (), since=since, until=until, limit=limit
    )
    return json_answer({"alerts": [_shown(a, names, words) for a in alerts]})


@get("/v1/alerts/{alert_id:str}", summary="One alert", tags=["alerts"], sync_to_thread=True)
def show_alert(state: State, alert_id: FromPath[str], language: FromQuery[Language | None] = None) -> Response[bytes]:
    """One alert with what explains it and its history."""
    service, words = _service(state), _language(state, language)
    alert = service.store.alert(alert_id)
    if alert is None or not alert_id.startswith(f"{service.register.municipality}-"):
        return problem(404, "there is no alert of that id")
    names = Names.from_registers(service.register, service.tree)
    explained = [{"heading": heading, "text": text} for heading, text in details(alert, names, words)]
    history = [
        {"change": h.change, "on": h.on, "observed": h.alert.observed, "settings_version": h.alert.settings_version}
        for h in service.store.history(alert_id)
    ]
    return json_answer({**_shown(alert, names, words), "details": explained, "history": history, **casework_of(service, alert)})


@get("/v1/data-quality", summary="Artefacts of booking", tags=["counts"], sync_to_thread=True)
def data_quality(
    state: State,
    since: FromQuery[date | None] = None,
    until: FromQuery[date | None] = None,
    limit: Annotated[int, QueryParameter(ge=1, le=10_000)] = 100,
    language: FromQuery[Language | None] = None,
) -> Response[bytes]:
    """What was recognised as an artefact of booking, the newest first; since and until are days on which it was noted."""
    service, words = _service(state), _language(state, language)
    names = Names.from_registers(service.register, service.tree)
    own = service.register.municipality
    notes = service.store.data_notes(municipality=own, since=since, until=until, limit=limit)
    return json_answer({"notes": [{**msgspec.to_builtins(n), "sentence": note_sentence(n, names, words)} for n in notes]})


@get("/v1/counts", summary="Counts as a table", tags=["counts"], sync_to_thread=True)
def counts(
    request: Asking,
    state: State,
    first: FromQuery[date | None] = None,
    last: FromQuery[date | None] = None,
    area: FromQuery[list[str] | None] = None,
    category: FromQuery[list[str] | None] = None,
    kind: FromQuery[list[Literal["incident", "report"]] | None] = None,
    origin: FromQuery[list[Literal["reported", "discovered", "tasked"]] | None] = None,
    window: Annotated[int, QueryParameter(ge=1, le=366)] = 1,
    by_origin: FromQuery[bool] = False,
    zeros: FromQuery[bool] = False,
    form: Annotated[Literal["json", "csv"], QueryParameter(name="format")] = "json",
) -> Response[bytes]:
    """Events by area, category, kind of source and local day, or in the window of so many days ending on each day.

    area and category: codes, or level:N for all of a level; without them, all. Without first, the last 28 days.
    """
    service = _service(state)
    begin, end = span(service.store, service.register.municipality, first, last)
    selection = Selection(
        begin, end, tuple(area or ()), tuple(category or ()), tuple(kind or KINDS), tuple(origin or ORIGINS),
        window, zeros, by_origin,
    )  # fmt: skip
    if end - begin > 366 * 15:
        return problem(400, "more than 15 years are asked for; ask for fewer days")
    try:
        table = count_table(service.store, selection, register=service.register, tree=service.tree, calendar=service.calendar)
    except SelectionError as error:
        return problem(400, str(error))
    if len(table) > _MOST_ROWS:
        return problem(400, f"the table has {len(table)} rows; ask for at most {_MOST_ROWS}, or use the command line")
    log_of(state).note(request.user, "exported", "counts")
    rows = list(count_rows(table))
    if form == "json":
        return json_answer({"window": window, "rows": rows})
    text = io.StringIO()
    writer = csv.DictWriter(text, ["day", "area", "category", "kind", "origin", "count"], lineterminator="\n")
    writer.writeheader()
    writer.writerows(cells(rows))
    return Response(text.getvalue().encode(), headers={"content-type": "text/csv; charset=utf-8"})


@get("/v1/areas", summary="The area register", tags=["registers"], sync_to_thread=True)
def areas(state: State) -> Response[bytes]:
    """Areas with level and parent, and what is to be known about their outlines."""
    r = _service(state).register
    rows = [
        {"code": c, "name": n, "level": int(level), "parent": r.codes[p] if p >= 0 else None}
        for c, n, level, p in zip(r.codes, r.names, r.levels.tolist(), r.parents.tolist(), strict=True)
    ]
    return json_answer({"municipality": r.municipality, "note": r.note, "areas": rows})


@get("/v1/categories", summary="The category tree", tags=["registers"], sync_to_thread=True)
def categories(state: State) -> Response[bytes]:
    """Categories with names in Swedish and English, harm weight and default origin."""
    t = _service(state).tree
    rows = [
        {
            "code": code,
            "parent": t.codes[t.parents[i]] if t.parents[i] >= 0 else None,
            "name_sv": t.names_sv[i],
            "name_en": t.names_en[i],
            "harm_weight": float(t.harm[i]),
            "default_origin": ORIGINS[t.default_origin[i]],
        }
        for i, code in enumerate(t.codes)
    ]
    return json_answer({"categories": rows})


@get("/v1/schemas/{kind:str}", summary="JSON Schema of an event", tags=["events"], sync_to_thread=False)
def event_schema(kind: FromPath[str]) -> Response[bytes]:
    """The published schema of an incident or a report."""
    if kind not in KINDS:
        return problem(404, f"there are schemas for {' and '.join(KINDS)}")
    return json_answer(schema(kind))


@get("/metrics", include_in_schema=False, sync_to_thread=True)
def metrics(request: Request[Any, Any, State], state: State) -> Response[bytes]:
    """Prometheus metrics."""
    service = _service(state)
    service.show_state()
    page, content_type = service.metrics.page(request.headers.get("accept", ""))
    return Response(page, headers={"content-type": content_type})


@get("/healthz", summary="Is the process alive", tags=["operations"], sync_to_thread=False)
def healthz() -> Response[bytes]:
    """Answers as long as the process does."""
    return json_answer({"status": "alive", "version": __version__})


@get("/readyz", summary="Can it take events", tags=["operations"], sync_to_thread=True)
def readyz(state: State) -> Response[bytes]:
    """Ready when the engine is rebuilt, the writer lives, the store answers and keeps what it is given."""
    service = _service(state)
    try:
        service.store.ping()
    except StoreError as error:
        return problem(503, str(error), ready=False)
    if not service.alive or service.trouble:
        return problem(503, service.trouble or "it is starting or stopping", ready=False)
    return json_answer({"status": "ready", "settings_version": service.settings.version})


@get("/", include_in_schema=False, sync_to_thread=False)
def index(request: Asking, state: State) -> Response[bytes]:
    """Where to go: browsers to the picture, programs to what there is."""
    if wants_page(request):
        return go(request, "/picture")
    paths = [
        "/v1/alerts",
        "/v1/learning",
        "/v1/data-quality",
        "/v1/counts",
        "/v1/areas",
        "/v1/categories",
        "/v1/events",
        "/v1/mutes",
        "/v1/settings",
        "/openapi.json",
        "/metrics",
        "/readyz",
    ]
    return json_answer({"service": "earlywarning", "municipality": _service(state).register.names[0], "paths": paths})


@get("/openapi.json", include_in_schema=False, sync_to_thread=False)
def openapi(request: Request[Any, Any, State]) -> Response[bytes]:
    """The OpenAPI document, with the bodies of POST /v1/events."""
    return json_answer(openapi_document(request.app))


def make_app(service: Front) -> Litestar:
    """The ASGI application of one service."""
    seen = AccessLog(service.store, service.register.municipality)
    app = Litestar(
        [
            *ANSWER_ROUTES, *PAGES,
            send_events, list_alerts, show_alert, data_quality, counts, areas, categories, event_schema, metrics,
            healthz, readyz, index, openapi, list_messages, retry_messages, *MUTES, *FEEDS, *BRIEFING, *PLAN, *LETTERS,
            *SETTINGS, *LAB,
        ],
        state=State({"service": service, "access_log": seen}),
        openapi_config=OpenAPIConfig(title="earlywarning", version=__version__, render_plugins=[], path="/schema"),
        exception_handlers={Exception: refused},
        after_exception=[recognise_at_no_route],
        guards=[guard],
        middleware=[no_sniffing, Recognition],
        on_shutdown=[stop_recording],
        logging_config=None,  # the process's own (cli/logs.py); Litestar's would take its place
        compression_config=CompressionConfig(backend="gzip", gzip_compress_level=5, exclude=["/live", "/static"]),
        request_max_body_size=service.settings.service.max_body_megabytes << 20,
    )  # fmt: skip
    check_table(app)
    return app
