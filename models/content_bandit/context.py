"""What the bandit sees of a recipient on a channel: the channel, and a few features, each brought to the size of 1.

A missing feature adds nothing, and ``has_history`` says whether there was any: the regression has no way to read "not
known", so nothing may look like a measured zero.
"""

import math
from collections.abc import Callable, Mapping

from domain.values import Channel

_SHARE_OF_ONE, _COUNT_OF_ONE, _MOST = 0.2, 10.0, 3.0


def _share(value: float) -> float:
    return min(value / _SHARE_OF_ONE, _MOST)


def _count(value: float) -> float:
    return min(math.log1p(max(value, 0.0)) / math.log1p(_COUNT_OF_ONE), _MOST)


SIGNALS: dict[str, Callable[[float], float]] = {
    "channel_open_rate_90d": _share,
    "channel_click_rate_90d": _share,
    "channel_conversion_rate_90d": _share,
    "channel_sent_count_30d": _count,
    "active_days_count_30d": _count,
    "app_opened_count_30d": _count,
    "page_viewed_count_30d": _count,
    "purchase_count_90d": _count,
}
"""Features by their names in the catalog, and how each is brought to size: a share of 0.2, or a count of 10, is 1."""

CONTEXT = (*(f"on_{channel.value}" for channel in Channel), "has_history", *SIGNALS)
"""Names of the regression's features, in order."""


def vector(channel: Channel, features: Mapping[str, float | None] | None) -> tuple[float, ...]:
    """Return the features of one recipient on one channel, in the order of ``CONTEXT``.

    Args:
        channel: which one.
        features: the engagement model's input on that channel, None where missing; None where none may be used.
    """
    known = {name: value for name in SIGNALS if (value := (features or {}).get(name)) is not None}
    return (
        *(float(each is channel) for each in Channel),
        float(bool(known)),
        *(bring(known[name]) if name in known else 0.0 for name, bring in SIGNALS.items()),
    )


def is_personal(context: tuple[float, ...]) -> bool:
    """Tell whether any of it stands on what is known of the recipient."""
    return any(context[len(Channel) :])
