"""The action plan over HTTP: as it is in force, where it stands, and a new version while the service runs."""

from datetime import UTC, datetime
from typing import Annotated, Any, Literal, NamedTuple
from zoneinfo import ZoneInfo

from litestar import Request, Response, get, post
from litestar.concurrency import sync_to_thread
from litestar.datastructures import State
from litestar.params import FromQuery, QueryParameter

from earlywarning.core.action_plan import ActionPlan
from earlywarning.core.calendar import date_of
from earlywarning.core.iso_week import week_of
from earlywarning.core.plan_check import PlanError
from earlywarning.core.screening import find_personal_data
from earlywarning.locale import Language
from earlywarning.plan.reading import read_plan
from earlywarning.plan.writing import plan_toml
from earlywarning.runtimes.front import Front
from earlywarning.runtimes.plan_counts import plan_of_year
from earlywarning.runtimes.weekly_picture import plan_rows
from earlywarning.runtimes.yearly_follow_up import follow_up_apart
from earlywarning.store.plans import Plans
from earlywarning.web.json_answers import OWN_STYLE, json_answer, problem


@get("/v1/plan", summary="The action plan", tags=["plan"])
async def show_plan(
    state: State,
    language: FromQuery[Language | None] = None,
    form: Annotated[Literal["json", "toml"], QueryParameter(name="format")] = "json",
) -> Response[bytes]:
    """The plan in force, its versions, and where each priority stands in words; or the plan alone as TOML, to be changed and
    imported again."""
    return await sync_to_thread(_shown, state.service, language, form)


def _shown(service: Front, language: Language | None, form: Literal["json", "toml"]) -> Response[bytes]:
    own, words = service.register.municipality, language or service.settings.municipality.language
    plans = Plans(service.store)
    if form == "toml":
        plan = plans.current(own)
        if plan is None:
            return problem(404, "there is no action plan yet")
        name = f"action_plan-{own}-{plan.version}.toml"
        headers = {"content-type": "application/toml; charset=utf-8", "content-disposition": f'attachment; filename="{name}"'}
        return Response(plan_toml(plan).encode(), headers=headers)
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
    actor: Annotated[str, QueryParameter(min_length=1, max_length=80)],
    note: Annotated[str, QueryParameter(max_length=2_000)] = "",
    file: Annotated[str, QueryParameter(max_length=200)] = "plan.toml",
) -> Response[bytes]:
    """A plan as TOML or CSV, as the ending of `file` says. 422 names everything that is wrong; nothing is then changed."""
    return await sync_to_thread(_put, state.service, await request.body(), file, actor, note)


def _put(service: Front, data: bytes, file: str, actor: str, note: str) -> Response[bytes]:
    try:
        put = put_in_force(service, read_here(service, data, file, actor, note), actor, note)
    except PlanError as error:
        return json_answer({"problems": list(error.problems)}, 422)
    return json_answer(put._asdict())


class Put(NamedTuple):
    """A plan in force: its number, what it says in 12 digits, and whether it is another than before."""

    number: int
    version: str
    changed: bool


def read_here(service: Front, data: bytes, file: str, actor: str, note: str) -> ActionPlan:
    """The plan of a file, checked against the registers, with who brings it and why. Raises PlanError with all problems."""
    for name, value in (("actor", actor), ("note", note)):
        if (found := find_personal_data(value)) is not None:
            raise PlanError([f"{name}: it holds personal data ({found.rule}); name a function, and no persons"])
    return read_plan(data, file, service.register, service.tree)


def put_in_force(service: Front, plan: ActionPlan, actor: str, note: str) -> Put:
    """Keep a plan as the one in force. Raises StoreError."""
    plans, own = Plans(service.store), service.register.municipality
    before = plans.versions(own)
    number = plans.add(own, plan, actor, datetime.now(UTC), note)
    return Put(number, plan.version, not before or before[-1].number != number)


@get("/v1/plan/follow-up", summary="The yearly follow-up", tags=["plan"])
async def show_follow_up(
    state: State,
    year: Annotated[int | None, QueryParameter(ge=1990, le=2099)] = None,
    form: FromQuery[Literal["html", "pdf"]] = "pdf",
    language: FromQuery[Language | None] = None,
    smallest: Annotated[int, QueryParameter(ge=1, le=1_000)] = 5,
) -> Response[bytes]:
    """The yearly follow-up of the action plan, of this year unless one is named. Counts below `smallest` are not shown; 1 shows
    all, for the group itself."""
    return await sync_to_thread(_followed_up, state.service, year, form, language, smallest)


def _followed_up(
    service: Front, wanted: int | None, form: Literal["html", "pdf"], language: Language | None, smallest: int
) -> Response[bytes]:
    words = language or service.settings.municipality.language
    today = datetime.now(ZoneInfo(service.settings.municipality.timezone)).date()
    year = wanted or today.year
    covered = plan_of_year(service.store, service.register.municipality, year) is not None
    made = follow_up_apart(service.settings, service.store.url, year, today, words, smallest, form) if covered else None
    if made is None:
        return problem(404, f"no action plan covers the year {year}")
    if form == "html":
        return Response(made, headers=OWN_STYLE)
    name = f"follow-up-{service.register.municipality}-{year}-{words}.pdf"
    return Response(made, headers={"content-type": "application/pdf", "content-disposition": f'inline; filename="{name}"'})


PLAN = (show_plan, put_plan, show_follow_up)
