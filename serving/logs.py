"""Logs: one JSON object per line, about requests and decisions, never about people.

A line holds only fields we name; JSON escapes line breaks, so no sender can forge a line.
"""

import logging
import traceback
from types import TracebackType

import structlog

_LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}


def configure(level: str) -> None:
    """Send our log lines to standard output, from ``level`` (debug, info, warning, error) up."""
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
            structlog.processors.EventRenamer("event"),
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[level]),
        logger_factory=structlog.WriteLoggerFactory(),
    )


def places(trace: TracebackType | None) -> list[str]:
    """Return where an exception passed, innermost last; without its message, which may quote somebody's data."""
    return [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in traceback.extract_tb(trace)]
