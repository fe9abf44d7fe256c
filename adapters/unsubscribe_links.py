"""Links that unsubscribe: sealed, so that nobody can make or read one, and made again the same for the same grant."""

import base64
import binascii
import hmac
import json

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from pydantic import ValidationError

from adapters.secrets import SecretBox
from domain.one_click import UnsubscribeGrant

PATH = "/u/"
MAX_TOKEN = 1_200
_NONCE_BYTES = 12
_PURPOSE = b"unsubscribe.v1"
"""Bound into every token: nothing sealed for another purpose opens here."""


class UnsubscribeLinks:
    """Makes and opens links; a token holds 128 bits that cannot be guessed."""

    def __init__(self, box: SecretBox, public_url: str) -> None:
        self._cipher = AESGCM(box.key("unsubscribe:seal"))
        self._nonce_key = box.key("unsubscribe:nonce")
        self._public_url = public_url.rstrip("/")

    def url(self, grant: UnsubscribeGrant) -> str:
        """Return the address that stands for a grant."""
        return f"{self._public_url}{PATH}{self.token(grant)}"

    def token(self, grant: UnsubscribeGrant) -> str:
        """Return the token of a grant; the same grant has the same token."""
        plain = json.dumps(grant.model_dump(mode="json"), sort_keys=True, separators=(",", ":")).encode()
        # The nonce follows from what is sealed, so it repeats only where all of it does.
        nonce = hmac.digest(self._nonce_key, plain, "sha256")[:_NONCE_BYTES]
        sealed = nonce + self._cipher.encrypt(nonce, plain, _PURPOSE)
        return base64.urlsafe_b64encode(sealed).rstrip(b"=").decode()

    def open(self, token: str) -> UnsubscribeGrant | None:
        """Return what a token stands for, or None when it is none of ours."""
        if len(token) > MAX_TOKEN or not token.isascii():
            return None
        try:
            sealed = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
            plain = self._cipher.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], _PURPOSE)
            grant = UnsubscribeGrant.model_validate_json(plain)
        except (binascii.Error, InvalidTag, ValidationError, ValueError):
            return None
        # Base64 has several spellings for the same bytes; only the one we made counts.
        return grant if self.token(grant) == token else None
