"""What is said of the data: which sources were silent or late, what was refused, and which artefacts of booking were seen."""

from collections import Counter
from collections.abc import Sequence

import numpy as np
from scipy.sparse import csr_array

from earlywarning.briefing.record import SupplierRow
from earlywarning.briefing.words import HIDDEN, hour_words, said_count, say, short_day, whole
from earlywarning.core.calendar import date_of
from earlywarning.core.data_notes import DataNote
from earlywarning.core.disclosure import Cells, hidden_cells
from earlywarning.core.week import WEEK, Compared
from earlywarning.core.week_counts import SourceWeek, WeekCounts
from earlywarning.locale import Language, Names, note_sentence
from earlywarning.locale.catalogue import number_words

MOST_NOTES = 8
_UNTOLD = 0.02  # a share still missing that is not worth a person's attention


def supplier_rows(sources: Sequence[SourceWeek], refused: Counter[str], language: Language, least: int) -> list[SupplierRow]:
    """Sources that sent anything lately or were refused something, silent ones first. least: of the disclosure rule."""

    received = _hidden([s.received for s in sources], least)
    places = sorted({s.source for s in sources} | set(refused))
    refusals = dict(zip(places, _hidden([refused.get(place, 0) for place in places], least), strict=True))

    def number(n: int, hidden: bool) -> str:
        return HIDDEN if hidden else number_words(n, language, 0)

    rows = []
    for s, hidden in zip(sources, received, strict=True):
        silent = s.silent_since >= 0
        rows.append(
            SupplierRow(
                source=s.source,
                received=number(s.received, hidden),
                usual=HIDDEN if hidden or 0 < round(s.usual) < least else whole(s.usual, language),
                lateness=say(language, "text", "lateness_none")
                if np.isnan(s.median_hours)
                else say(
                    language,
                    "text",
                    "lateness",
                    median=hour_words(s.median_hours, language),
                    slow=hour_words(s.slow_hours, language),
                ),
                rejected=number(refused.get(s.source, 0), refusals[s.source]),
                note=say(language, "text", "silent", day=short_day(date_of(s.silent_since), language)) if silent else "",
                warn=silent,
            )
        )
    known = {s.source for s in sources}
    for source, n in sorted(refused.items()):
        if source not in known:
            told = source or say(language, "text", "rejected_unknown")
            nothing = number_words(0, language, 0)
            rows.append(
                SupplierRow(source=told, received=nothing, usual="–", lateness="–", rejected=number(n, refusals[source]), note="")
            )
    return sorted(rows, key=lambda r: not r.warn)


def _hidden(counts: Sequence[int], least: int) -> list[bool]:
    """Which counts of sources are hidden, when their sum may be known: small ones, and what would give one away."""
    values = np.array([*counts, sum(counts)], dtype=np.float64)
    made_of = csr_array(np.vstack([np.eye(len(counts)), np.ones(len(counts))]))
    return hidden_cells(Cells(values, made_of), least)[: len(counts)].tolist() if counts else []


def missing_share(known: WeekCounts, compared: Compared | None) -> float:
    """The share of the week's events that usually is not recorded yet."""
    lag = known.known_day - np.arange(known.last_day - WEEK + 1, known.last_day + 1)
    if compared is None:
        return 0.0
    at = (compared.window == WEEK) & (compared.area == 0)
    whole_week = compared.expected[at] / np.maximum(compared.share[at], 1e-9)
    if not whole_week.sum() or (lag < 0).all():
        return 0.0
    return float(1 - compared.expected[at].sum() / whole_week.sum())


def quality_lines(
    notes: Sequence[DataNote], missing: float, known: WeekCounts, names: Names, language: Language, *, hide_counts: bool
) -> list[str]:
    """Lateness of the week, and artefacts that were noted in it. hide_counts: only how many of each sort."""
    lines = []
    if missing >= _UNTOLD:
        day = short_day(date_of(known.known_day), language)
        lines.append(say(language, "text", "late", day=day, share=share_text(missing, language)))
    else:
        lines.append(say(language, "text", "late_none"))
    if hide_counts:
        for what, n in sorted(Counter(note.what for note in notes).items()):
            told = say(language, "note", what)
            lines.append(said_count(language, "quality_outside", n, what=told[:1].upper() + told[1:]))
    else:
        lines += [note_sentence(note, names, language) for note in notes[:MOST_NOTES]]
    if not notes:
        lines.append(say(language, "text", "none_quality"))
    return lines


def share_text(share: float, language: Language) -> str:
    """A share in whole per cent, in steps of five from ten on."""
    percent = round(share * 100)
    percent = 5 * round(percent / 5) if percent >= 10 else max(percent, 1)
    return f"{percent} %" if language == "sv" else f"{percent}%"
