"""Quality: one number for how fit a message is to be sent, from lint, the age of what it stands on, and calibration.

    quality = lint * freshness * calibration,    each in [0, 1]

``lint`` loses 0.1 for each warning and all of it for an error. ``freshness`` is 1 for fresh features or where none
were wanted, 0.8 for stale ones, 0.6 where a model should have spoken and could not. ``calibration`` is 1 minus the
serving model's expected calibration error over 0.1, at least 0; 1 where no model spoke.
"""

from collections.abc import Sequence
from typing import Annotated

from pydantic import Field

from domain.content_lint import Finding
from domain.values import Frozen

Part = Annotated[float, Field(ge=0, le=1)]
WARNING = 0.1
STALE, SILENT = 0.8, 0.6
WORST_CALIBRATION = 0.1
_STALE_FEATURES = "stale_features"


class Quality(Frozen):
    """How fit a message is to be sent, and why."""

    score: Part
    lint: Part
    freshness: Part
    calibration: Part
    findings: tuple[Finding, ...]


def quality(findings: Sequence[Finding], *, degraded: str | None, calibration_error: float | None = None) -> Quality:
    """Return the quality of a message.

    Args:
        findings: of lint.
        degraded: the rung of the fallback ladder that answered, None when none was needed.
        calibration_error: of the model that spoke, at least 0; None when none did.
    """
    has_error = any(each.code.is_error for each in findings)
    lint = 0.0 if has_error else max(0.0, 1 - WARNING * len(findings))
    freshness = 1.0 if degraded is None else STALE if degraded == _STALE_FEATURES else SILENT
    calibration = 1.0 if calibration_error is None else max(0.0, 1 - calibration_error / WORST_CALIBRATION)
    return Quality(
        score=round(lint * freshness * calibration, 6),
        lint=lint,
        freshness=freshness,
        calibration=calibration,
        findings=tuple(findings),
    )
