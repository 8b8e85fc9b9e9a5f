"""A new version of the action plan by form: what is wrong with the file, what it would change, and only then in force."""

import asyncio
import base64

from litestar import Response, post
from litestar.datastructures import State, UploadFile

from earlywarning.core.action_plan import ActionPlan, in_words
from earlywarning.core.plan_check import PlanError
from earlywarning.locale.pages import page_text
from earlywarning.locale.plan_problems import plan_problem
from earlywarning.locale.refused import Told
from earlywarning.plan.words import span_words
from earlywarning.plan.writing import plan_differences
from earlywarning.runtimes.front import Front
from earlywarning.store.plans import Plans
from earlywarning.web.pages.frame import Asking, form_of, go, language_of, render
from earlywarning.web.pages.plan import shown_plan
from earlywarning.web.plan import put_in_force, read_here

_MOST_NOTE, _MOST_NAME = 2_000, 200
_MOST_PROBLEMS = 40


@post("/plan", include_in_schema=False, status_code=200)
async def import_plan(request: Asking, state: State) -> Response[bytes]:
    """Without `content`: check the file and show what it would change. With it, as the preview sends it: put it in force."""
    form = await form_of(request)
    given = (await request.form()).get("file")
    name, data = form.get("name", "")[:_MOST_NAME], b""
    if isinstance(given, UploadFile):
        name, data = given.filename[:_MOST_NAME], await given.read()
    elif form.get("content"):
        try:
            data = base64.b64decode(form["content"], validate=True)
        except ValueError:  # of which binascii.Error is one
            data = b""
    return await asyncio.to_thread(_looked_at, request, state, form, name, data)


def _looked_at(request: Asking, state: State, form: dict[str, str], name: str, data: bytes) -> Response[bytes]:
    service: Front = state.service
    language, note = language_of(request), form.get("note", "").strip()[:_MOST_NOTE]
    actor = request.user.name or page_text(language, "case", "open_actor")
    if not data:
        return shown_plan(request, state, problems=[Told(page_text(language, "plan", "no_file"))], status=422)
    try:
        plan = read_here(service, data, name, actor, note)
    except PlanError as error:
        problems = [plan_problem(line, language) for line in error.problems[:_MOST_PROBLEMS]]
        if (more := len(error.problems) - _MOST_PROBLEMS) > 0:
            problems.append(Told(page_text(language, "plan", "more_problems", n=more)))
        return shown_plan(request, state, problems=problems, status=422)
    plans, own = Plans(service.store), service.register.municipality
    versions = plans.versions(own)
    base = versions[-1].number if versions else 0
    if form.get("content") and form.get("base") == str(base):
        put = put_in_force(service, plan, actor, note)
        return go(request, f"/plan?saved={put.number}")
    # Somebody else has put another version in force since the preview: what this one changes is another thing now.
    return _preview(request, service, plan, plans.current(own), name=name, data=data, note=note, base=base,
                    stale=bool(form.get("content")))  # fmt: skip


def _preview(
    request: Asking, service: Front, plan: ActionPlan, before: ActionPlan | None, *, name: str, data: bytes, note: str, base: int,
    stale: bool,
) -> Response[bytes]:  # fmt: skip
    language = language_of(request)
    return render(
        request, "plan_preview.html", status=409 if stale else 200, here="plan", plan=plan, title=in_words(plan, "title", language),
        period=span_words(plan.first_day, plan.last_day), changes=plan_differences(before, plan) if before else [],
        first=before is None, same=before is not None and before.version == plan.version, name=name, note=note, base=base,
        stale=stale, content=base64.b64encode(data).decode(),
        names=[in_words(p, "name", language) for p in plan.priorities],
    )  # fmt: skip
