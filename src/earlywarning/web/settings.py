"""The HTTP API of settings: what is in force, drafts and versions; put a draft in force, go back to a version before."""

import asyncio
from collections.abc import Callable
from typing import Annotated, Any, TypeVar

import msgspec
from litestar import Request, Response, get, post
from litestar.datastructures import State
from litestar.params import FromPath, QueryParameter

from earlywarning.core.settings_draft import DraftError
from earlywarning.locale.pages import page_text
from earlywarning.runtimes import settings_changes
from earlywarning.runtimes.front import Front
from earlywarning.runtimes.settings_shown import drafts_shown, shown_draft, shown_version
from earlywarning.settings import SettingsError
from earlywarning.settings_drafting import KEYS, values_of
from earlywarning.web.access import Visitor
from earlywarning.web.bodies import BodyError, as_json, read_body
from earlywarning.web.json_answers import json_answer

Asking = Request[Visitor, Any, State]
_STATUS = {"unknown": 404, "stale": 409, "clash": 409, "settled": 409, "file-differs": 409, "unwritable": 503, "no-file": 503}
_MOST = 10_000


class DraftBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Keys with the values that they would get, and why. actor: who, where nobody signs in. revision: that was seen."""

    changes: dict[str, Any]
    reason: str = ""
    actor: str = ""
    revision: int = 0


class Step(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is done to a draft that was seen in this revision, compared with the version of this number."""

    revision: int
    seen: int = 0
    actor: str = ""


class Back(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """seen: number of the version in force. to: of the version that comes back; without it, the one before."""

    seen: int
    to: int | None = None
    reason: str = ""
    actor: str = ""


T = TypeVar("T", DraftBody, Step, Back)


def status_of(error: DraftError) -> int:
    """The status of an answer that refuses."""
    return _STATUS.get(error.rule, 422)


def who_asks(request: Asking, given: str = "") -> str:
    """Whoever is signed in; where nobody signs in, the name that is given, or that of the function. Raises DraftError."""
    if request.user.name:
        return request.user.name
    if len(given) > 80 or not given.isprintable():
        raise DraftError("actor", "actor: name a function in up to 80 printable characters")
    return given or page_text(request.app.state.service.settings.municipality.language, "role", "administrator")


async def _answered(work: Callable[[], Any], status: int = 200) -> Response[bytes]:
    try:
        return json_answer(await asyncio.to_thread(work), status)
    except DraftError as error:
        body = {"problem": str(error), "rule": error.rule, "problems": error.problems}
        return json_answer(body, status_of(error))
    except SettingsError as error:
        return json_answer({"problem": str(error), "rule": "invalid", "problems": {"": str(error)}}, 422)
    except BodyError as error:
        return json_answer(as_json(error), 400)


async def _done(request: Asking, kind: type[T], act: Callable[[T, str], Any], status: int = 200) -> Response[bytes]:
    """Read a body as `kind`, and answer what `act` makes of it and of whoever asks."""
    body = await request.body()

    def work() -> Any:
        said = read_body(body, kind)
        return act(said, who_asks(request, said.actor))

    return await _answered(work, status)


@get("/v1/settings", summary="Settings in force", tags=["settings"])
async def show_settings(state: State) -> Response[bytes]:
    """The keys that a draft may change: value in force, default, what is allowed and what it means."""
    service: Front = state.service

    def work() -> dict[str, Any]:
        values, language = values_of(service.settings), service.settings.municipality.language
        keys = [
            {
                "key": k,
                "value": values[k],
                "default": key.default,
                "allowed": key.allowed,
                "meaning": page_text(language, "setting", k),
            }
            for k, key in KEYS.items()
        ]
        return {"number": settings_changes.number_in_force(service), "version": service.settings.version, "keys": keys}

    return await _answered(work)


@get("/v1/settings/versions", summary="Versions of the settings", tags=["settings"])
async def list_versions(state: State, limit: Annotated[int, QueryParameter(ge=1, le=_MOST)] = 20) -> Response[bytes]:
    """Versions that were put in force, the newest first: when, by whom, why, and what differs from the one before."""
    service: Front = state.service
    return await _answered(lambda: {"versions": [shown_version(v) for v in settings_changes.versions(service, limit)]})


@get("/v1/settings/drafts", summary="Drafts of settings", tags=["settings"])
async def list_drafts(state: State, limit: Annotated[int, QueryParameter(ge=1, le=_MOST)] = 100) -> Response[bytes]:
    """Drafts, the newest first, also those that are settled."""
    service: Front = state.service
    return await _answered(lambda: {"drafts": drafts_shown(service, limit)})


@get("/v1/settings/drafts/{draft_id:int}", summary="One draft", tags=["settings"])
async def show_draft(state: State, draft_id: FromPath[int]) -> Response[bytes]:
    """A draft with its comparison and its clashes with what is in force."""
    service: Front = state.service
    return await _answered(lambda: shown_draft(service, settings_changes.get(service, draft_id)))


@post("/v1/settings/drafts", status_code=201, summary="Save a new draft", tags=["settings"])
async def make_draft(request: Asking, state: State) -> Response[bytes]:
    """Body: {"changes": {"detection.min_count": 4}, "reason": "..."}. 422 names the problem of each key."""
    service: Front = state.service

    def act(said: DraftBody, who: str) -> dict[str, Any]:
        return shown_draft(service, settings_changes.save(service, said.changes, said.reason, who))

    return await _done(request, DraftBody, act, 201)


@post("/v1/settings/drafts/{draft_id:int}", status_code=200, summary="Change a draft", tags=["settings"])
async def change_draft(request: Asking, state: State, draft_id: FromPath[int]) -> Response[bytes]:
    """As a new one, with the revision that was seen; 409 when somebody else has changed it since."""
    service: Front = state.service

    def act(said: DraftBody, who: str) -> dict[str, Any]:
        return shown_draft(service, settings_changes.save(service, said.changes, said.reason, who, draft_id, said.revision))

    return await _done(request, DraftBody, act)


@post("/v1/settings/drafts/{draft_id:int}/rebase", status_code=200, summary="Base a draft on what is in force", tags=["settings"])
async def rebase_draft(request: Asking, state: State, draft_id: FromPath[int]) -> Response[bytes]:
    """After a clash, when the draft's values are still wanted. Body: {"revision": 1}."""
    service: Front = state.service
    return await _done(
        request, Step, lambda said, who: shown_draft(service, settings_changes.rebase(service, draft_id, said.revision, who))
    )


@post("/v1/settings/drafts/{draft_id:int}/withdraw", status_code=200, summary="Withdraw a draft", tags=["settings"])
async def withdraw_draft(request: Asking, state: State, draft_id: FromPath[int]) -> Response[bytes]:
    """Give a draft up; it stays to be read. Body: {"revision": 1}."""
    service: Front = state.service
    return await _done(
        request, Step, lambda said, who: shown_draft(service, settings_changes.withdraw(service, draft_id, said.revision, who))
    )


@post("/v1/settings/drafts/{draft_id:int}/apply", status_code=200, summary="Put a draft in force", tags=["settings"])
async def apply_draft(request: Asking, state: State, draft_id: FromPath[int]) -> Response[bytes]:
    """Body: {"revision": 1, "seen": 7}, the version it was compared with. 409 when either is no longer so, or keys clash."""
    service: Front = state.service
    return await _done(
        request, Step, lambda said, who: {"number": settings_changes.apply(service, draft_id, said.revision, said.seen, who)}
    )


@post("/v1/settings/back", status_code=200, summary="Go back to a version before", tags=["settings"])
async def go_back(request: Asking, state: State) -> Response[bytes]:
    """Body: {"seen": 8}, or {"seen": 8, "to": 5}. 409 when another version is in force than the one that was seen."""
    service: Front = state.service
    return await _done(
        request, Back, lambda said, who: {"number": settings_changes.back(service, said.to, said.seen, who, said.reason)}
    )


SETTINGS = (
    show_settings, list_versions, list_drafts, show_draft, make_draft, change_draft, rebase_draft, withdraw_draft, apply_draft,
    go_back,
)  # fmt: skip
