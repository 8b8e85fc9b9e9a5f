"""The action plan over HTTP: as it is in force, where it stands, and a new version while the service runs."""

from datetime import UTC, datetime
from typing import Any

from litestar import Request, Response, get, post
from litestar.concurrency import sync_to_thread
from litestar.datastructures import State
from litestar.params import Parameter

from earlywarning.core.calendar import date_of
from earlywarning.core.iso_week import week_of
from earlywarning.core.plan_check import PlanError
from earlywarning.core.screening import find_personal_data
from earlywarning.locale import Language
from earlywarning.plan.reading import read_plan
from earlywarning.runtimes.front import Front
from earlywarning.runtimes.weekly_picture import plan_rows
from earlywarning.store.plans import Plans
from earlywarning.web.json_answers import json_answer


@get("/v1/plan", summary="The action plan", tags=["plan"])
async def show_plan(state: State, language: Language | None = None) -> Response[bytes]:
    """The plan in force, its versions, and where each priority stands in words."""
    return await sync_to_thread(_shown, state.service, language)


def _shown(service: Front, language: Language | None) -> Response[bytes]:
    own, words = service.register.municipality, language or service.settings.municipality.language
    plans = Plans(service.store)
    kept = service.store.engine_state(own)
    rows = (
        plan_rows(service.store, service.settings, service.register, service.tree, week_of(date_of(kept[0])), words) if kept else []
    )
    versions = [v._asdict() for v in plans.versions(own)]
    return json_answer({"plan": plans.current(own), "standing": rows, "versions": versions})


@post("/v1/plan", status_code=200, summary="Put an action plan in force", tags=["plan"])
async def put_plan(
    request: Request[Any, Any, State],
    state: State,
    actor: str = Parameter(min_length=1, max_length=80),
    note: str = Parameter(default="", max_length=2_000),
    file: str = Parameter(default="plan.toml", max_length=200),
) -> Response[bytes]:
    """A plan as TOML or CSV, as the ending of `file` says. 422 names everything that is wrong; nothing is then changed."""
    return await sync_to_thread(_put, state.service, await request.body(), file, actor, note)


def _put(service: Front, data: bytes, file: str, actor: str, note: str) -> Response[bytes]:
    for name, value in (("actor", actor), ("note", note)):
        if (found := find_personal_data(value)) is not None:
            return json_answer(
                {"problems": [f"{name}: it holds personal data ({found.rule}); name a function, and no persons"]}, 422
            )
    try:
        plan = read_plan(data, file, service.register, service.tree)
    except PlanError as error:
        return json_answer({"problems": str(error).splitlines()}, 422)
    plans, own = Plans(service.store), service.register.municipality
    before = plans.versions(own)
    number = plans.add(own, plan, actor, datetime.now(UTC), note)
    changed = not before or before[-1].number != number
    return json_answer({"number": number, "version": plan.version, "changed": changed})


PLAN = (show_plan, put_plan)
