"""Tokens that ask for a hand-over: given with a decision, made again for it, and kept nowhere."""

import base64
import hmac

from adapters.secrets import SecretBox

PREFIX = "kht_"
MAX_TOKEN = 64
_BYTES = 24


class HandoverTokens:
    """Makes and checks tokens; each stands for one decision of one tenant, and for nothing else."""

    def __init__(self, box: SecretBox) -> None:
        self._key = box.key("handover:token")

    def of(self, tenant: str, decision_id: str) -> str:
        """Return the token of a decision, always the same: 192 bits of HMAC-SHA-256."""
        # A tenant's name holds no space, so no two pairs are written alike.
        digest = hmac.digest(self._key, f"{tenant} {decision_id}".encode(), "sha256")[:_BYTES]
        return PREFIX + base64.urlsafe_b64encode(digest).decode()

    def is_of(self, token: str, tenant: str, decision_id: str) -> bool:
        """Tell whether a token is that of the decision, in a time that tells nothing of it."""
        return hmac.compare_digest(token.encode(), self.of(tenant, decision_id).encode())
