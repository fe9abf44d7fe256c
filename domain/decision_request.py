"""The request for a decision: what a caller may ask; a field that is not known is refused by name."""

import hashlib
import hmac
import json
from typing import Annotated, Literal, Self

from pydantic import Field, JsonValue, StringConstraints, model_validator

from domain.events import Identifier, Name
from domain.policy import VariantPolicy
from domain.request_context import RequestContext
from domain.values import Channel, Frozen, Moment

MAX_VARIABLES = 100
IdempotencyKey = Annotated[str, StringConstraints(min_length=1, max_length=255, pattern=r"^[\x21-\x7e]+$")]


class Message(Frozen):
    """Which message is in question."""

    type: Name
    variables: dict[Annotated[str, StringConstraints(max_length=100)], JsonValue] = Field(
        default_factory=dict, max_length=MAX_VARIABLES
    )
    priority: Literal["low", "medium", "high", "urgent"] | None = Field(
        default=None, description="Recorded; it opens no gate."
    )
    urgency: Literal["immediate", "within_hour", "within_day", "flexible"] | None = Field(
        default=None, description="within_day and flexible may wait for a better hour, a day or a week; no gate opens."
    )
    expires_at: Moment | None = Field(default=None, description="From this moment on the message is worthless.")


class DeliveryWindow(Frozen):
    """Between which moments the message may be sent: from the first on, before the last."""

    starts: Moment | None = Field(default=None, alias="from")
    until: Moment | None = None

    @model_validator(mode="after")
    def _is_some_time(self) -> Self:
        if self.starts is None and self.until is None:
            raise ValueError("one of from and until must be given")
        if self.starts is not None and self.until is not None and self.until <= self.starts:
            raise ValueError("until must lie after from")
        return self


class DecisionRequest(Frozen):
    """May this message go to this recipient, and how? The tenant comes from the credential."""

    recipient_id: Identifier
    message: Message
    campaign_id: Identifier | None = None
    journey_id: Identifier | None = Field(default=None, description="Recorded.")
    step_id: Identifier | None = Field(default=None, description="Recorded.")
    delivery_window: DeliveryWindow | None = None
    channels: Annotated[tuple[Channel, ...], Field(min_length=1, max_length=len(Channel))] | None = Field(
        default=None, description="Only these channels are considered."
    )
    context: RequestContext = RequestContext()
    service_level: Literal["basic", "standard", "premium", "enterprise"] | None = Field(
        default=None,
        description="Which stages the decision goes through, and how long they may take; null is all of them, with no "
        "time of their own.",
    )
    policy: VariantPolicy | None = Field(
        default=None, description="Draw the variant by this policy, to test it; needs a permission of its own."
    )
    explain: bool = Field(default=False, description="Answer with the reasons in sentences as well.")

    def fingerprint(self, tenant_secret: bytes) -> bytes:
        """Return the request's digest: the same key with another fingerprint is another request.

        It is keyed, because it stands beside the pseudonym: recipients' ids are easily tried one by one.
        """
        body = self.model_dump(mode="json", by_alias=True, exclude_none=True)
        text = json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        return hmac.new(tenant_secret, text.encode(), hashlib.sha256).digest()
