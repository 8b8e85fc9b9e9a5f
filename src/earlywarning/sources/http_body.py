"""A request's body becomes a supply: one event, an array, or JSON Lines."""

import msgspec

from earlywarning.core.events import Decoded, decode_array, decode_lines
from earlywarning.sources.supply import Supply

JSON = ("application/json", "")
LINES = ("application/x-ndjson", "application/ndjson", "application/jsonl", "application/json-lines")


class BodyProblem(ValueError):
    """A body that is not events at all; says what would be. `status` is the HTTP status for it."""

    def __init__(self, problem: str, status: int = 400) -> None:
        self.status = status
        super().__init__(problem)


def supply_from_body(body: bytes, content_type: str) -> Supply:
    """Decode a body by its content type. Raises BodyProblem when it holds no events at all."""
    kind = content_type.split(";", maxsplit=1)[0].strip().lower()
    if kind not in (*JSON, *LINES):
        raise BodyProblem(f"content type {kind[:60]!r} is not taken; send application/json or application/x-ndjson", 415)
    if not body.strip():
        raise BodyProblem("the body is empty; send one event, an array of events, or one event a line")
    if kind in LINES:
        decoded = decode_lines(body)
    else:
        try:
            decoded = decode_array(body)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise BodyProblem(f"the body is not JSON in UTF-8 ({type(error).__name__}); nothing of it was taken") from error
        except RecursionError as error:
            raise BodyProblem("the body is nested too deeply; nothing of it was taken") from error
    return Supply(Decoded(*decoded), "http")
