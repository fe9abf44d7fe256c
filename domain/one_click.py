"""One-click unsubscribe (RFC 8058): the headers of an e-mail, and what the link in them stands for."""

from collections.abc import Mapping
from datetime import datetime, timedelta

from domain.consent import ChannelScope
from domain.values import Frozen, Moment, Purpose

LIFE = timedelta(days=366)
"""How long a link works; CAN-SPAM demands 30 days."""
FIELD, VALUE = "List-Unsubscribe", "One-Click"
"""The only form field, and value, that is acted on."""


class UnsubscribeGrant(Frozen):
    """What a link may do: withdraw one purpose on one channel for one recipient."""

    tenant: str
    recipient_id: str
    purpose: Purpose
    channel: ChannelScope
    issued_at: Moment

    def is_over(self, now: datetime) -> bool:
        """True when the link has worked long enough; a clock that lags does not end it early."""
        return now > self.issued_at + LIFE


def headers(url: str) -> Mapping[str, str]:
    """Return the headers of an e-mail that can be unsubscribed from at the address with one click.

    The sender's DKIM signature must cover both.
    """
    return {"List-Unsubscribe": f"<{url}>", "List-Unsubscribe-Post": f"{FIELD}={VALUE}"}
