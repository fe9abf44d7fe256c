"""The gate between a challenger and the alias that production reads: may this model replace that one?

Every condition is named and carries its number and its limit, whether it held or not. Where chance could explain
a deviation it does not count against a model; where it could explain an improvement it does not count for one.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from models.engagement.report import Report, Slice


class Condition(StrEnum):
    """What a challenger must show."""

    SKILL = "skill.positive"
    PLAUSIBLE = "auc.plausible"
    SLOPE = "calibration.slope"
    OBSERVED_EXPECTED = "calibration.observed_expected"
    BEATS_CHAMPION = "champion.log_loss"
    NO_TYPE_WORSE = "champion.message_type"


@dataclass(frozen=True)
class Limits:
    """The gate's limits.

    ``auc_at_most``: a better ranking than this is a leak of the future until somebody shows otherwise. ``slope``
    and ``observed_expected`` are bands that the 95 % interval must touch. ``type_log_loss``: by how much the
    log-loss of one message type may rise against the champion.
    """

    auc_at_most: float = 0.9
    slope: tuple[float, float] = (0.9, 1.1)
    observed_expected: tuple[float, float] = (0.9, 1.1)
    type_log_loss: float = 0.01


@dataclass(frozen=True)
class Finding:
    """One condition and how it came out; ``limit`` is the bound that ``number`` was held against."""

    condition: Condition
    held: bool
    number: float
    limit: float
    sentence: str


@dataclass(frozen=True)
class GateVerdict:
    """Whether the challenger may be promoted, and every condition's finding."""

    passed: bool
    findings: tuple[Finding, ...]

    @property
    def reasons(self) -> tuple[str, ...]:
        """Return the sentences of the conditions that did not hold."""
        return tuple(finding.sentence for finding in self.findings if not finding.held)


def passes_gate(challenger: Report, champion: Report | None, *, limits: Limits = Limits()) -> GateVerdict:
    """Judge a challenger on its own, and against the champion on the same rows.

    Args:
        challenger: its report on rows that neither model has seen.
        champion: the champion's report on the same rows; None when there is none.
        limits: what counts as good enough.

    Raises:
        ValueError: the two reports are about other rows.
    """
    if champion is not None and champion.rows_digest != challenger.rows_digest:
        raise ValueError("champion: its report is about other rows than the challenger's")
    findings = (*_alone(challenger, limits), *(_against(challenger, champion, limits) if champion else ()))
    return GateVerdict(passed=all(finding.held for finding in findings), findings=findings)


def _alone(report: Report, limits: Limits) -> Iterator[Finding]:
    low = report.intervals["skill"].low
    yield Finding(
        Condition.SKILL, low > 0, low, 0.0, f"skill {report.skill:.3f}, its interval begins at {low:.3f}: must exceed 0"
    )
    most = limits.auc_at_most
    yield Finding(
        Condition.PLAUSIBLE, report.auc <= most, report.auc, most, f"AUC {report.auc:.3f}: above {most} means a leak"
    )
    yield _band(Condition.SLOPE, report, "slope", limits.slope)
    yield _band(Condition.OBSERVED_EXPECTED, report, "observed_expected", limits.observed_expected)


def _band(condition: Condition, report: Report, name: str, band: tuple[float, float]) -> Finding:
    number, interval = float(getattr(report, name)), report.intervals[name]
    limit = band[0] if number < band[0] else band[1]
    told = f"{name} {number:.2f}, interval {interval.low:.2f} to {interval.high:.2f}"
    sentence = f"{told}: must touch {band[0]} to {band[1]}"
    return Finding(condition, not interval.misses(*band), number, limit, sentence)


def _against(challenger: Report, champion: Report, limits: Limits) -> Iterator[Finding]:
    mine, theirs = challenger.log_loss, champion.log_loss
    sentence = f"log-loss {mine:.4f}, the champion's is {theirs:.4f}: must not be higher"
    yield Finding(Condition.BEATS_CHAMPION, mine <= theirs, mine, theirs, sentence)
    before = {one.message_type: one for one in champion.by_message_type}
    for one in challenger.by_message_type:
        yield from _type(one, before[one.message_type], limits)


def _type(mine: Slice, theirs: Slice, limits: Limits) -> Iterator[Finding]:
    if mine.log_loss is None or theirs.log_loss is None:
        return
    limit = theirs.log_loss + limits.type_log_loss
    sentence = f"{mine.message_type}: log-loss {mine.log_loss:.4f}, at most {limit:.4f} beside the champion's"
    yield Finding(Condition.NO_TYPE_WORSE, mine.log_loss <= limit, mine.log_loss, limit, sentence)
