"""One alert: why it was raised, what the group has done, and the answers that are possible now."""

import asyncio
import uuid
from datetime import UTC, datetime
from typing import Any

import msgspec
from litestar import Response, get, post
from litestar.datastructures import State
from litestar.exceptions import NotFoundException
from litestar.params import FromPath

from earlywarning.core.alert_record import Alert
from earlywarning.core.casework import CAUSES, OUTCOMES, REASONS, Action, Answer, AnswerError, Casework, possible
from earlywarning.core.roles import suffices
from earlywarning.locale import Names, details, headline, sentence
from earlywarning.locale.catalogue import text
from earlywarning.locale.pages import page_text
from earlywarning.runtimes.front import Front
from earlywarning.store import StoreError
from earlywarning.store.cases import AuditEntry, Cases
from earlywarning.web.access_log import log_of
from earlywarning.web.answers import case_of, refusal
from earlywarning.web.bodies import whole_number
from earlywarning.web.drawing.series import bars_of
from earlywarning.web.pages.frame import Asking, form_of, go, language_of, render
from earlywarning.web.pages.inbox import today_of
from earlywarning.web.pages.looking import drawn_of

_CHOICES = ("assessment", "reason", "note", "cause", "what", "owner", "goal", "outcome", "into")
_NUMBERS, _DAYS = ("answers", "measure"), ("begins", "due")
_NEXT: dict[str, Action] = {
    "new": "acknowledge", "acknowledged": "assess", "assessed": "picture", "picture": "cause", "analysis": "measure",
    "measure": "follow-up", "follow-up": "close",
}  # fmt: skip


@get("/alerts/{alert_id:str}", include_in_schema=False)
async def case_page(request: Asking, state: State, alert_id: FromPath[str]) -> Response[bytes]:
    """The alert. Raises NotFoundException for one that is not there, or not the visitor's to see."""

    def work() -> Response[bytes]:
        alert = _alert(request, state.service, alert_id)
        log_of(state).note(request.user, "viewed-alert", alert.alert_id)
        return _page(request, state, alert)

    return await asyncio.to_thread(work)


def _alert(request: Asking, service: Front, alert_id: str) -> Alert:
    alert = service.store.alert(alert_id)
    if alert is None or alert.municipality != service.register.municipality or not request.user.sees(alert.areas):
        raise NotFoundException
    return alert


@post("/alerts/{alert_id:str}", include_in_schema=False)
async def answer_case(request: Asking, state: State, alert_id: FromPath[str]) -> Response[bytes]:
    """Take the answer of a form; what is refused is said beside the form, and nothing of it is lost."""
    form = await form_of(request)
    return await asyncio.to_thread(_answered, request, state, alert_id, form)


def _answered(request: Asking, state: State, alert_id: str, form: dict[str, str]) -> Response[bytes]:
    service: Front = state.service
    alert = _alert(request, service, alert_id)
    language = language_of(request)
    fields: dict[str, Any] = {name: form.get(name, "").strip() for name in _CHOICES if form.get(name, "").strip()}
    fields |= {name: number for name in _NUMBERS if (number := whole_number(form.get(name))) is not None}
    fields |= {name: form[name] for name in _DAYS if form.get(name)}
    if form.get("action") == "assess":  # assessment and reason are one choice: only pairs that belong together
        fields["assessment"], _, fields["reason"] = form.get("choice", "").partition(":")
        if not fields["assessment"]:
            fields["assessment"] = None
    if form.get("action") == "picture":
        fields["picture"] = {name: form.get(name, "").strip() for name in ("situation", "target", "motivation")}
    try:
        said = msgspec.convert(
            {
                **fields, "answer_id": form.get("answer_id", "") or uuid.uuid4().hex, "alert_id": alert.alert_id,
                "action": form.get("action", ""), "actor": _actor(request), "at": datetime.now(UTC),
                "revision": whole_number(form.get("revision")),
            },
            Answer,
        )  # fmt: skip
        service.answer(said)
    except AnswerError as error:
        stale = error.rule in ("stale", "illegal-transition")
        return _page(request, state, alert, problem=refusal(error, language), form=form, status=409 if stale else 422)
    except msgspec.ValidationError:
        return _page(request, state, alert, problem=text(language, "missing", "refusal"), form=form, status=422)
    except StoreError as error:
        return _page(request, state, alert, problem=str(error), form=form, status=503)
    return go(request, f"/alerts/{alert.alert_id}?saved=1")


def _actor(request: Asking) -> str:
    """Who answers: as signed in, or where nobody signs in, the function that answers."""
    return request.user.name or page_text(language_of(request), "case", "open_actor")


def _page(
    request: Asking, state: State, alert: Alert, *, problem: str = "", form: dict[str, str] | None = None, status: int = 200
) -> Response[bytes]:
    service: Front = state.service
    language = language_of(request)
    names = Names.from_registers(service.register, service.tree)
    case = case_of(service, alert)
    may = request.user.role is not None and suffices(request.user.role, "coordinator")
    actions = possible(case) if may else []
    first = _NEXT.get(case.stage)
    ordered = sorted(actions, key=lambda a: a != first)
    earlier = [a for i in case.earlier if (a := service.store.alert(i)) is not None and request.user.sees(a.areas)]
    today = today_of(service)
    audit = Cases(service.store).audit(alert.municipality, alert.alert_id)
    daily = [(d.day, d.observed) for d in alert.days]
    first_bar, last_bar = min([alert.first_day, *(day for day, _ in daily)]), max([alert.last_day, *(day for day, _ in daily)])
    return render(
        request, "case.html", status=status, here="inbox", alert=alert, case=case, headline=headline(alert, names, language, today),
        sentence=sentence(alert, names, language, today), details=details(alert, names, language), actions=ordered,
        first=first if first in actions else (ordered[0] if ordered else None), may=may, problem=problem, form=form or {},
        saved="saved" in request.query_params and not problem, answer_id=uuid.uuid4().hex, assessments=_assessments(),
        close_reasons=REASONS["close"], reopen_reasons=REASONS["reopen"], causes=CAUSES, outcomes=OUTCOMES,
        others=_others(request, service, alert, names) if "merge" in actions else [],
        audit=list(reversed(audit)), meanwhile=_meanwhile(case, audit, form or {}) if status == 409 else [],
        changes=service.store.history(alert.alert_id)[-12:], town=drawn_of(state).town(service.register),
        held=service.register.resolve(alert.areas).tolist(), today=today,
        area_links=[(code, names.area(code, language)) for code in alert.areas if code in service.register.codes],
        earlier=[(a, headline(a, names, language, today)) for a in earlier], category=alert.categories[0],
        bars=bars_of(daily, first_bar, last_bar, 640, 72), bars_first=first_bar, bars_last=last_bar,
        actor=_actor(request),
    )  # fmt: skip


def _meanwhile(case: Casework, audit: list[AuditEntry], form: dict[str, str]) -> list[AuditEntry]:
    """What others have answered since the form that was refused was made, the oldest first. audit: the newest first."""
    seen = form.get("revision", "")
    taken = [e for e in audit if e.answer_id is not None]
    return taken[: max(case.revision - int(seen), 0)][::-1] if seen.isdecimal() else []


def _assessments() -> list[tuple[str, tuple[str, ...]]]:
    return [(a, REASONS[a]) for a in ("confirmed", "known-cause", "false-alarm", "data-fault")]


def _others(request: Asking, service: Front, alert: Alert, names: Names) -> list[tuple[str, str]]:
    """Open alerts that this one may be part of."""
    kept = service.store.alerts(municipality=alert.municipality, states=("open",), limit=100)
    cases = Cases(service.store).of([a.alert_id for a in kept])
    language = language_of(request)
    return [
        (a.alert_id, headline(a, names, language))
        for a in kept
        if a.alert_id != alert.alert_id and request.user.sees(a.areas) and _open(cases.get(a.alert_id))
    ]


def _open(case: Casework | None) -> bool:
    return case is None or case.stage not in ("closed", "merged", "expired")
