"""The weekly picture over HTTP: as page, PDF or data; and into the outbox for those who are named."""

from datetime import UTC, datetime
from typing import Any, Literal

import msgspec
from litestar import Request, Response, get, post
from litestar.concurrency import sync_to_thread
from litestar.datastructures import State
from litestar.params import FromQuery

from earlywarning.briefing import Audience, BriefingError, briefing_messages, render_html, render_pdf
from earlywarning.briefing.messages import Addressee
from earlywarning.core.iso_week import WeekError, parse_week
from earlywarning.locale import Language
from earlywarning.runtimes.front import Front
from earlywarning.store.outbox import Outbox
from earlywarning.web.bodies import BodyError, as_json, read_body
from earlywarning.web.json_answers import OWN_STYLE, json_answer
from earlywarning.web.weekly_pictures import newest_week, pictures_of


class SendPicture(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Who is to get the picture: names of recipients in the settings. week: without it, the newest that is over."""

    to: list[str]
    week: str = ""


def _week(service: Front, wanted: str) -> str:
    return str(parse_week(wanted)) if wanted else str(newest_week(service))


@get("/v1/briefing", summary="The weekly situational picture", tags=["briefing"], sync_to_thread=True)
def picture(
    state: State,
    week: FromQuery[str] = "",
    form: FromQuery[Literal["html", "pdf", "json"]] = "html",
    language: FromQuery[Language | None] = None,
    audience: FromQuery[Audience] = "group",
) -> Response[bytes]:
    """A week such as 2026-W12; without one, the newest that is over. audience=outside hides small counts, as the settings say."""
    service: Front = state.service
    words = language or service.settings.municipality.language
    try:
        made = pictures_of(state).get(_week(service, week), words, audience)
    except (WeekError, BriefingError) as error:
        return json_answer({"problem": str(error)}, 400)
    if form == "json":
        return json_answer(made)
    if form == "html":
        return Response(render_html(made).encode(), headers=OWN_STYLE)
    name = f"briefing-{made.municipality}-{made.week}-{words}.pdf"
    headers = {"content-type": "application/pdf", "content-disposition": f'inline; filename="{name}"'}
    return Response(render_pdf(made), headers=headers)


@post("/v1/briefing/send", status_code=202, summary="Send the weekly picture", tags=["briefing"])
async def send_picture(request: Request[Any, Any, State], state: State) -> Response[bytes]:
    """Put the picture into the outbox for some recipients; a week that they got already is not sent again."""
    try:
        wanted = read_body(await request.body(), SendPicture)
    except BodyError as error:
        return json_answer({**as_json(error), "example": {"to": ["recipient"], "week": "2026-W12"}}, 400)
    return await sync_to_thread(_send, state, wanted)


def _send(state: State, wanted: SendPicture) -> Response[bytes]:
    service: Front = state.service
    known, own = service.settings.recipients, service.settings.municipality.language
    if unknown := [name for name in wanted.to if name not in known]:
        return json_answer(
            {"problem": f"there is no recipient {unknown[0][:40]!r} in the settings; there are: {', '.join(known)}"}, 422
        )
    try:
        week = _week(service, wanted.week)
        messages = []
        for language in sorted({known[name].language or own for name in wanted.to}):
            made = pictures_of(state).get(week, language)
            readers = [Addressee(known[n].channel, n) for n in wanted.to if (known[n].language or own) == language]
            messages += briefing_messages(made, readers, datetime.now(UTC))
    except (WeekError, BriefingError) as error:
        return json_answer({"problem": str(error)}, 400)
    service.store.commit(None, also=[Outbox(service.store).put(messages)])
    return json_answer({"week": week, "to": wanted.to}, 202)


BRIEFING = (picture, send_picture)
