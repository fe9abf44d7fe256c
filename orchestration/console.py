"""What a run prints: one line for each thing a person wants to know, the whole trace only where a step failed.

The event log has everything; these lines are for a terminal and for a process's log.
"""

import logging
import sys

import dagster as dg
from dagster import DagsterEvent, DagsterEventType

from assets.described import WHY

_NAME = "kairos.run"
_SPOKEN = {
    DagsterEventType.STEP_START: "{step}",
    DagsterEventType.STEP_UP_FOR_RETRY: "{step}: failed, will be tried again",
    DagsterEventType.STEP_SKIPPED: "{step}: skipped, something it stands on failed",
    DagsterEventType.RUN_SUCCESS: "run succeeded",
    DagsterEventType.RUN_FAILURE: "run failed",
}


def _readable(_context: dg.InitLoggerContext) -> logging.Logger:
    """Return a logger that writes readable lines to standard error."""
    logger = logging.Logger(_NAME, level=logging.DEBUG)  # noqa: LOG001 - one of its own for each run, not a global
    handler = logging.StreamHandler(sys.stderr)
    handler.addFilter(_is_spoken)
    handler.setFormatter(_Lines())
    logger.addHandler(handler)
    return logger


console = dg.LoggerDefinition(_readable, description="One line for each step, check and message; nothing else.")


class _Lines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        """Return one line, and for a failed step what went wrong."""
        return line(record) or ""


def _is_spoken(record: logging.LogRecord) -> bool:
    return line(record) is not None


def line(record: logging.LogRecord) -> str | None:
    """Return what a record says to a person, or None when it is for the event log only."""
    meta = getattr(record, "dagster_meta", {})
    event: DagsterEvent | None = meta.get("dagster_event")
    if event is None:
        return f"  {meta.get('orig_message', record.getMessage())}" if record.levelno >= logging.INFO else None
    if event.event_type is DagsterEventType.STEP_FAILURE:
        error = event.step_failure_data.error
        cause = error.cause if error and error.cause else error
        return f"{event.step_key}: FAILED\n{cause.message.strip() if cause else ''}"
    if event.event_type is DagsterEventType.ASSET_CHECK_EVALUATION:
        found = event.asset_check_evaluation_data
        why = found.metadata.get(WHY)
        told = f": {why.value}" if why is not None else ""
        return f"  {'holds' if found.passed else 'BROKEN'}: {found.check_name}{told}"
    spoken = _SPOKEN.get(event.event_type) if event.event_type else None
    return spoken.format(step=event.step_key) if spoken else None
