"""The operations page: sources and their lateness, what was refused, what waits to go out, settings, and who did what."""

from collections import Counter
from datetime import date, datetime
from typing import Any, NamedTuple

import numpy as np
from litestar import Response, get
from litestar.datastructures import State

from earlywarning import __version__
from earlywarning.core.calendar import date_of, instant_of
from earlywarning.core.events import KINDS
from earlywarning.locale import Language, Names, note_sentence
from earlywarning.locale.pages import page_text
from earlywarning.runtimes.front import Front
from earlywarning.store.cases import AuditEntry, Cases
from earlywarning.store.outbox import Outbox
from earlywarning.store.settings_versions import SettingsVersions
from earlywarning.web.access_log import ACCESS
from earlywarning.web.pages.frame import Asking, language_of, render
from earlywarning.web.pages.inbox import today_of
from earlywarning.web.pages.looking import drawn_of

LOGS = ("changes", "access", "all")  # parts of the audit log
_MESSAGES, _AUDIT, _VERSIONS, _NOTES = 5_000, 40, 10, 8


class Source(NamedTuple):
    """A source of events. recorded: when its newest event was; newest: the day on which that happened; lateness: days, median."""

    name: str
    kind: str
    recorded: datetime
    newest: date
    week: int
    four_weeks: int
    lateness: int
    refused: int


@get("/operations", include_in_schema=False, sync_to_thread=True)
def operations_page(request: Asking, state: State) -> Response[bytes]:
    """How the service is doing."""
    service: Front = state.service
    own, language = service.register.municipality, language_of(request)
    rules = [
        ((rule, field, source), n) for rule, field, source, kept, n in service.store.dead_letter_counts(own) if kept == "waiting"
    ]
    refused: Counter[str] = Counter()
    for (_, _, source), n in rules:
        refused[source] += n
    messages = Counter((w.message.channel, w.state) for w in Outbox(service.store).messages(own, limit=_MESSAGES))
    names = Names.from_registers(service.register, service.tree)
    notes = service.store.data_notes(municipality=own, limit=_NOTES)
    versions = SettingsVersions(service.store, own).every()
    log = next((which for which in LOGS if which == request.query_params.get("log")), LOGS[0])
    chosen: dict[str, Any] = {"changes": {"without": ACCESS}, "access": {"only": ACCESS}}.get(log, {})
    audit = Cases(service.store).audit(own, limit=_AUDIT, **chosen)
    return render(
        request, "operations.html", here="operations", sources=_sources(state, refused), rules=rules[:30],
        messages=sorted(messages.items()), versions=versions[::-1][:_VERSIONS], version=service.settings.version,
        audit=[(e, *_subject(e, names, own, language)) for e in audit], most_audit=_AUDIT, log=log, logs=LOGS,
        today=today_of(service), release=__version__,
        notes=[(n.noted_on, note_sentence(n, names, language)) for n in notes],
    )  # fmt: skip


def _subject(entry: AuditEntry, names: Names, municipality: str, language: Language) -> tuple[str, str]:
    """What an entry is about, in words, and the path of its page; empty where there is none."""
    kind, _, name = entry.subject.replace(":", "/", 1).partition("/")
    if kind == "account":
        return name, ""
    if kind == "area":
        return names.area(name, language), f"/areas/{name}"
    if kind == "draft":
        return page_text(language, "settings", "draft_nr", number=name), f"/settings/drafts/{name}"
    if kind == "settings":
        return page_text(language, "settings", "version_nr", number=name), "/settings"
    if kind == "plan":
        return (
            f"{page_text(language, 'plan', 'title')}, {page_text(language, 'settings', 'version_nr', number=name).lower()}",
            "/plan",
        )
    if kind == "dead-letters":
        return page_text(language, "letters", "title"), "/dead-letters"
    return entry.subject, f"/alerts/{entry.subject}" if entry.subject.startswith(f"{municipality}-") else ""


def _sources(state: State, refused: Counter[str]) -> list[Source]:
    """Every source that has sent an event, by name."""
    columns, codes = drawn_of(state).known.sources()
    today = int(columns["arrived"].max()) if len(columns["arrived"]) else 0
    out = []
    for number, name in enumerate(codes):
        for kind, kind_name in enumerate(KINDS):
            own = (columns["source"] == number) & (columns["kind"] == kind)
            if not own.any():
                continue
            arrived, recorded = columns["arrived"][own].astype(np.int64), columns["recorded"][own].astype(np.int64)
            days = columns["end"][own].astype(np.int64) // 24
            recent = arrived > today - 180
            late = np.clip(arrived - days, 0, None)[recent] if recent.any() else np.zeros(1)
            out.append(
                Source(
                    name, kind_name, instant_of(int(recorded.max())), date_of(int(days.max())), int((arrived > today - 7).sum()),
                    int((arrived > today - 28).sum()), int(np.median(late)), refused.get(name, 0),
                )
            )  # fmt: skip
    return sorted(out, key=lambda s: (s.name, s.kind))
