"""Known events, against which the lab tries settings: marked by hand or from a file; the group's assessed alerts beside them."""

import asyncio
from collections import defaultdict
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from litestar import Response, get, post
from litestar.datastructures import State, UploadFile

from earlywarning.core.marked_events import MarkedEvent, MarkError, checked
from earlywarning.lab.bench import LabError
from earlywarning.lab.labels import labels_of_text
from earlywarning.locale import Names
from earlywarning.locale.pages import page_texts
from earlywarning.runtimes.front import Front
from earlywarning.runtimes.lab_supply import labels_of
from earlywarning.store.marked_events import MarkedEvents
from earlywarning.web.pages.frame import Asking, Words, form_of, go, language_of, render
from earlywarning.web.pages.lab import areas_below
from earlywarning.web.pages.picture import category_choices

_MOST_PROBLEMS = 40
_MOST_BYTES = 1 << 20


@get("/lab/known", include_in_schema=False)
async def known_page(request: Asking, state: State) -> Response[bytes]:
    """All that were marked, and forms to add some."""
    return await asyncio.to_thread(_page, request, state.service)


def _page(
    request: Asking, front: Front, *, given: dict[str, str] | None = None, field: str = "", problems: tuple[str, ...] = (),
    status: int = 200,
) -> Response[bytes]:  # fmt: skip
    t = Words(language_of(request), front.settings.municipality.timezone)
    names, own = Names.from_registers(front.register, front.tree), front.register.municipality
    events = MarkedEvents(front.store, own).every()
    answers = [label for label in labels_of(front.store, own) if label.source == "group"]

    def shown(codes: tuple[str, ...], name: Any) -> str:
        return ", ".join(t("lab", "everything") if code == "*" else name(code, t.language) for code in codes)

    rows = [(e, shown(e.areas, names.area), shown(e.categories, names.category)) for e in events]
    saved = request.query_params.get("saved", "")
    return render(
        request, "lab_known.html", status=status, here="lab", rows=rows, field=field, problems=problems,
        given=defaultdict(str, given or {}),
        areas=areas_below(front), categories=category_choices(front.tree, names, t),
        saved=saved if saved in ("added", "removed") or saved.isdecimal() else "",
        confirmed=sum(v.true for v in answers), refuted=sum(not v.true for v in answers),
    )  # fmt: skip


@post("/lab/known", include_in_schema=False)
async def change_known(request: Asking, state: State) -> Response[bytes]:
    """action: add, remove or import; what is wrong is said beside its field, and nothing that was written is lost."""
    front: Front = state.service
    form, file = await form_of(request), (await request.form()).get("file")
    data = await file.read(_MOST_BYTES + 1) if isinstance(file, UploadFile) else b""
    name = file.filename[:80] if isinstance(file, UploadFile) else ""
    t = Words(language_of(request), front.settings.municipality.timezone)
    who, now = request.user.name or t("case", "open_actor"), datetime.now(UTC)
    kept = MarkedEvents(front.store, front.register.municipality)

    def remove() -> Response[bytes]:
        try:
            kept.remove(int(form["mark_id"]), who, now)
        except (KeyError, ValueError):  # gone already, or no number
            return _page(request, front, problems=(t("lab_problem", "gone"),), status=409)
        return go(request, "/lab/known?saved=removed")

    def read_file() -> Response[bytes]:
        problems: list[str] = []
        events = []
        try:
            if not data or len(data) > _MOST_BYTES:
                raise LabError(t("lab_problem", "file"))
            for label in labels_of_text(data.decode("utf-8-sig"), Path(name or "file.csv")):
                try:
                    events.append(_event(front, who, now, label.name, label.first, label.last, label.areas, label.categories,
                                         label.kind, label.true))  # fmt: skip
                except MarkError as error:
                    problems.append(f"{'' if error.field == 'name' else label.name} {error}".strip())
        except LabError as error:
            problems = str(error).splitlines()
        except UnicodeDecodeError:
            problems = [t("lab_problem", "file")]
        if problems:
            return _page(request, front, problems=tuple(problems[:_MOST_PROBLEMS]), status=422)
        return go(request, f"/lab/known?saved={len(kept.add(events))}")

    def add() -> Response[bytes]:
        try:
            first, last = _day(form, "first"), _day(form, "last") if form.get("last") else _day(form, "first")
            event = _event(front, who, now, form.get("name", ""), first, last, (form.get("area", ""),),
                           (form.get("category", ""),), form.get("kind", ""), form.get("true", "1") == "1")  # fmt: skip
        except MarkError as error:
            known = page_texts(t.language)["lab_problem"]
            words = known.get(f"{error.field}-{error.rule}", known.get(error.field, "{error}")).format(error=error)
            return _page(request, front, given=form, field=error.field, problems=(words,), status=422)
        kept.add([event])
        return go(request, "/lab/known?saved=added")

    actions = {"remove": remove, "import": read_file}
    return await asyncio.to_thread(actions.get(form.get("action", ""), add))


def _event(
    front: Front, who: str, now: datetime, name: str, first: date, last: date, areas: tuple[str, ...], categories: tuple[str, ...],
    kind: str, true: bool,
) -> MarkedEvent:  # fmt: skip
    event = MarkedEvent(
        municipality=front.register.municipality, name=name, first=first, last=last, areas=areas, categories=categories, kind=kind,
        true=true, who=who, made_at=now,
    )  # fmt: skip
    return checked(event, front.register.codes, front.tree.codes)


def _day(form: dict[str, str], field: str) -> date:
    try:
        return date.fromisoformat(form.get(field, ""))
    except ValueError as error:
        raise MarkError(field, "date", "is no date such as 2025-03-14") from error


KNOWN_PAGES = (known_page, change_known)
