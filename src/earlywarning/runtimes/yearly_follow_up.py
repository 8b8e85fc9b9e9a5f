"""The yearly follow-up as page or PDF, made in a process of its own: drawing and setting it takes seconds of one core."""

from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, date, datetime
from multiprocessing import get_context
from typing import Literal

from earlywarning.core.calendar import LocalCalendar
from earlywarning.locale import Language, Names
from earlywarning.plan.words import Teller
from earlywarning.runtimes.assembly import area_register, category_tree
from earlywarning.runtimes.plan_counts import follow_up_of
from earlywarning.settings import Settings
from earlywarning.store import Store

Form = Literal["html", "pdf"]


def follow_up_apart(
    settings: Settings, store_url: str, year: int, today: date, language: Language, smallest: int, form: Form
) -> bytes | None:
    """The document; None when no plan covers the year. smallest: counts below it are not shown; 1 shows all.

    Raises StoreError, PageError and what the registers can raise.
    """
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as apart:
        return apart.submit(_made, settings, store_url, year, today, language, smallest, form).result()


def _made(
    settings: Settings, store_url: str, year: int, today: date, language: Language, smallest: int, form: Form
) -> bytes | None:
    from earlywarning.plan.document import follow_up_document  # noqa: PLC0415  # pictures take a second to load
    from earlywarning.plan.paper import html_page, pdf_bytes  # noqa: PLC0415  # likewise

    register, tree = area_register(settings), category_tree(settings)
    with Store.open(store_url) as store:
        figures = follow_up_of(settings, store, register, tree, LocalCalendar(settings.municipality.timezone), year, today)
    if figures is None:
        return None
    document = follow_up_document(figures, Teller(Names.from_registers(register, tree), language, smallest))
    return html_page(document).encode() if form == "html" else pdf_bytes(document, datetime.now(UTC))
