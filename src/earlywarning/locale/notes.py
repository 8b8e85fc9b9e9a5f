"""What a data-quality note says: what was recognised, of which source, and what is done about it."""

from earlywarning.core.data_notes import DataNote
from earlywarning.locale.catalogue import Language, count_words, day_words, expected_words, label, share_words, text
from earlywarning.locale.names import Names


def note_sentence(note: DataNote, names: Names, language: Language) -> str:
    """One note in two sentences: what it is, and what is done."""
    category = text(language, "category_one", name=names.category_inside(note.category, language)) if note.category else ""
    about = [names.area(note.area, language) if note.area else "", category]
    days = day_words(note.first_day, language)
    if note.last_day != note.first_day:
        days = text(language, "from_to", first=days, last=day_words(note.last_day, language))
    key = note.what
    if note.what == "date-heap" and note.new_year:
        key = "new-year-heap"  # type: ignore[assignment]  # a key of the catalogue, not of the record
    said = text(
        language,
        key,
        "note",
        source=note.source,
        about=", ".join(a for a in about if a) or label("all", language),
        n=count_words(note.events, language),
        expected=expected_words(note.expected, language),
        share=share_words(note.share, language),
        days=days,
        first=day_words(note.first_day, language),
        hour=f"{note.hour or 0:02}",
    )
    return text(language, "note", said=said, done=text(language, note.done.replace(" ", "-"), "done"))
