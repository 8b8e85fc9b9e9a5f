"""What is wrong in a register that a municipality provides: file, place, rule and way out, all at once."""

from typing import NamedTuple


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
