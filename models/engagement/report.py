"""A report on how good probabilities were on one set of rows: numbers, their intervals, and each message type's.

Numbers that the rows could not carry are None, never zero.
"""

from collections.abc import Mapping
from dataclasses import dataclass

_GIVEN = ("n", "positives", "recipients", "auc", "log_loss", "skill", "ece", "brier", "slope", "intercept")


@dataclass(frozen=True)
class Interval:
    """Bounds of the bootstrap interval over recipients."""

    low: float
    high: float

    def misses(self, low: float, high: float) -> bool:
        """Return whether the whole interval lies outside of a band."""
        return self.high < low or self.low > high


@dataclass(frozen=True)
class Slice:
    """One message type's part of a report; ranking and loss are None where the rows cannot carry them."""

    message_type: str
    n: int
    positives: int
    mean_p: float
    log_loss: float | None
    base_log_loss: float | None
    auc: float | None
    observed_expected: float | None


@dataclass(frozen=True)
class Report:
    """What probabilities were worth on one set of rows.

    ``skill`` is 1 - log_loss / log_loss of the training rates per message type. ``ece`` is the mean absolute gap
    between predicted and observed rate over equal-mass bins. ``slope`` and ``intercept`` are those of the labels'
    log-odds on the predictions' (1 and 0 are right). ``observed_expected`` is conversions over expected ones.
    ``rows_digest`` names the rows: reports of other rows cannot be compared.
    """

    n: int
    positives: int
    recipients: int
    auc: float
    log_loss: float
    skill: float
    ece: float
    brier: float
    slope: float
    intercept: float
    observed_expected: float
    intervals: Mapping[str, Interval]
    by_message_type: tuple[Slice, ...]
    rows_digest: str

    def metrics(self) -> dict[str, float]:
        """Return every number by name, flat: intervals as ``auc_low``, slices as ``auc.coupon_a``."""
        flat = {name: float(getattr(self, name)) for name in (*_GIVEN, "observed_expected")}
        for name, interval in self.intervals.items():
            flat |= {f"{name}_low": interval.low, f"{name}_high": interval.high}
        for one in self.by_message_type:
            named = {"n": one.n, "auc": one.auc, "log_loss": one.log_loss, "observed_expected": one.observed_expected}
            flat |= {f"{name}.{one.message_type}": float(v) for name, v in named.items() if v is not None}
        return flat
