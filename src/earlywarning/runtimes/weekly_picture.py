"""The weekly picture with all that a runtime knows: the action plan's standing, links, holidays; made before each meeting."""

from concurrent.futures import ProcessPoolExecutor
from datetime import datetime
from multiprocessing import get_context

from earlywarning.briefing import Audience, Briefing, PlanRow, briefing_messages, make_briefing
from earlywarning.briefing.messages import Addressee
from earlywarning.core.action_plan import in_words
from earlywarning.core.areas import AreaRegister
from earlywarning.core.calendar import LocalCalendar, date_of
from earlywarning.core.categories import CategoryTree
from earlywarning.core.iso_week import Week, due_week, parse_week
from earlywarning.core.outgoing import Outgoing
from earlywarning.locale import Language
from earlywarning.plan.figures import goal_kind, priority_figures
from earlywarning.plan.words import goal_sentence, verdict_sentence
from earlywarning.runtimes.assembly import area_register, category_tree
from earlywarning.runtimes.day_calendar import day_calendar
from earlywarning.runtimes.plan_counts import PlanCounts
from earlywarning.runtimes.recipients import meeting_of
from earlywarning.settings import Settings
from earlywarning.store import Store
from earlywarning.store.cases import Cases
from earlywarning.store.plans import Plans


def weekly_picture(
    store: Store,
    settings: Settings,
    register: AreaRegister,
    tree: CategoryTree,
    week: Week,
    language: Language,
    audience: Audience = "group",
) -> Briefing:
    """The picture of a week. Raises BriefingError for one that has not begun, PageError, StoreError."""
    base = settings.service.public_url.rstrip("/")
    links = {c.alert_id: f"{base}/alerts/{c.alert_id}" for c in Cases(store).every(register.municipality)} if base else {}
    return make_briefing(
        store, settings, register, tree, LocalCalendar(settings.municipality.timezone), week, language, audience,
        plan_rows=plan_rows(store, settings, register, tree, week, language), day_kinds=day_calendar(settings), links=links,
    )  # fmt: skip


def picture_apart(settings: Settings, store_url: str, week: str, language: Language, audience: Audience = "group") -> Briefing:
    """The picture, made in a process of its own: a large municipality's takes a gigabyte and seconds of one core.

    Raises WeekError, BriefingError, StoreError and what the registers can raise.
    """
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as apart:
        return apart.submit(_made, settings, store_url, week, language, audience).result()


def _made(settings: Settings, store_url: str, week: str, language: Language, audience: Audience) -> Briefing:
    with Store.open(store_url) as store:
        register, tree = area_register(settings), category_tree(settings)
        return weekly_picture(store, settings, register, tree, parse_week(week), language, audience)


def plan_rows(
    store: Store, settings: Settings, register: AreaRegister, tree: CategoryTree, week: Week, language: Language
) -> list[PlanRow]:
    """Where each priority of the plan in force stood when the week ended; none without a plan or before any event."""
    plan = Plans(store).current(register.municipality)
    state = store.engine_state(register.municipality)
    if plan is None or state is None or not plan.first_day <= week.last <= plan.last_day:
        return []
    counts = PlanCounts(store, register, tree, LocalCalendar(settings.municipality.timezone), settings.events.lateness_days)
    rows, notes = [], store.data_notes(municipality=register.municipality)
    for priority in plan.priorities:
        standing = priority_figures(priority, counts, notes, week.last).standing
        kind = goal_kind(priority)
        steps = sorted(s.by for s in priority.timetable if s.by > week.last)
        rows.append(
            PlanRow(
                priority=in_words(priority, "name", language),
                responsible=priority.responsible,
                goal=goal_sentence(priority.goal, kind, language),
                standing=verdict_sentence(standing, kind, language),
                due=steps[0] if steps else None,
            )
        )
    return rows


def due_pictures(store: Store, settings: Settings, now: datetime) -> tuple[list[Outgoing], dict[str, str]]:
    """The picture for those who want it, on the evening before a meeting; and the state to be kept with it.

    Each week's is made once. In a store whose clock stands before that week (a replayed past) nothing is due.
    """
    to = {name: r for name, r in settings.recipients.items() if r.briefing}
    code = settings.municipality.code
    state = store.engine_state(code)
    if not to or state is None:
        return [], {}
    name = f"briefing:{code}"
    week = due_week(now, meeting_of(settings), store.source_state(name) or "")
    if week is None or date_of(state[0]) < week.last:
        return [], {}
    messages: list[Outgoing] = []
    for language in sorted({r.language or settings.municipality.language for r in to.values()}):
        readers = [Addressee(r.channel, n) for n, r in to.items() if (r.language or settings.municipality.language) == language]
        picture = picture_apart(settings, store.url, str(week), language)
        messages += briefing_messages(picture, readers, now)
    return messages, {name: str(week)}
