"""Logs go to the error stream: JSON, one object a line, or words and colours where a person watches a terminal.

They name alerts, settings, topics and numbers, never what a supplier sent: no event, no field's value, no supplier's event id.
"""

import logging
import math
import sys
from typing import TextIO

import structlog

REPEATED_AFTER = 60.0  # seconds until the same line of a library is told again
MOST_LINES = 500  # that are remembered


class _Lines(logging.StreamHandler[TextIO]):
    """What libraries say, the same line once a minute with how often it came since.

    A client whose broker is gone says so hundreds of times a second. The trace of a lost connection is left out: the line
    says what, and the trace only how a library reads its socket. Other traces are always told.
    """

    def __init__(self, stream: TextIO) -> None:
        super().__init__(stream)
        self._told: dict[tuple[str, str], tuple[float, int]] = {}  # line -> when, and how often it was held back since

    def emit(self, record: logging.LogRecord) -> None:
        if record.exc_info and isinstance(error := record.exc_info[1], ConnectionError):
            record.msg, record.args = "%s: %s", (record.getMessage(), f"{type(error).__name__}: {error.strerror or error}")
            record.exc_info = record.exc_text = None
        if not record.exc_info:
            key, now = (record.name, record.getMessage()), record.created
            when, held_back = self._told.get(key, (-math.inf, 0))
            if when <= now < when + REPEATED_AFTER:
                self._told[key] = when, held_back + 1
                return
            if len(self._told) >= MOST_LINES:
                self._told = {line: told for line, told in self._told.items() if now < told[0] + REPEATED_AFTER}
                if len(self._told) >= MOST_LINES:
                    self._told.clear()
            self._told[key] = now, 0
            record.held_back = held_back
        super().emit(record)


def _held_back(_: object, __: str, entry: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """Add how often the line was held back."""
    if number := getattr(entry["_record"], "held_back", 0):
        entry["held_back"] = number
    return entry


def configure_logs(stream: TextIO | None = None) -> None:
    """Set up this process's logs, those of the libraries included. stream: instead of the error stream."""
    to = stream or sys.stderr
    watched = to.isatty()
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.StackInfoRenderer(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    # Traces without local variables, which may hold what a supplier sent.
    traces = structlog.processors.ExceptionRenderer()
    last: structlog.typing.Processor = (
        structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
        if watched
        else structlog.processors.JSONRenderer(ensure_ascii=False)
    )
    ending = [last] if watched else [traces, last]
    structlog.configure(
        processors=[*shared, *ending],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(to),
    )
    handler = _Lines(to)
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[*shared, structlog.stdlib.add_logger_name, _held_back],
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *ending],
    )
    handler.setFormatter(formatter)
    logging.captureWarnings(True)  # a library's warning is a line like the others
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
