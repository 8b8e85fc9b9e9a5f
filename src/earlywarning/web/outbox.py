"""The outbox over HTTP: messages that wait or were given up, and another try."""

from datetime import UTC, datetime
from typing import Annotated, Any, Literal

import msgspec
from litestar import Request, Response, get, post
from litestar.datastructures import State
from litestar.params import QueryParameter

from earlywarning.runtimes.front import Front
from earlywarning.store.outbox import Outbox, Waiting
from earlywarning.web.bodies import BodyError, as_json, read_body
from earlywarning.web.json_answers import json_answer


class Retry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which messages are tried again; without numbers, all that were given up."""

    ids: list[int] = []


def _row(w: Waiting) -> dict[str, Any]:
    m = w.message
    about = {name: getattr(m, name) for name in ("key", "channel", "recipient", "kind", "alert_id", "created_at")}
    tried = {"state": w.state, "attempts": w.attempts, "next_at": w.next_at, "problem": w.problem}
    return {"id": w.id, **about, **tried}


@get("/v1/outbox", summary="Messages that wait or were given up", tags=["operations"], sync_to_thread=True)
def list_messages(
    state: State,
    message_state: Annotated[list[Literal["waiting", "delivered", "dead", "dropped"]] | None, QueryParameter(name="state")] = None,
    limit: Annotated[int, QueryParameter(ge=1, le=10_000)] = 100,
) -> Response[bytes]:
    """Messages, the newest first, without what they say."""
    service: Front = state.service
    outbox = Outbox(service.store)
    found = outbox.messages(service.register.municipality, message_state or ("waiting", "dead"), limit=limit)
    rows = [_row(w) for w in found]
    return json_answer({"messages": rows})


@post("/v1/outbox/retry", status_code=200, summary="Try messages again", tags=["operations"])
async def retry_messages(request: Request[Any, Any, State], state: State) -> Response[bytes]:
    """Have messages that were given up tried again."""
    service: Front = state.service
    try:
        wanted = read_body(await request.body() or b"{}", Retry)
    except BodyError as error:
        return json_answer({**as_json(error), "example": {"ids": [1, 2]}}, 400)
    outbox = Outbox(service.store)
    dead = {w.id for w in outbox.messages(service.register.municipality, ["dead"])}
    chosen = sorted(dead & set(wanted.ids)) if wanted.ids else sorted(dead)
    return json_answer({"retried": outbox.again(chosen, datetime.now(UTC)) if chosen else 0})
