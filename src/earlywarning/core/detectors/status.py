"""What detectors say beside their figures: how far a threshold can be trusted, and what they cannot work with."""

from enum import IntEnum


class DetectorError(ValueError):
    """Counts or settings that a detector cannot work with; names the rule and what is allowed."""


class Status(IntEnum):
    """How far a threshold can be trusted."""

    OK = 0
    NO_HISTORY = 1  # no event in the whole history: the expectation is half an event in all of it
    NOT_CONVERGED = 2  # the fit did not settle; its last step is used (with r_compat: no answer, as in R)
    SEPARATED = 3  # no event, or next to none, in the same season of any year: a floor is used for the expectation
    TOO_FEW = 4  # fewer than limit[0] events in the last limit[1] steps: no alarm
    MISSING = 5  # the judged step, its season in all years (figures are then NaN), or nearly all history was not observed


_TEXT = {
    Status.OK: "ok",
    Status.NO_HISTORY: "no history",
    Status.NOT_CONVERGED: "not converged",
    Status.SEPARATED: "next to no event in the same weeks",
    Status.TOO_FEW: "too few",
    Status.MISSING: "not observed",
}


def status_text(status: int) -> str:
    """A status in words, as records keep it."""
    return _TEXT.get(Status(status), "ok") if status in _TEXT else "ok"


def status_number(text: str) -> int:
    """The status of words that a record kept."""
    return next((int(status) for status, words in _TEXT.items() if words == text), int(Status.OK))


def status_note(status: int) -> str:
    """What a reader should know about a threshold, empty when there is nothing."""
    return "" if status in (Status.OK, Status.TOO_FEW) else status_text(status)
