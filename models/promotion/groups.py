"""Groups of recipients: how well each is predicted, how often each is notified, and whether a challenger harms one.

Nothing is said about a group of fewer than 200 rows. With many groups some look bad by chance alone, so intervals are
widened by the number of groups looked at (Bonferroni).
"""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass

import numpy as np
import numpy.typing as npt

from models.promotion.finding import Claim, Finding, unknown
from models.promotion.rows import LEAST_ROWS, Scored, Told, mean, observed_expected

Names = npt.NDArray[np.str_]

BAND = (0.75, 1.33)
"""Observed over expected that the interval of a group must touch."""
ALPHA = 0.05


@dataclass(frozen=True)
class Group:
    """One value of one attribute.

    ``rate`` is what happened, ``mean_p`` what was expected, ``observed_expected`` the one over the other;
    ``per_recipient`` is how many messages one recipient of the group got.
    """

    attribute: str
    value: str
    n: int
    recipients: int
    rate: float
    mean_p: float
    log_loss: float
    observed_expected: Told | None
    per_recipient: float

    @property
    def name(self) -> str:
        """``attribute=value``."""
        return f"{self.attribute}={self.value}"

    def as_json(self) -> dict[str, object]:
        """Return every number by name."""
        return asdict(self)


@dataclass(frozen=True)
class Gap:
    """The worst-off group of an attribute beside all of its other rows, with the interval of the difference."""

    attribute: str
    value: str
    difference: Told


def describe(rows: Scored, attributes: Mapping[str, Names]) -> list[Group]:
    """Describe every group that is large enough; empty values are no group.

    Args:
        rows: n scored rows.
        attributes: by name, the value of each row, shape (n,).
    """
    masks = list(_masks(attributes))
    alpha = ALPHA / max(len(masks), 1)
    return [_group(name, value, rows.take(mask), alpha) for name, value, mask in masks]


def _masks(attributes: Mapping[str, Names]) -> Iterator[tuple[str, str, npt.NDArray[np.bool_]]]:
    for name, values in sorted(attributes.items()):
        for value in np.unique(values):
            mask = values == value
            if value and int(mask.sum()) >= LEAST_ROWS:
                yield name, str(value), mask


def _group(attribute: str, value: str, rows: Scored, alpha: float) -> Group:
    people = len(np.unique(rows.unit))
    return Group(
        attribute=attribute,
        value=value,
        n=len(rows),
        recipients=people,
        rate=float(rows.label.mean()),
        mean_p=float(rows.p.mean()),
        log_loss=float(rows.loss.mean()),
        observed_expected=observed_expected(rows, alpha=alpha) if rows.can_be_judged else None,
        per_recipient=len(rows) / people,
    )


def worst_gaps(rows: Scored, attributes: Mapping[str, Names]) -> list[Gap]:
    """Return of each attribute the group whose calibration error lies furthest above the others', with an interval.

    The error of a row is the Pearson residual ``(label - p) / sqrt(p (1 - p))``: its mean is 0 where predictions mean
    what they say, and comparable between groups whose rates differ.
    """
    residual = (rows.label - rows.p) / np.sqrt(rows.p * (1 - rows.p))
    masks = list(_masks(attributes))
    alpha = ALPHA / max(len(masks), 1)
    found: dict[str, Gap] = {}
    for name, value, mask in masks:
        share = float(mask.mean())
        if share == 1:
            continue
        # The difference of two means as the mean of one number per row, so that recipients in both cancel.
        weight = mask / share - ~mask / (1 - share)
        gap = Gap(name, value, mean(residual * weight, rows.unit, alpha=alpha))
        if name not in found or abs(gap.difference.value) > abs(found[name].difference.value):
            found[name] = gap
    return list(found.values())


def findings(challenger: Scored, champion: Scored | None, attributes: Mapping[str, Names]) -> Iterator[Finding]:
    """Hold each group's loss against the champion's, and without a champion its calibration against a band."""
    masks = list(_masks(attributes))
    alpha = ALPHA / max(len(masks), 1)
    if not masks:
        yield unknown(Claim.NO_GROUP_WORSE, "groups", f"no group has {LEAST_ROWS} rows")
    for name, value, mask in masks:
        group = challenger.take(mask)
        if champion is not None:
            yield _beside(f"{name}={value}", group, champion.take(mask), alpha)
        elif group.can_be_judged:
            yield _alone(f"{name}={value}", group, alpha)


def _beside(name: str, group: Scored, before: Scored, alpha: float) -> Finding:
    rise = mean(group.loss - before.loss, group.unit, alpha=alpha)
    sentence = (
        f"{name}: log-loss {group.loss.mean():.4f}, the champion's {before.loss.mean():.4f};"
        f" the interval of the rise begins at {rise.low:.4f} and must not lie above 0"
    )
    return Finding(Claim.NO_GROUP_WORSE, f"group.log_loss.{name}", rise.low <= 0, rise.low, 0.0, sentence)


def _alone(name: str, group: Scored, alpha: float) -> Finding:
    told = observed_expected(group, alpha=alpha)
    sentence = (
        f"{name}: observed over expected {told.value:.2f}, interval {told.low:.2f} to {told.high:.2f}:"
        f" must touch {BAND[0]} to {BAND[1]}"
    )
    limit = BAND[0] if told.value < 1 else BAND[1]
    held = not told.misses(*BAND)
    return Finding(Claim.NO_GROUP_WORSE, f"group.observed_expected.{name}", held, told.value, limit, sentence)
