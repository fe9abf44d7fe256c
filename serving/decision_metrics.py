"""Metrics of decisions: what came out, why, on which rung, and how long each stage took."""

import time
from typing import Any

from prometheus_client import Counter, Histogram

_BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1)

DECISIONS = Counter("kairos_decisions", "Decisions recorded.", ("outcome", "reason", "degraded"))
STAGE_SECONDS = Histogram("kairos_decision_stage_seconds", "Seconds per stage.", ("stage",), buckets=_BUCKETS)
LATE_REFUSALS = Counter(
    "kairos_decision_late_refusals", "Sends that the locked re-reading at recording refused.", ("reason",)
)
BATCH_ITEMS = Counter("kairos_decision_batch_items", "Items of batches, by what became of them.", ("verdict",))
LATE = Counter("kairos_decisions_late", "Decisions that took longer than their service level allows.", ("level",))

QUALITY = Histogram(
    "kairos_content_quality", "Quality of the content that was drawn.", buckets=[each / 10 for each in range(1, 11)]
)


class Stages:
    """The stages of one batch and how long each took."""

    def __init__(self, *, is_observed: bool = True) -> None:
        """Begin; what is not observed counts in no metric."""
        self._is_observed = is_observed
        self._last = time.monotonic()
        self._seconds: dict[str, float] = {}

    def ended(self, stage: str) -> None:
        """Note that a stage ended now; it began when the one before ended."""
        now = time.monotonic()
        self._seconds[stage] = now - self._last
        if self._is_observed:
            STAGE_SECONDS.labels(stage).observe(now - self._last)
        self._last = now

    def milliseconds(self) -> dict[str, float]:
        """Return the stages so far, in milliseconds."""
        return {stage: round(1000 * seconds, 3) for stage, seconds in self._seconds.items()}

    def total_ms(self) -> float:
        """Return all stages together, in milliseconds."""
        return 1000 * sum(self._seconds.values())


def count_batch(*, decided: int, refused: int) -> None:
    """Count the items of one batch."""
    BATCH_ITEMS.labels("decided").inc(decided)
    BATCH_ITEMS.labels("refused").inc(refused)


def count(answer: dict[str, Any]) -> None:
    """Count one recorded decision."""
    DECISIONS.labels(answer["outcome"], answer["reason"], answer["degraded"] or "none").inc()
    if answer["quality"] is not None:
        QUALITY.observe(answer["quality"])
