"""The time of one batch of decisions: what each stage took, and what is left of what their service levels allow."""

from collections.abc import Callable, Iterable

from domain.deadline import Deadline, seconds_for
from domain.service_levels import Plan
from serving.decision_metrics import Stages


class Timing:
    """Begins with the batch; the deadline is known once the levels are."""

    def __init__(self, monotonic: Callable[[], float], *, is_observed: bool = True) -> None:
        self.stages = Stages(is_observed=is_observed)
        self._monotonic = monotonic
        self._began = monotonic()
        self._deadline: Deadline | None = None

    def hurry(self, plans: Iterable[Plan]) -> None:
        """Take the tightest deadline of some decisions: they are answered together."""
        limits = [plan.deadline_ms for plan in plans if plan.deadline_ms is not None]
        self._deadline = Deadline.after_ms(min(limits), self._began) if limits else None

    @property
    def left(self) -> float | None:
        """The seconds that are left, None without a deadline."""
        return self._deadline.left(self._monotonic()) if self._deadline is not None else None

    def seconds_for_store(self, usual: float) -> float:
        """Return how long PostgreSQL may take for one answer: what is left of its own limit, or of the level's time.

        Consent is read and the decision is recorded however late it is: an answer that was not recorded is none.
        """
        now = self._monotonic()
        ends = self._began + usual
        deadline = Deadline(min(ends, self._deadline.ends)) if self._deadline is not None else Deadline(ends)
        return seconds_for(deadline, now, most=usual, least=usual / 4)

    def is_late(self, plan: Plan) -> bool:
        """Tell whether a decision has taken longer than its level allows."""
        return plan.deadline_ms is not None and 1000 * (self._monotonic() - self._began) > plan.deadline_ms
