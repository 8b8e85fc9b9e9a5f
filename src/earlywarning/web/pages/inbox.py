"""The inbox: alerts as cards, newest first, in groups; and the stream that tells that something has happened."""

import asyncio
from collections.abc import AsyncIterator
from datetime import date, datetime
from typing import Any, Literal, NamedTuple
from zoneinfo import ZoneInfo

from litestar import Response, get
from litestar.datastructures import State
from litestar.response import ServerSentEvent, ServerSentEventMessage

from earlywarning.core.alert_record import Alert
from earlywarning.core.calendar import date_of
from earlywarning.core.casework import ENDED, Casework, possible
from earlywarning.core.outgoing import key_of
from earlywarning.core.roles import suffices
from earlywarning.locale import Names, sentence
from earlywarning.locale.catalogue import expected_words, number_words
from earlywarning.runtimes.front import Front
from earlywarning.store.cases import Cases
from earlywarning.web.drawing.series import bars_of
from earlywarning.web.pages.frame import Asking, Words, language_of, render
from earlywarning.web.pages.looking import drawn_of

Which = Literal["waiting", "working", "ended", "all"]
WHICH: tuple[Which, ...] = ("waiting", "working", "ended", "all")
GROUPS = ("stage", "tendency", "area")
_MOST = 30  # cards on a page
_WAITS = 28  # days that an alert which is over waits for an answer
_READ = 1_000  # newest alerts that are looked through
_POLL, _BEAT = 1.0, 20.0  # seconds between looks for news, and between signs of life to the browser


class Card(NamedTuple):
    """An alert as it is shown in the list. bars: x, y, width, height; here: indices of its areas.

    answer_id: the same for a visitor as long as nobody has answered, so that a form that is sent twice counts once.
    """

    alert: Alert
    case: Casework
    title: str
    sentence: str
    age: int
    bars: list[tuple[float, float, float, float]]
    here: list[int]
    area_names: str
    observed: str
    expected: str
    acknowledges: bool
    answer_id: str


def today_of(service: Front) -> date:
    """The local day that is open, by the engine's clock: for replays, that of the data."""
    state = service.store.engine_state(service.register.municipality)
    return date_of(state[0]) if state else datetime.now(ZoneInfo(service.settings.municipality.timezone)).date()


def case_now(alert: Alert, kept: Casework | None) -> Casework:
    """What the group has done about an alert; a fresh casework where nothing was kept yet."""
    return kept or Casework(alert_id=alert.alert_id, municipality=alert.municipality, opened_at=alert.opened_at)


def belongs(alert: Alert, case: Casework, which: Which, today: date) -> bool:
    """Whether an alert is in a part of the inbox.

    One that nobody has answered waits, also when it is over, for four weeks; one that was withdrawn waits for nobody.
    """
    if which == "all":
        return True
    stale = alert.state == "withdrawn" or (alert.state == "settled" and (today - alert.last_day).days > _WAITS)
    ended = case.stage in ENDED or (case.stage == "new" and stale)
    if which == "ended":
        return ended
    return not ended and ((case.stage == "new") == (which == "waiting"))


@get("/alerts", include_in_schema=False, sync_to_thread=True)
def inbox_page(request: Asking, state: State) -> Response[bytes]:
    """Cards by what the address asks for."""
    service: Front = state.service
    language = language_of(request)
    asked = request.query_params
    which: Which = next((w for w in WHICH if w == asked.get("which")), "waiting")
    group = asked.get("group", "") if asked.get("group", "") in GROUPS else "stage"
    names = Names.from_registers(service.register, service.tree)
    news = service.store.news  # before reading: what is kept from now on is told by the stream
    kept = [a for a in service.store.alerts(municipality=service.register.municipality, limit=_READ) if request.user.sees(a.areas)]
    cases = Cases(service.store).of([a.alert_id for a in kept])
    pairs = [(a, case_now(a, cases.get(a.alert_id))) for a in kept]
    today = today_of(service)
    counts = {w: sum(belongs(a, c, w, today) for a, c in pairs) for w in WHICH}
    chosen = [(a, c) for a, c in pairs if belongs(a, c, which, today)]
    if tendency := asked.get("tendency", ""):
        chosen = [(a, c) for a, c in chosen if a.tendency == tendency]
    if area := asked.get("area", ""):
        chosen = [(a, c) for a, c in chosen if area in a.areas]
    found = [(a, c, sentence(a, names, language, today)) for a, c in chosen]
    if wanted := asked.get("q", "").strip().casefold()[:80]:
        found = [f for f in found if wanted in f[2].casefold() or wanted in f[0].alert_id.casefold()]
    may = request.user.role is not None and suffices(request.user.role, "coordinator")
    secret = request.user.secret
    cards = [_card(service, a, c, names, said, today, language, secret, may=may) for a, c, said in found[:_MOST]]
    words = Words(language, service.settings.municipality.timezone)
    areas = sorted({code for a in kept for code in a.areas}, key=lambda code: names.area(code, language))
    return render(
        request, "inbox.html", here="inbox", which=which, all_which=WHICH, counts=counts,
        groups=_groups(cards, group, words, names),
        group=group, all_groups=GROUPS, tendency=tendency, tendencies=sorted({a.tendency for a in kept}), q=asked.get("q", "")[:80],
        area=area, areas=[(code, names.area(code, language)) for code in areas], n=len(found), most=_MOST,
        town=drawn_of(state).town(service.register), news=news,
    )  # fmt: skip


def _card(
    service: Front, alert: Alert, case: Casework, names: Names, said: str, today: date, language: Any, secret: str, *, may: bool
) -> Card:  # fmt: skip
    days = [(d.day, d.observed) for d in alert.days]
    first = min([alert.first_day, *(d for d, _ in days)])
    last = max([alert.last_day, *(d for d, _ in days)])
    lead = alert.signals[0]
    areas = ", ".join(names.area(code, language) for code in alert.areas)
    what = ", ".join(names.category_inside(code, language) for code in alert.categories)
    return Card(
        alert, case, f"{areas}: {what}", said, max((today - alert.opened_on).days, 0), bars_of(days, first, last),
        service.register.resolve(alert.areas).tolist(), areas, number_words(lead.observed, language),
        expected_words(lead.expectation, language), may and "acknowledge" in possible(case),
        key_of("inbox", secret, alert.alert_id, str(case.revision)),
    )  # fmt: skip


def _groups(cards: list[Card], by: str, words: Words, names: Names) -> list[tuple[str, list[Card]]]:
    """Cards under headings; what interrupts people stands first."""
    out: dict[str, list[Card]] = {}
    for card in cards:
        key = card.case.stage if by == "stage" else card.alert.tendency if by == "tendency" else card.alert.areas[0]
        title = (
            words("stage", key) if by == "stage" else words("label", key) if by == "tendency" else names.area(key, words.language)
        )
        out.setdefault(title, []).append(card)
    for group in out.values():
        group.sort(key=lambda c: c.alert.tendency != "severe")
    return list(out.items()) if by == "stage" else sorted(out.items())


@get("/live", include_in_schema=False)
async def live(request: Asking, state: State) -> ServerSentEvent:
    """A message whenever an alert, or something that goes with one, was kept; the page then asks for what is new.

    Events alone are no news here: five hundred a second would have every reader ask again each second. Ends when the session does.
    """
    service: Front = state.service

    async def told() -> AsyncIterator[ServerSentEventMessage]:
        seen, quiet = service.store.news, 0.0
        yield ServerSentEventMessage(data=str(seen), event="begun", retry=5_000)
        ends = asyncio.get_running_loop().time() + service.settings.access.idle_minutes * 60
        while asyncio.get_running_loop().time() < ends:
            await asyncio.sleep(_POLL)
            quiet += _POLL
            if service.store.news != seen:
                seen, quiet = service.store.news, 0.0
                yield ServerSentEventMessage(data=str(seen), event="kept")
            elif quiet >= _BEAT:
                quiet = 0.0
                yield ServerSentEventMessage(data=str(seen), event="beat")

    return ServerSentEvent(told())
