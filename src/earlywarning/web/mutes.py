"""The HTTP API of mutes: list them, make or preview one, end one."""

import asyncio
from datetime import UTC, datetime
from typing import Any

import msgspec
from litestar import Request, Response, get, post
from litestar.datastructures import State
from litestar.params import FromPath, FromQuery

from earlywarning.core.mutes import MuteError
from earlywarning.core.rhythms import local_day
from earlywarning.locale import Language, Names
from earlywarning.runtimes.front import Front
from earlywarning.runtimes.muting import MuteWords, mute, shown, shown_mute
from earlywarning.store.mutes import Mutes
from earlywarning.web.bodies import BodyError, as_json, read_body
from earlywarning.web.json_answers import json_answer


class Ends(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Who ends a mute."""

    who: str


def _place(state: State, wanted: Language | None) -> tuple[Front, Names, Language]:
    service: Front = state.service
    return service, Names.from_registers(service.register, service.tree), wanted or service.settings.municipality.language


@get("/v1/mutes", summary="List mutes", tags=["mutes"])
async def list_mutes(state: State, over: FromQuery[bool] = False, language: FromQuery[Language | None] = None) -> Response[bytes]:
    """Mutes that last or are still to come; over: also those that are over or were ended."""
    service, names, words = _place(state, language)
    today = local_day(datetime.now(UTC), service.settings.municipality.timezone)
    own = service.register.municipality
    mutes = await asyncio.to_thread(lambda: Mutes(service.store).every(own, None if over else today))
    return json_answer({"mutes": [shown_mute(m, names, words) for m in mutes if over or m.ended_at is None]})


@post("/v1/mutes", status_code=201, summary="Make a mute", tags=["mutes"])
async def make_mute(
    request: Request[Any, Any, State], state: State, preview: FromQuery[bool] = False, language: FromQuery[Language | None] = None
) -> Response[bytes]:
    """Mute areas and categories for some days; the answer names the alerts that it hits. preview: only see what it would hit."""
    service, names, words = _place(state, language)
    timezone = service.settings.municipality.timezone
    try:
        said = read_body(await request.body(), MuteWords)
        result = await asyncio.to_thread(
            lambda: mute(service.store, service.register, service.tree, said, datetime.now(UTC), timezone, keep=not preview)
        )
    except BodyError as error:
        return json_answer(as_json(error), 400)
    except MuteError as error:
        return json_answer({"problem": str(error), "field": error.field, "rule": error.rule}, 422)
    return json_answer(shown(result, names, words), 200 if preview else 201)


@post("/v1/mutes/{mute_id:str}/end", status_code=200, summary="End a mute", tags=["mutes"])
async def end_mute(
    request: Request[Any, Any, State], state: State, mute_id: FromPath[str], language: FromQuery[Language | None] = None
) -> Response[bytes]:
    """End a mute before its last day. The body says who: {"who": "coordinator"}."""
    service, names, words = _place(state, language)
    try:
        who = read_body(await request.body(), Ends).who
        own = service.register.municipality
        ended = await asyncio.to_thread(lambda: Mutes(service.store).end(mute_id, own, who, datetime.now(UTC)))
    except BodyError as error:
        return json_answer(as_json(error), 400)
    except MuteError as error:
        return json_answer(
            {"problem": str(error), "field": error.field, "rule": error.rule}, 404 if error.rule == "unknown" else 409
        )
    return json_answer(shown_mute(ended, names, words))


MUTES = [list_mutes, make_mute, end_mute]
