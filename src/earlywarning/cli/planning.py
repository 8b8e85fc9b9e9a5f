"""What the commands of the action plan do."""

from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple
from zoneinfo import ZoneInfo

from rich.console import Console
from rich.table import Table
from rich.text import Text

from earlywarning.cli.place import OperatorError, load
from earlywarning.cli.service_call import ask
from earlywarning.core.action_plan import ActionPlan, in_words
from earlywarning.core.areas import AreaRegister
from earlywarning.core.calendar import LocalCalendar
from earlywarning.core.categories import CategoryTree
from earlywarning.core.plan_check import PlanError
from earlywarning.core.screening import find_personal_data
from earlywarning.locale import Language, Names
from earlywarning.plan.figures import priority_figures
from earlywarning.plan.reading import read_plan
from earlywarning.plan.words import Teller, change_words, interval_words, say, verdict_words
from earlywarning.plan.writing import plan_differences, plan_toml
from earlywarning.runtimes.assembly import area_register, category_tree
from earlywarning.runtimes.plan_counts import PlanCounts, follow_up_of
from earlywarning.settings import Settings
from earlywarning.store import Store
from earlywarning.store.plans import Plans

_LARGEST = 5_000_000  # bytes: a plan is a few pages


class _Here(NamedTuple):
    settings: Settings
    register: AreaRegister
    tree: CategoryTree
    calendar: LocalCalendar

    @property
    def municipality(self) -> str:
        return self.register.municipality


def _here(settings_file: Path | None) -> _Here:
    settings = load(settings_file)
    calendar = LocalCalendar(settings.municipality.timezone)
    return _Here(settings, area_register(settings), category_tree(settings), calendar)


def import_plan(
    settings_file: Path | None,
    file: Path,
    actor: str,
    note: str,
    *,
    check_only: bool,
    to: str = "",
    token_file: Path | None = None,
) -> None:
    """Check a plan and put it in force."""
    here = _here(settings_file)
    for name, value, longest in (("--actor", actor, 80), ("--note", note, 2_000)):
        if (found := find_personal_data(value)) is not None:
            raise PlanError([f"{name}: it holds personal data ({found.rule}); name a function or a user, and no persons"])
        if len(value) > longest or (name == "--actor" and not value.strip()):
            raise PlanError([f"{name}: it must have 1 to {longest} characters"])
    try:
        if file.stat().st_size > _LARGEST:
            raise OperatorError(f"{file} is larger than {_LARGEST // 1_000_000} MB; a plan is a few pages")
        data = file.read_bytes()
    except OSError as error:
        raise OperatorError(f"{file} cannot be read ({error.strerror}); name a .toml or .csv file") from error
    plan = read_plan(data, file.name, here.register, here.tree)
    parts = f"{len(plan.priorities)} priorities, {len(plan.promises)} promises, {len(plan.actions)} actions"
    if check_only:
        print(f"{file}: fine. Version {plan.version}; {parts}.")
        return
    number, changed = _sent(to, token_file, data, file.name, actor, note) if to else _kept(here, plan, actor, note)
    if not changed:
        print(f"{file}: nothing has changed; version {number} ({plan.version}) stays in force.")
    else:
        print(f"{file}: in force as version {number} ({plan.version}); {parts}.")


def _kept(here: _Here, plan: ActionPlan, actor: str, note: str) -> tuple[int, bool]:
    with Store.open(here.settings.store_url, writer=True, holder="earlywarning plan import") as store:
        plans = Plans(store)
        before = plans.versions(here.municipality)
        number = plans.add(here.municipality, plan, actor, datetime.now(UTC), note)
    return number, not before or before[-1].number != number


def _sent(to: str, token_file: Path | None, data: bytes, name: str, actor: str, note: str) -> tuple[int, bool]:
    """By a running service, which holds the store."""
    status, said = ask(to, "/v1/plan", token_file, content=data, query={"actor": actor, "note": note, "file": name})
    if status != 200:
        raise PlanError(said.get("problems") or [str(said.get("problem", status))])
    return int(said["number"]), bool(said["changed"])


def _plan(plans: Plans, municipality: str, number: int | None) -> ActionPlan:
    plan = plans.current(municipality) if number is None else plans.get(municipality, number)
    if plan is not None:
        return plan
    numbers = ", ".join(str(v.number) for v in plans.versions(municipality))
    if not numbers:
        raise OperatorError("there is no action plan yet; import one: earlywarning plan import FILE")
    raise OperatorError(f"there is no version {number} of the action plan; there are {numbers}")


def show_plan(settings_file: Path | None, number: int | None, wanted: Language | None) -> None:
    """A table of the priorities and where they stand."""
    here = _here(settings_file)
    language: Language = wanted or here.settings.municipality.language
    with Store.open(here.settings.store_url) as store:
        plan = _plan(Plans(store), here.municipality, number)
        counts = PlanCounts(store, here.register, here.tree, here.calendar, here.settings.events.lateness_days)
    table = Table(show_lines=True)
    for key in ("priority", "responsible", "now", "state"):
        table.add_column(say(language, "label", key))
    for priority in plan.priorities:
        s = priority_figures(priority, counts).standing
        now = f"{change_words(s.ratio, language)}\n({interval_words(s.low, s.high, language)})" if s.ratio == s.ratio else ""
        name = f"{priority.code}\n{in_words(priority, 'name', language)}"
        table.add_row(Text(name), Text(priority.responsible), now, verdict_words(s, language))
    console = Console()
    console.print(Text(f"{in_words(plan, 'title', language)} ({plan.version})"))
    console.print(table)


def list_versions(settings_file: Path | None) -> None:
    """One line a version."""
    here = _here(settings_file)
    with Store.open(here.settings.store_url) as store:
        found = Plans(store).versions(here.municipality)
    zone = ZoneInfo(here.settings.municipality.timezone)
    for v in found:
        print(f"{v.number}: {v.version}, in force from {v.applied_at.astimezone(zone):%Y-%m-%d %H:%M}, by {v.actor}")
    if not found:
        print("there is no action plan yet; import one: earlywarning plan import FILE")


def diff_plans(settings_file: Path | None, old: int | None, new: int | None) -> None:
    """What differs, one line a field."""
    here = _here(settings_file)
    with Store.open(here.settings.store_url) as store:
        plans = Plans(store)
        numbers = [v.number for v in plans.versions(here.municipality)]
        if old is None and new is None:
            if len(numbers) < 2:
                raise OperatorError(f"there are {len(numbers)} versions of the action plan; two are needed to compare")
            old, new = numbers[-2:]
        before = _plan(plans, here.municipality, old)
        after = _plan(plans, here.municipality, new)
    found = plan_differences(before, after)
    for key, was, now in found:
        print(f"{key}: {was or '-'} -> {now or '-'}")
    if not found:
        print("no difference")


def export_plan(settings_file: Path | None, number: int | None, out: Path) -> None:
    """The plan as TOML."""
    here = _here(settings_file)
    with Store.open(here.settings.store_url) as store:
        written = plan_toml(_plan(Plans(store), here.municipality, number))
    if str(out) == "-":
        print(written, end="")
    else:
        out.write_text(written, encoding="utf-8")


def write_follow_up(
    settings_file: Path | None, year: int, out: Path, wanted: Language | None, smallest: int | None, now: datetime
) -> None:
    """Page and PDF of a year."""
    from earlywarning.plan.document import follow_up_document  # noqa: PLC0415  # pictures take a second to load
    from earlywarning.plan.paper import html_page, pdf_bytes  # noqa: PLC0415  # likewise

    here = _here(settings_file)
    today = now.astimezone(ZoneInfo(here.settings.municipality.timezone)).date()
    with Store.open(here.settings.store_url) as store:
        figures = follow_up_of(here.settings, store, here.register, here.tree, here.calendar, year, today)
    if figures is None:
        raise OperatorError(f"no action plan covers the year {year}; import one whose first_day and last_day do")
    out.mkdir(parents=True, exist_ok=True)
    names = Names.from_registers(here.register, here.tree)
    least = here.settings.disclosure.least_count if smallest is None else smallest
    languages: tuple[Language, ...] = (wanted,) if wanted else ("sv", "en")
    for language in languages:
        document = follow_up_document(figures, Teller(names, language, max(least, 1)))
        stem = out / f"follow-up-{year}-{language}"
        stem.with_suffix(".html").write_text(html_page(document), encoding="utf-8")
        stem.with_suffix(".pdf").write_bytes(pdf_bytes(document, now))
        print(f"{stem}.html, {stem}.pdf")
