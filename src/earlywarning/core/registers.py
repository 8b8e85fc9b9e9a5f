"""What is wrong in a register that a municipality provides: file, place, rule and way out, all at once."""

import unicodedata
from typing import NamedTuple

# Marks that turn the direction of the text behind them, also of what is not theirs.
_TURNING = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def unshowable(text: str) -> bool:
    """Whether a name cannot be shown everywhere: it holds control characters, half a character, or turns the text around it."""
    return any(c in _TURNING or unicodedata.category(c) in ("Cc", "Cs") for c in text)


class RegisterProblem(NamedTuple):
    """One error. place: "line 3", "feature 17", or empty for the file as a whole; rule: a short name."""

    file: str
    place: str
    rule: str
    text: str

    def __str__(self) -> str:
        return f"{self.file}, {self.place}: {self.text}" if self.place else f"{self.file}: {self.text}"


class RegisterError(ValueError):
    """A register with errors; `problems` lists them all."""

    def __init__(self, problems: list[RegisterProblem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(p) for p in problems))
