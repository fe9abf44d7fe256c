"""Moments as they are written on the command line."""

from datetime import UTC, date, datetime, time

from cli.exit_codes import ExitCode, Refused

_DATE_LENGTH = len("2026-11-01")


def moment_of(written: str, option: str) -> datetime:
    """Return a moment, given as a date (UTC midnight) or with its offset.

    Raises:
        Refused: it is neither; names the option.
    """
    try:
        if len(written) == _DATE_LENGTH:
            return datetime.combine(date.fromisoformat(written), time.min, UTC)
        moment = datetime.fromisoformat(written)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        expected = "a date such as 2026-11-01, or a moment with its offset"
        raise Refused(f"{option}: expected {expected}", ExitCode.USAGE)
    return moment
