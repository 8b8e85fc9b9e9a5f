"""The weekly picture as a page: a chosen week, the one before and after, and the archive of all weeks that there are."""

import asyncio
from collections import Counter
from datetime import date, timedelta
from typing import NamedTuple

from litestar import Response, get
from litestar.datastructures import State

from earlywarning.briefing import BriefingError, render_body
from earlywarning.core.calendar import date_of
from earlywarning.core.iso_week import Week, WeekError, parse_week, week_of
from earlywarning.runtimes.front import Front
from earlywarning.web.pages.frame import Asking, language_of, render, root_of
from earlywarning.web.weekly_pictures import newest_week, pictures_of

_MOST_WEEKS = 530  # ten years


class Past(NamedTuple):
    """A week of the archive: its number, its days, and how many alerts were opened in it."""

    week: Week
    first: date
    last: date
    opened: int


@get("/briefing", include_in_schema=False)
async def briefing_page(request: Asking, state: State) -> Response[bytes]:
    """The picture of a week as the group sees it."""
    return await asyncio.to_thread(_page, request, state)


def _page(request: Asking, state: State) -> Response[bytes]:
    service: Front = state.service
    try:
        newest = newest_week(service)
    except BriefingError:
        return render(request, "briefing.html", here="briefing", week=None, problem="", years=[], open_year=None)
    archive, week = _archive(service), newest
    years: dict[int, list[Past]] = {}
    for past in archive:
        years.setdefault(past.week.year, []).append(past)
    weeks, shown = [past.week for past in archive], list(years.items())
    wanted = request.query_params.get("week", "").strip()[:20]
    try:
        week = parse_week(wanted) if wanted else newest
        if week not in weeks:
            raise WeekError(wanted)
        picture = pictures_of(state).get(str(week), language_of(request))
    except (WeekError, BriefingError):
        return render(request, "briefing.html", status=404, here="briefing", week=None, problem=wanted or str(week), years=shown,
                      open_year=newest.year)  # fmt: skip
    at = weeks.index(week)
    links = {a.alert_id: f"{root_of(request)}/alerts/{a.alert_id}" for a in picture.alerts}
    return render(
        request, "briefing.html", here="briefing", week=week, problem="", picture=picture, body=render_body(picture, links),
        later=weeks[at - 1] if at > 0 else None, earlier=weeks[at + 1] if at + 1 < len(weeks) else None, years=shown,
        open_year=week.year, newest=newest,
    )  # fmt: skip


def _archive(service: Front) -> list[Past]:
    """Weeks that events are held of, the newest first: the one that has begun is among them."""
    own = service.register.municipality
    state, span = service.store.engine_state(own), service.store.page_span(own)
    if state is None:
        return []
    opened = Counter(week_of(a.opened_on) for a in service.store.alerts(municipality=own))
    last = week_of(date_of(state[0]))
    first = week_of(date_of(span[0])) if span else last
    monday = last.first
    out: list[Past] = []
    while monday >= first.first and len(out) < _MOST_WEEKS:
        week = week_of(monday)
        out.append(Past(week, week.first, week.last, opened[week]))
        monday -= timedelta(days=7)
    return out
