"""Structured logs: one JSON object a line on standard error. Never a body, never a key."""

import logging
import sys

import structlog
from pydantic_core import to_json

from service.log_lines import LineWriter


def configure_logging(level: str) -> LineWriter:
    """Send the service's log lines, and what libraries say, to standard error as JSON.

    Args:
        level: the least severe that is written: debug, info, warning or error.

    Returns:
        what writes the service's lines; flush it before the process ends.
    """
    # Without the buffer, which would keep what could not be written and end another line with it.
    writer = LineWriter(getattr(sys.stderr.buffer, "raw", sys.stderr.buffer), _told_of_loss)
    # Without the values of local variables, among which may be keys and bodies.
    tracebacks = structlog.processors.ExceptionRenderer(
        structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
    )
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[*shared, tracebacks, _json_line],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=lambda *_: writer,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                tracebacks,
                structlog.processors.JSONRenderer(),
            ],
        )
    )
    logging.basicConfig(handlers=[handler], level=level.upper(), force=True)
    return writer


def _told_of_loss(lines: int) -> bytes:
    event: structlog.typing.EventDict = {"event": "log-lines-lost", "level": "warning", "lines": lines}
    return _json_line(None, "", structlog.processors.TimeStamper(fmt="iso", utc=True)(None, "", event))


def _json_line(_: object, __: str, event: structlog.typing.EventDict) -> bytes:
    return to_json(event, fallback=repr)
