"""The pages of settings: what is in force, versions and the way back, drafts; and the page of one draft."""

import asyncio
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from litestar import Response, get, post
from litestar.datastructures import State
from litestar.exceptions import NotFoundException
from litestar.params import FromPath

from earlywarning.core.roles import suffices
from earlywarning.core.settings_draft import Draft, DraftError, changed, compared, standing
from earlywarning.locale.pages import page_text, page_texts
from earlywarning.runtimes import settings_changes
from earlywarning.runtimes.front import Front
from earlywarning.settings import SettingsError
from earlywarning.settings_drafting import KEYS, values_of
from earlywarning.store.settings_drafts import Drafts
from earlywarning.web.access import decider
from earlywarning.web.lab_choice import address_of_values
from earlywarning.web.pages.frame import Asking, Words, go, language_of, render
from earlywarning.web.pages.settings_form import allowed, fields, read_address, read_form, worded
from earlywarning.web.settings import status_of

_VERSIONS, _DRAFTS = 20, 30


@get("/settings", include_in_schema=False)
async def settings_page(request: Asking, state: State) -> Response[bytes]:
    """What is in force, drafts, and versions."""
    return await asyncio.to_thread(_page, request, state.service)


def _page(request: Asking, front: Front, problem: str = "", status: int = 200) -> Response[bytes]:
    t = _words(request, front)
    in_force = values_of(front.settings)
    sections: dict[str, list[tuple[str, str, str, bool]]] = {}
    for name, key in KEYS.items():
        row = (name, worded(t, name, in_force[name]), worded(t, name, key.default), in_force[name] != key.default)
        sections.setdefault(name.partition(".")[0], []).append(row)
    drafts = Drafts(front.store, front.register.municipality).every(limit=_DRAFTS)
    versions = settings_changes.versions(front, _VERSIONS)
    return render(
        request, "settings.html", status=status, here="settings", sections=sections, problem=problem, may=_may(request, front),
        drafts=[(d, standing(d, in_force)) for d in drafts], versions=versions, words=lambda name, value: worded(t, name, value),
        seen=versions[0].version.number if versions else 0, before=settings_changes.before(front), version=front.settings.version,
        saved=request.query_params.get("saved", "")[:12],
    )  # fmt: skip


@post("/settings/back", include_in_schema=False)
async def back_page(request: Asking, state: State) -> Response[bytes]:
    """Put the version before, or another, in force again."""
    front: Front = state.service
    form = await request.form()
    to, seen = _whole(form.get("to")), _whole(form.get("seen")) or 0

    def work() -> Response[bytes]:
        try:
            reason = str(form.get("reason") or "")
            number = settings_changes.back(front, to, seen, _who(request), reason)
        except (DraftError, SettingsError) as error:
            return _page(request, front, _said(request, error), _status(error))
        return go(request, f"/settings?saved={number}")

    return await asyncio.to_thread(work)


@get("/settings/drafts/new", include_in_schema=False)
async def new_draft_page(request: Asking, state: State) -> Response[bytes]:
    """An empty draft, or one with the values that the address names."""
    front: Front = state.service

    def work() -> Response[bytes]:
        wanted = read_address(lambda name: request.query_params.getall(name, []))
        wrong = settings_changes.problems(front, wanted) if wanted else {}
        reason = request.query_params.get("reason", "")[:2000]
        return _draft_page(request, front, None, wanted, reason, wrong=wrong, status=422 if wrong else 200)

    return await asyncio.to_thread(work)


@post("/settings/drafts", include_in_schema=False)
async def save_draft(request: Asking, state: State) -> Response[bytes]:
    """Save a new draft; what is wrong is said beside its field, and nothing that was written is lost."""
    return await _saved(request, state.service, None)


@get("/settings/drafts/{draft_id:int}", include_in_schema=False)
async def draft_page(request: Asking, state: State, draft_id: FromPath[int]) -> Response[bytes]:
    """A draft, compared with what is in force. Raises NotFoundException."""
    front: Front = state.service

    def work() -> Response[bytes]:
        draft = _draft(front, draft_id)
        return _draft_page(request, front, draft, draft.changes, draft.reason)

    return await asyncio.to_thread(work)


@post("/settings/drafts/{draft_id:int}", include_in_schema=False)
async def change_draft_page(request: Asking, state: State, draft_id: FromPath[int]) -> Response[bytes]:
    """Save a draft anew, base it on what is in force now, or withdraw it."""
    front: Front = state.service
    form = await request.form()
    action, revision = form.get("action"), _whole(form.get("revision")) or 0
    if action not in ("rebase", "withdraw"):
        return await _saved(request, front, draft_id)

    def work() -> Response[bytes]:
        draft = _draft(front, draft_id)
        step = settings_changes.rebase if action == "rebase" else settings_changes.withdraw
        try:
            step(front, draft_id, revision, _who(request))
        except DraftError as error:
            draft = _draft(front, draft_id)
            return _draft_page(request, front, draft, draft.changes, draft.reason, error=error)
        return go(request, f"/settings/drafts/{draft_id}?saved={action}")

    return await asyncio.to_thread(work)


@post("/settings/drafts/{draft_id:int}/apply", include_in_schema=False)
async def apply_page(request: Asking, state: State, draft_id: FromPath[int]) -> Response[bytes]:
    """Put a draft in force as it was seen."""
    front: Front = state.service
    form = await request.form()
    revision, seen = _whole(form.get("revision")) or 0, _whole(form.get("seen")) or 0

    def work() -> Response[bytes]:
        _draft(front, draft_id)
        try:
            number = settings_changes.apply(front, draft_id, revision, seen, _who(request))
        except (DraftError, SettingsError) as error:
            draft = _draft(front, draft_id)
            return _draft_page(request, front, draft, draft.changes, draft.reason, error=error)
        return go(request, f"/settings?saved={number}")

    return await asyncio.to_thread(work)


async def _saved(request: Asking, front: Front, draft_id: int | None) -> Response[bytes]:
    form = await request.form()

    def work() -> Response[bytes]:
        wanted = read_form(lambda name: [v for v in form.getall(name, []) if isinstance(v, str)])
        reason, revision = str(form.get("reason") or ""), _whole(form.get("revision")) or 0
        view = str(form.get("lab") or "")[:4_000]
        try:
            draft = settings_changes.save(front, wanted, reason, _who(request), draft_id, revision)
        except DraftError as error:
            kept = None if draft_id is None else _draft(front, draft_id)
            return _draft_page(request, front, kept, wanted, reason, wrong=error.problems, error=error, view=view)
        return go(request, f"/settings/drafts/{draft.draft_id}?{urlencode({'saved': 'draft', **({'lab': view} if view else {})})}")

    return await asyncio.to_thread(work)


def _draft_page(
    request: Asking, front: Front, draft: Draft | None, wanted: Mapping[str, Any], reason: str, *,
    wrong: Mapping[str, str] | None = None, error: DraftError | SettingsError | None = None, status: int = 200, view: str = "",
) -> Response[bytes]:  # fmt: skip
    t, in_force = _words(request, front), values_of(front.settings)
    wrong, view = dict(wrong or {}), view or request.query_params.get("lab", "")
    differing = changed({k: v for k, v in wanted.items() if k in in_force}, in_force)
    lines = compared(draft, in_force) if draft is not None else []
    clashing = [line.key for line in lines if line.clash]
    problem = "" if error is None else _said(request, error)
    if wrong and not problem:
        problem = t("settings_problem", "invalid")
    return render(
        request, "draft.html", status=_status(error) if error is not None else status, here="settings", draft=draft,
        standing=None if draft is None else standing(draft, in_force), lines=lines, clashing=clashing, may=_may(request, front),
        fields=fields(t, differing, in_force, wrong), problem=problem, reason=reason, wrong=wrong,
        seen=settings_changes.number_in_force(front), changes=[] if draft else [(k, in_force[k], v) for k, v in differing.items()],
        words=lambda name, value: worded(t, name, value), allowed=lambda key: allowed(t, key),
        saved=request.query_params.get("saved", "") if error is None else "", view=view,
        lab=address_of_values({**in_force, **(wanted if not wrong else {})}, view),
    )  # fmt: skip


def _draft(front: Front, draft_id: int) -> Draft:
    try:
        return settings_changes.get(front, draft_id)
    except DraftError as error:
        raise NotFoundException from error


def _may(request: Asking, front: Front) -> bool:
    return request.user.role is not None and suffices(request.user.role, decider(front))


def _who(request: Asking) -> str:
    """As signed in, or where nobody signs in, the function that decides."""
    return request.user.name or page_text(language_of(request), "role", "administrator")


def _words(request: Asking, front: Front) -> Words:
    return Words(language_of(request), front.settings.municipality.timezone)


def _said(request: Asking, error: DraftError | SettingsError) -> str:
    """Why not, in the reader's words."""
    if isinstance(error, SettingsError):
        return str(error)
    known = page_texts(language_of(request))["settings_problem"]
    return known.get(error.rule, str(error))


def _status(error: DraftError | SettingsError) -> int:
    return status_of(error) if isinstance(error, DraftError) else 422


def _whole(text: object) -> int | None:
    return int(text) if isinstance(text, str) and text.isdecimal() and len(text) < 10 else None


SETTINGS_PAGES = (settings_page, back_page, new_draft_page, save_draft, draft_page, change_draft_page, apply_page)
