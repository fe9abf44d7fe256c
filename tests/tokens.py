"""An issuer of signed tokens with keys of its own, honest or not."""

import base64
import functools
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from domain.roles import Role

AUDIENCE = "kairos-test"
LIFETIME_SECONDS = 600


@functools.cache
def rsa_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@functools.cache
def another_rsa_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@functools.cache
def ec_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def write_issuers(path: Path, entries: Sequence[dict[str, Any]]) -> None:
    """Write a file of issuers."""
    path.write_text(json.dumps({"issuers": list(entries)}))


class Signer:
    """Signs tokens for one tenant; with the keys ``rsa-1`` and ``ec-1``."""

    def __init__(self, tenant: str) -> None:
        self.tenant = tenant
        self.issuer = f"https://{tenant}.example"

    def entry(self, **changes: Any) -> dict[str, Any]:
        """Return the entry of the file of issuers that takes this signer's tokens; every role by its own name."""
        algorithms: dict[str, tuple[Any, Any]] = {
            "rsa-1": (jwt.algorithms.RSAAlgorithm, rsa_key()),
            "ec-1": (jwt.algorithms.ECAlgorithm, ec_key()),
        }
        keys = [
            {**kind.to_jwk(key.public_key(), as_dict=True), "kid": key_id} for key_id, (kind, key) in algorithms.items()
        ]
        roles = {role.value: role.value for role in Role if role != Role.PLATFORM_ADMIN}
        entry = {"name": "idp", "issuer": self.issuer, "tenant": self.tenant, "audience": AUDIENCE, "roles": roles}
        return entry | {"jwks": {"keys": keys}} | changes

    def claims(self, *roles: str, **changes: Any) -> dict[str, Any]:
        """Return good claims, changed; a claim that is changed to None is left out."""
        now = int(time.time())
        given = {"iss": self.issuer, "aud": AUDIENCE, "sub": "u-1", "iat": now, "exp": now + LIFETIME_SECONDS}
        return {name: value for name, value in (given | {"roles": list(roles)} | changes).items() if value is not None}

    def token(self, claims: dict[str, Any], *, key: Any = None, algorithm: str = "RS256", **header: Any) -> str:
        """Sign claims."""
        headers = {"kid": "ec-1" if algorithm == "ES256" else "rsa-1", "typ": "at+jwt"} | header
        key = key if key is not None else (ec_key() if algorithm == "ES256" else rsa_key())
        if headers["kid"] is None:
            return _without_key_id(claims, key)
        return jwt.encode(claims, key, algorithm=algorithm, headers=headers)

    def of(self, *roles: str, sub: str = "u-1") -> str:
        """Return a good token."""
        return self.token(self.claims(*roles, sub=sub))


def _without_key_id(claims: dict[str, Any], key: Any) -> str:
    return jwt.encode(claims, key, algorithm="RS256", headers={"typ": "at+jwt"})


def encoded(text: bytes) -> str:
    """Return bytes as a token has them."""
    return base64.urlsafe_b64encode(text).rstrip(b"=").decode()
