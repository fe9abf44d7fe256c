"""What a decision is asked for: a request, the id its decision gets, and whom the caller named in it."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from domain.decision_request import DecisionRequest
from domain.handover import Follows


@dataclass(frozen=True)
class Ask:
    """One request and the id its decision gets; ``may_repeat`` when the caller chose the id and may ask again."""

    decision_id: str
    request: DecisionRequest
    may_repeat: bool = False
    named: str | None = None
    """The recipient as the caller named them, when the request is about whom they were merged into."""
    follows: Follows | None = None
    """What the decision goes on with, when it hands over what an earlier one left to do."""

    def about(self, survivors: Mapping[str, str]) -> "Ask":
        """Return the request about who stands for its recipient now."""
        who = self.request.recipient_id
        if survivors.get(who, who) == who:
            return self
        request = self.request.model_copy(update={"recipient_id": survivors[who]})
        return replace(self, request=request, named=self.named or who)

    def may_be(self, fingerprint: bytes, secret: bytes) -> bool:
        """Tell whether a decision of this fingerprint was for this request, before or after a merge."""
        names = {self.named or self.request.recipient_id, self.request.recipient_id}
        asked = (self.request.model_copy(update={"recipient_id": name}) for name in names)
        return any(each.fingerprint(secret) == fingerprint for each in asked)
