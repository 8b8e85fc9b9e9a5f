"""Refused events as a page: how many wait for which reason, each of them, and another try with what becomes of it."""

import asyncio
from typing import NamedTuple

from litestar import Response, get, post
from litestar.datastructures import State

from earlywarning.core.roles import suffices
from earlywarning.core.screening import find_personal_data
from earlywarning.locale.pages import page_text
from earlywarning.locale.refused import Told, problem_words
from earlywarning.runtimes.front import Front
from earlywarning.runtimes.replaying import Chosen, ReplayedMany
from earlywarning.store import StoredDeadLetter
from earlywarning.web.letters import replayed
from earlywarning.web.pages.frame import Asking, form_of, language_of, render

_SHOWN = 100  # letters on a page
_PROBLEMS = 8  # reasons that are told of what is still refused


class Group(NamedTuple):
    """Letters that wait for one reason."""

    rule: str
    field: str
    source: str
    waiting: int


class Row(NamedTuple):
    """A letter as it is shown: no value that was sent, and no text that may name a person."""

    stored: StoredDeadLetter
    source: str
    place: str
    problem: Told
    kept: bool


@get("/dead-letters", include_in_schema=False)
async def letters_page(request: Asking, state: State) -> Response[bytes]:
    """What waits, by what the address asks for."""
    asked = request.query_params
    return await asyncio.to_thread(_page, request, state.service, asked.get("rule", ""), asked.get("source", ""))


@post("/dead-letters", include_in_schema=False, status_code=200)
async def try_again(request: Asking, state: State) -> Response[bytes]:
    """Try one letter again, or all that the form names."""
    form = await form_of(request)
    rule, source = form.get("rule", "")[:64], form.get("source", "")[:128]
    ids = (int(form["id"]),) if form.get("id", "").isdecimal() and len(form["id"]) < 16 else ()
    chosen = Chosen(ids) if ids else Chosen((), rule or None, source or None)
    actor = request.user.name or page_text(language_of(request), "case", "open_actor")
    told = await asyncio.to_thread(replayed, state.service, chosen, actor)
    # A filter that leaves nothing shows the rest.
    return await asyncio.to_thread(_page, request, state.service, form.get("show_rule", ""), form.get("show_source", ""), told)


def _page(request: Asking, service: Front, rule: str, source: str, told: ReplayedMany | None = None) -> Response[bytes]:
    own, language = service.register.municipality, language_of(request)
    hidden = page_text(language, "letters", "hidden")

    def shown(text: str) -> str:
        return hidden if find_personal_data(text) is not None else text

    def problem(rule: str, field: str, words: str) -> Told:
        return Told(hidden) if find_personal_data(words) is not None else problem_words(rule, field, words, language)

    groups = [
        Group(r, field, s, n) for r, field, s, state, n in service.store.dead_letter_counts(own) if state == "waiting"
    ]  # fmt: skip
    after = request.query_params.get("after", "")
    first = int(after) if after.isdecimal() and len(after) < 16 else 0
    found = service.store.dead_letters(municipality=own, rule=rule or None, source=source or None, after_id=first, limit=_SHOWN + 1)
    rows = [
        Row(d, shown(d.letter.source or ""), shown(f"{d.letter.way}:{d.letter.position}"),
            problem(d.letter.rule, d.letter.field, d.letter.problem), d.letter.payload is not None)
        for d in found[:_SHOWN]
    ]  # fmt: skip
    matching = [g for g in groups if rule in ("", g.rule) and source in ("", g.source)]
    return render(
        request, "letters.html", here="operations", groups=groups, rows=rows, rule=rule, source=source,
        rules=sorted({g.rule for g in groups}), sources=sorted({g.source for g in groups if g.source}), shown=shown,
        n=sum(g.waiting for g in matching), waiting=sum(g.waiting for g in groups),
        further=found[_SHOWN - 1].id if len(found) > _SHOWN else None, told=told,
        problems=[(problem(*why), n) for why, n in sorted(told.reasons.items(), key=lambda p: -p[1])[:_PROBLEMS]] if told else [],
        may=request.user.role is not None and suffices(request.user.role, "administrator"),
    )  # fmt: skip
