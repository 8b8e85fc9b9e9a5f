"""The group's answers over HTTP: by the API, and by the signed links of messages."""

import asyncio
import base64
from datetime import UTC, datetime
from hashlib import sha256
from importlib import resources
from typing import Any, Literal
from urllib.parse import parse_qs

import jinja2
import msgspec
from litestar import Request, Response, get, post
from litestar.datastructures import State
from litestar.params import FromPath, FromQuery

from earlywarning.core.alert_record import Alert
from earlywarning.core.casework import REASONS, Answer, AnswerError, Casework, possible
from earlywarning.core.outgoing import key_of
from earlywarning.locale import Language, Names, headline, sentence
from earlywarning.locale.catalogue import text
from earlywarning.locale.refused import answer_refusal
from earlywarning.runtimes.front import Front
from earlywarning.runtimes.learned import learned
from earlywarning.runtimes.links import Link, LinkError
from earlywarning.store import StoreError
from earlywarning.store.cases import Cases
from earlywarning.web.bodies import BodyError, as_json, as_kind, read_body, whole_number
from earlywarning.web.json_answers import json_answer

_CONFLICTS = ("stale", "illegal-transition")
_ASSESSMENTS: tuple[Literal["confirmed", "known-cause", "false-alarm", "data-fault"], ...] = (
    "confirmed", "known-cause", "false-alarm", "data-fault",
)  # fmt: skip
_MOST_FORM = 16_384  # bytes of a form


def case_of(service: Front, alert: Alert) -> Casework:
    """What the group has done about an alert; a fresh one where nothing was kept yet."""
    kept = Cases(service.store).get(alert.alert_id)
    return kept or Casework(alert_id=alert.alert_id, municipality=alert.municipality, opened_at=alert.opened_at)


def casework_of(service: Front, alert: Alert) -> dict[str, Any]:
    """What the API shows of it beside the alert: the casework, what may be done now, and who did what."""
    case = case_of(service, alert)
    audit = Cases(service.store).audit(alert.municipality, alert.alert_id)
    shown = [{"at": e.at, "actor": e.actor, "action": e.action, "reason": e.reason, "note": e.note} for e in reversed(audit)]
    return {"casework": case, "possible": possible(case), "audit": shown}


@post("/v1/alerts/{alert_id:str}/answers", status_code=200, summary="Answer an alert", tags=["alerts"])
async def answer_alert(request: Request[Any, Any, State], state: State, alert_id: FromPath[str]) -> Response[bytes]:
    """Acknowledge, assess, describe, decide a measure, follow up, close, reopen, merge: as the Answer schema says, without
    `alert_id` and `at`, which the service sets. 409: someone was quicker, or the alert is not at that stage."""
    service: Front = state.service
    try:
        given = read_body(await request.body(), dict[str, Any])
        if request.user.signed_in:  # who signs in answers as nobody else
            given["actor"] = request.user.name
        said = as_kind({**given, "alert_id": alert_id, "at": datetime.now(UTC)}, Answer)
    except BodyError as error:
        return json_answer(as_json(error), 400)
    try:
        case = await asyncio.to_thread(service.answer, said)
    except AnswerError as error:
        status = 409 if error.rule in _CONFLICTS else 404 if error.rule == "unknown-alert" else 422
        return json_answer({"problem": str(error), "field": error.field, "rule": error.rule}, status)
    except StoreError as error:
        return json_answer({"problem": f"the answer was not taken: {error}"}, 503)
    return json_answer({"casework": case, "possible": possible(case)})


@get("/v1/learning", summary="What the answers tell", tags=["alerts"], sync_to_thread=True)
def learning(state: State) -> Response[bytes]:
    """Precision by tendency, area, category and settings version; alerts a week; time to acknowledge; a recommendation."""
    return json_answer(learned(state.service.store, state.service.settings))


def refusal(error: AnswerError, language: Language) -> str:
    """Why an answer was refused, in the reader's words where there are any for the rule."""
    return answer_refusal(error.rule, error.field, language) or str(error)


# ---- signed links -------------------------------------------------------------------------------------------------


@get("/answer/{token:str}", include_in_schema=False)
async def show_link(state: State, token: FromPath[str], language: FromQuery[Language | None] = None) -> Response[bytes]:
    """What a link offers. Nothing changes by looking: mail programs look at links by themselves."""
    return await asyncio.to_thread(_shown, state.service, token, language)


def _shown(service: Front, token: str, language: Language | None) -> Response[bytes]:
    words: Language = language or service.settings.municipality.language
    try:
        return _page(service, service.links.read(token), words)
    except LinkError as error:
        return _refused_link(service, error, words)


@post("/answer/{token:str}", include_in_schema=False, status_code=200)
async def answer_link(
    request: Request[Any, Any, State], state: State, token: FromPath[str], language: FromQuery[Language | None] = None
) -> Response[bytes]:
    """Take the answer of a form. The link itself is the permission and no cookie is looked at, so no other site can use it."""
    body = (await request.body())[:_MOST_FORM]
    form = {key: values[0] for key, values in parse_qs(body.decode("utf-8", "replace"), keep_blank_values=True).items()}
    return await asyncio.to_thread(_answered, state.service, token, form, language)


def _answered(service: Front, token: str, form: dict[str, str], language: Language | None) -> Response[bytes]:
    words: Language = language or service.settings.municipality.language
    try:
        link = service.links.read(token)
    except LinkError as error:
        return _refused_link(service, error, words)

    def refused(problem: str, status: int) -> Response[bytes]:
        return _page(service, link, words, problem=text(words, "refused", "answer", problem=problem), status=status)

    assessment, _, reason = form.get("choice", "").partition(":")
    try:
        case = service.answer(
            msgspec.convert(
                {
                    "answer_id": key_of("link", token, form.get("revision", ""), form.get("choice", "")),
                    "alert_id": link.alert_id,
                    "action": "acknowledge" if assessment == "acknowledge" else "assess",
                    "actor": link.recipient,
                    "at": datetime.now(UTC),
                    "revision": whole_number(form.get("revision")),
                    "assessment": assessment if assessment in _ASSESSMENTS else None,
                    "reason": reason,
                    "note": form.get("note", ""),
                },
                Answer,
            )
        )
    except AnswerError as error:
        return refused(refusal(error, words), 409 if error.rule in _CONFLICTS else 422)
    except msgspec.ValidationError:
        return refused(text(words, "too-long", "refusal"), 422)  # the one field that a form can fill too far
    except StoreError as error:
        return refused(str(error), 503)
    return _page(service, link, words, done=text(words, "thanks", "answer", stage=text(words, case.stage, "stage")))


def _templates() -> jinja2.Environment:
    loader = jinja2.PackageLoader("earlywarning.web", "templates")
    return jinja2.Environment(
        loader=loader, autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True, auto_reload=False
    )


_environment = _templates()
_STYLE = resources.files("earlywarning.web").joinpath("templates", "answer.css").read_text(encoding="utf-8")
_STYLE_HASH = base64.b64encode(sha256(_STYLE.encode()).digest()).decode()


def _html(status: int, language: Language, **values: object) -> Response[bytes]:
    def t(key: str, section: str = "answer", **more: object) -> str:
        return text(language, key, section, **more)

    page = _environment.get_template("answer.html").render(language=language, style=_STYLE, t=t, **values)
    policy = f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    headers = {"content-type": "text/html; charset=utf-8", "content-security-policy": policy}
    return Response(page.encode(), status_code=status, headers=headers)


def _refused_link(service: Front, error: LinkError, language: Language) -> Response[bytes]:
    key = "expired" if error.expired else "forged"
    return _html(
        410 if error.expired else 403, language, problem=text(language, key, "answer", days=service.links.days), alert=None
    )


def _page(
    service: Front, link: Link, language: Language, *, done: str = "", problem: str = "", status: int = 200
) -> Response[bytes]:
    alert = service.store.alert(link.alert_id)
    if alert is None or alert.municipality != service.register.municipality:
        return _html(404, language, problem=text(language, "forged", "answer"), alert=None)
    case = case_of(service, alert)
    names = Names.from_registers(service.register, service.tree)
    may = possible(case)
    choices = [(a, REASONS[a]) for a in _ASSESSMENTS] if "assess" in may else []
    return _html(
        status, language, alert=alert, case=case, headline=headline(alert, names, language),
        sentence=sentence(alert, names, language),
        done=done, problem=problem, may=may, choices=choices, actor=link.recipient,
    )  # fmt: skip


ANSWER_ROUTES = (answer_alert, learning, show_link, answer_link)
