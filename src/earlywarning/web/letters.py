"""Dead letters over HTTP: refused events that wait, and another try for them."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Any

import msgspec
from litestar import Request, Response, get, post
from litestar.concurrency import sync_to_thread
from litestar.datastructures import State
from litestar.params import FromQuery, QueryParameter

from earlywarning.runtimes.front import Front
from earlywarning.runtimes.replaying import Chosen, ReplayedMany, replay_chosen
from earlywarning.store.cases import AuditEntry, Cases
from earlywarning.web.bodies import BodyError, as_json, read_body
from earlywarning.web.json_answers import json_answer, problem

MOST = 20_000  # letters that one request tries; who has more asks again, or uses the command
_UNSIGNED = "api"


class ReplayLetters(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which letters are tried again: by number, all of a rule or a source, or, said outright, all."""

    ids: list[int] = []
    rule: str | None = None
    source: str | None = None
    all: bool = False


@get("/v1/dead-letters", summary="Refused events", tags=["events"], sync_to_thread=True)
def list_letters(
    state: State,
    rule: FromQuery[str | None] = None,
    source: FromQuery[str | None] = None,
    after: Annotated[int, QueryParameter(ge=0, le=2**63 - 1)] = 0,
    limit: Annotated[int, QueryParameter(ge=1, le=10_000)] = 100,
) -> Response[bytes]:
    """Events that were refused and wait, with field, rule and problem."""
    service: Front = state.service
    own = service.register.municipality
    found = service.store.dead_letters(municipality=own, rule=rule, source=source, after_id=after, limit=limit)
    rows = [{"id": d.id, **msgspec.to_builtins(d.letter), "state": d.state} for d in found]
    return json_answer({"dead_letters": rows})


@post("/v1/dead-letters/replay", status_code=200, summary="Try refused events again", tags=["events"])
async def replay_letters(request: Request[Any, Any, State], state: State) -> Response[bytes]:
    """Take refused events in again, after a register, a mapping or a setting was mended. `outcomes` counts the letters by what
    became of them; those still refused go on waiting, and `problems` counts why. `left`: how many were not tried yet."""
    try:
        wanted = read_body(await request.body() or b"{}", ReplayLetters)
    except BodyError as error:
        return json_answer(as_json(error), 400)
    if not (wanted.ids or wanted.rule is not None or wanted.source is not None or wanted.all):
        return problem(400, 'the body must say which: {"ids": [1, 2]}, {"rule": "unknown-area"}, {"source": "..."}, {"all": true}')
    chosen = Chosen(tuple(wanted.ids), wanted.rule, wanted.source)
    told = await sync_to_thread(replayed, state.service, chosen, request.user.name or _UNSIGNED)
    return json_answer({"outcomes": told.outcomes, "problems": told.problems, "left": told.left})


def replayed(service: Front, chosen: Chosen, actor: str) -> ReplayedMany:
    """Try the chosen letters again, and note in the audit log who did. Raises StoreError."""
    own = service.register.municipality
    told = replay_chosen(service.store, own, chosen, service.replay, MOST)
    counts = ", ".join(f"{outcome} {n}" for outcome, n in sorted(told.outcomes.items()))
    body = msgspec.json.encode({"ids": chosen.ids[:100], "rule": chosen.rule, "source": chosen.source}).decode()
    entry = AuditEntry(own, datetime.now(UTC), actor, "replay", "dead-letters", (chosen.rule or "")[:64], counts, body)
    service.store.commit(None, also=[Cases(service.store).keep([], [entry])])
    return told


LETTERS: Sequence[Any] = (list_letters, replay_letters)
