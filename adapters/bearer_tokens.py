"""Bearer tokens of the issuers in ``KAIROS_TOKEN_ISSUERS_FILE``: checked with the keys there and with nothing else.

A token can cause no connection and name no file: its key id is looked up among the issuer's keys in memory. The file
is read with every token, so that a key or an issuer that is taken out is refused from then on.
"""

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import jwt
import structlog
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from jwt.exceptions import PyJWTError
from pydantic import ValidationError

from adapters.settings import BadSettings, Settings
from domain import strict_json
from domain.strict_json import StrictJsonError
from domain.tokens import TokenBearer, TokenIssuer, TokenIssuers, TokenRefusal, TokenRefused, bearer_of, check_header

MAX_TOKEN_CHARACTERS = 8_192
_MAX_FILE_BYTES = 1_000_000
_LEAST_RSA_BITS = 2048
_PARTS = 3
log = structlog.get_logger("kairos.tokens")


class BadIssuers(ValueError):
    """The file of issuers cannot be used; the message names the place and never a value."""


@dataclass(frozen=True)
class _Known:
    """An issuer, and its keys by id with the one algorithm each is for."""

    issuer: TokenIssuer
    keys: Mapping[str, tuple[str, RSAPublicKey | EllipticCurvePublicKey]]


class BearerTokens:
    """Checks tokens; without a file of issuers none is taken."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._read: tuple[bytes, Mapping[str, _Known]] = (b"", {})

    @classmethod
    def of(cls, settings: Settings) -> "BearerTokens":
        """Return the checker of the settings.

        Raises:
            BadSettings: the file of issuers cannot be used.
        """
        tokens = cls(settings.token_issuers_file)
        try:
            tokens._issuers()
        except BadIssuers as error:
            raise BadSettings(f"KAIROS_TOKEN_ISSUERS_FILE: {error}") from None
        return tokens

    def check(self, token: str, *, now: datetime) -> TokenBearer:
        """Return whom a token stands for.

        Raises:
            TokenRefused: it is not taken; why is for the log only.
        """
        try:
            known = self._issuers()
        except BadIssuers as error:
            # Who broke the file may have meant to take an issuer out: nobody gets in by what it said before.
            log.error("tokens.issuers_unusable", problem=str(error))  # noqa: TRY400 - the text is ours
            raise TokenRefused(TokenRefusal.ISSUER) from None
        header, claims = _parts(token)
        check_header(header)
        issuer = claims.get("iss") if isinstance(claims, dict) else None
        found = known.get(issuer) if isinstance(issuer, str) else None
        if found is None:
            raise TokenRefused(TokenRefusal.ISSUER)
        try:
            return _bearer(found, token, header, claims, now=now)
        except TokenRefused as refused:
            refused.issuer = found.issuer
            raise

    def _issuers(self) -> Mapping[str, _Known]:
        if self._path is None:
            return {}
        try:
            data = self._path.read_bytes()
        except OSError as error:
            raise BadIssuers(f"the file cannot be read: {type(error).__name__}") from None
        read, known = self._read
        if read != data:
            known = {each.issuer: _known(each) for each in _document(data).issuers if each.is_enabled}
            self._read = (data, known)
        return known


def _bearer(known: _Known, token: str, header: Any, claims: Any, *, now: datetime) -> TokenBearer:
    algorithm, key_id = check_header(header)
    if key_id not in known.keys or known.keys[key_id][0] != algorithm:
        raise TokenRefused(TokenRefusal.KEY)
    try:
        jwt.PyJWS().decode(token, key=known.keys[key_id][1], algorithms=[algorithm])
    except PyJWTError:
        raise TokenRefused(TokenRefusal.SIGNATURE) from None
    return bearer_of(known.issuer, header, claims, now=now)


def _parts(token: str) -> tuple[Any, Any]:
    """Return header and claims as they stand in a token, read strictly: a claim that is there twice is refused."""
    pieces = token.split(".") if len(token) <= MAX_TOKEN_CHARACTERS and token.isascii() else []
    if len(pieces) != _PARTS:
        raise TokenRefused(TokenRefusal.MALFORMED)
    try:
        header, claims = (strict_json.loads(_decoded(each), max_bytes=MAX_TOKEN_CHARACTERS) for each in pieces[:2])
    except (StrictJsonError, binascii.Error):
        raise TokenRefused(TokenRefusal.MALFORMED) from None
    return header, claims


def _decoded(piece: str) -> bytes:
    return base64.b64decode(piece + "=" * (-len(piece) % 4), altchars=b"-_", validate=True)


def _document(data: bytes) -> TokenIssuers:
    try:
        return TokenIssuers.model_validate_json(json.dumps(strict_json.loads(data, max_bytes=_MAX_FILE_BYTES)))
    except StrictJsonError as error:
        raise BadIssuers(str(error)) from None
    except ValidationError as error:
        first = error.errors(include_input=False)[0]
        raise BadIssuers(f"{'.'.join(map(str, first['loc'])) or 'document'}: {first['msg']}") from None


def _known(issuer: TokenIssuer) -> _Known:
    given = issuer.jwks.get("keys")
    if not isinstance(given, list):
        raise BadIssuers(f"{issuer.name}: jwks.keys: expected a list of public keys")
    keys: dict[str, tuple[str, RSAPublicKey | EllipticCurvePublicKey]] = {}
    for each in given:
        key_id = each.get("kid") if isinstance(each, dict) else None
        if not isinstance(key_id, str) or key_id in keys:
            raise BadIssuers(f"{issuer.name}: jwks.keys: each key needs a kid of its own")
        keys[key_id] = _public_key(issuer.name, each)
    return _Known(issuer, keys)


def _public_key(name: str, given: dict[str, Any]) -> tuple[str, RSAPublicKey | EllipticCurvePublicKey]:
    wanted = f"{name}: jwks.keys: expected public RSA keys of at least {_LEAST_RSA_BITS} bits or EC keys on P-256"
    if given.get("kty") not in ("RSA", "EC") or "d" in given or given.get("use", "sig") != "sig":
        raise BadIssuers(wanted)
    try:
        key = jwt.PyJWK(given, algorithm="RS256" if given["kty"] == "RSA" else "ES256").key
    except (PyJWTError, ValueError, TypeError):
        raise BadIssuers(wanted) from None
    is_rsa = isinstance(key, RSAPublicKey) and key.key_size >= _LEAST_RSA_BITS
    is_ec = isinstance(key, EllipticCurvePublicKey) and isinstance(key.curve, SECP256R1)
    if not is_rsa and not is_ec:
        raise BadIssuers(wanted)
    algorithm = "RS256" if is_rsa else "ES256"
    if given.get("alg", algorithm) != algorithm:
        raise BadIssuers(wanted)
    return algorithm, key
