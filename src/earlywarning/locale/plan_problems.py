"""Why a file cannot become the action plan, in the reader's words: each line by the English one, with its place and details."""

import re
import tomllib
from functools import cache
from importlib import resources

from earlywarning.locale.catalogue import Language
from earlywarning.locale.refused import Told, pattern_of

_THEIRS: Language = "en"  # what a PlanError says, and the API and the command line with it
_PLACES: dict[Language, tuple[tuple[str, str], ...]] = {
    "sv": ((r", line (\d+)", r", rad \1"), (r", column ", r", kolumn ")),
    "en": (),
}


@cache
def plan_problem_texts(language: Language) -> dict[str, str]:
    """Problems by PlanRule, or by rule and case; `file` and `field` are of a file that could not be read so far."""
    file = resources.files("earlywarning.locale").joinpath(f"plan_problems_{language}.toml")
    return tomllib.loads(file.read_text(encoding="utf-8"))


def plan_problem(line: str, language: Language) -> Told:
    """A line of a PlanError, "place: problem", in the reader's language."""
    if language == _THEIRS:
        return Told(line)
    for key, pattern in plan_problem_texts(_THEIRS).items():
        if (found := pattern_of("{place}: " + pattern).fullmatch(line)) is not None:
            place, details = found["place"], found.groupdict()
            for theirs, own in _PLACES[language]:
                place = re.sub(theirs, own, place)
            return Told(f"{place}: {plan_problem_texts(language)[key].format(**details)}")
    return Told(line, foreign=True)
