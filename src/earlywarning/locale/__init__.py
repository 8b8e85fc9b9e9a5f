"""Swedish and English: what an alert says, as a coordinator would say it aloud."""

from earlywarning.locale.alerts import details, headline, sentence
from earlywarning.locale.catalogue import LANGUAGES, Language, label
from earlywarning.locale.names import Names
from earlywarning.locale.notes import note_sentence

__all__ = ["LANGUAGES", "Language", "Names", "details", "headline", "label", "note_sentence", "sentence"]
