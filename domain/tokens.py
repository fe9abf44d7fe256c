"""What a bearer token (a JWT, RFC 7519 and 9068) must say to be taken, and whom it stands for then.

Everything here is about what was signed; whether it was signed is asked elsewhere, before.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints, TypeAdapter, ValidationError, field_validator, model_validator

from domain.events import Identifier
from domain.roles import PERMISSIONS, Role
from domain.values import Frozen

LONGEST_HOURS = 24
CLOCKS_APART = timedelta(seconds=60)
"""How far an issuer's clock may be ahead of ours."""

_HEADERS = frozenset({"alg", "kid", "typ", "x5t", "x5t#S256"})
"""Anything else, above all jku, jwk, x5u, x5c and crit, would let a token say by what it is to be checked."""
_TYPES: Mapping[str, frozenset[str]] = {
    "at+jwt": frozenset({"at+jwt", "application/at+jwt"}),
    "JWT": frozenset({"at+jwt", "application/at+jwt", "jwt"}),
}
_ACCESS_MARKS = {"typ": "bearer", "token_use": "access"}
"""Claims by which common issuers tell an access token from their refresh and identity tokens."""


class TokenRefusal(StrEnum):
    """Why a token is not taken; for the trail and the log, never for who sent it."""

    MALFORMED = "malformed"
    HEADER = "header"
    ISSUER = "issuer"
    KEY = "key"
    SIGNATURE = "signature"
    TYPE = "type"
    AUDIENCE = "audience"
    SUBJECT = "subject"
    LIFETIME = "lifetime"
    EXPIRED = "expired"
    NOT_YET = "not_yet"
    ROLES = "roles"


class TokenRefused(ValueError):
    """A token that is not taken."""

    def __init__(self, refusal: TokenRefusal) -> None:
        super().__init__(refusal.value)
        self.refusal = refusal
        self.issuer: TokenIssuer | None = None
        """In whose name it came, where that is an issuer we know."""


class TokenIssuer(Frozen):
    """Whose tokens a tenant takes: each issuer speaks for one tenant.

    ``roles`` maps what the issuer writes into ``roles_claim`` to roles here; what it does not name grants nothing.
    """

    name: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_-]{0,31}$")]
    issuer: Annotated[str, StringConstraints(min_length=1, max_length=500)]
    tenant: Annotated[str, StringConstraints(min_length=1, max_length=64)]
    audience: Annotated[str, StringConstraints(min_length=1, max_length=500)]
    jwks: dict[str, Any]
    roles: dict[str, Role] = Field(min_length=1)
    roles_claim: Annotated[str, StringConstraints(min_length=1, max_length=200)] = "roles"
    token_type: Literal["at+jwt", "JWT"] = "at+jwt"  # noqa: S105 - a media type
    longest_hours: Annotated[int, Field(ge=1, le=LONGEST_HOURS)] = LONGEST_HOURS
    is_enabled: bool = True

    @field_validator("roles")
    @classmethod
    def _inside_the_tenant(cls, roles: dict[str, Role]) -> dict[str, Role]:
        if Role.PLATFORM_ADMIN in roles.values():
            raise ValueError("a token cannot make a platform administrator; the command line can")
        return roles


class TokenIssuers(Frozen):
    """The document with every issuer of an installation."""

    issuers: tuple[TokenIssuer, ...]

    @model_validator(mode="after")
    def _each_once(self) -> "TokenIssuers":
        for field in ("issuer", "name"):
            given = [getattr(each, field) for each in self.issuers]
            if len(set(given)) != len(given):
                raise ValueError(f"two entries have the same {field}")
        return self


class TokenBearer(Frozen):
    """Whom a token stands for; ``recipient_id`` is set for recipients, who reach their own data only."""

    issuer: str
    tenant: str
    subject: str
    roles: tuple[Role, ...]
    recipient_id: str | None

    @property
    def scopes(self) -> tuple[str, ...]:
        """The permissions of the roles."""
        return tuple(sorted({each.value for role in self.roles for each in PERMISSIONS[role]}))


def check_header(header: Any) -> tuple[str, str]:
    """Return the algorithm and key id a token names.

    Raises:
        TokenRefused: it names other algorithms than RS256 and ES256, no key, or anything we would have to obey.
    """
    if not isinstance(header, dict) or not _HEADERS.issuperset(header):
        raise TokenRefused(TokenRefusal.HEADER)
    algorithm, key_id = header.get("alg"), header.get("kid")
    if algorithm not in ("RS256", "ES256") or not isinstance(key_id, str):
        raise TokenRefused(TokenRefusal.HEADER)
    return algorithm, key_id


def bearer_of(
    issuer: TokenIssuer, header: Mapping[str, Any], claims: Mapping[str, Any], *, now: datetime
) -> TokenBearer:
    """Return whom a token stands for whose signature is the issuer's.

    Raises:
        TokenRefused: a claim is missing, has no meaning here, or does not hold now.
    """
    kind = header.get("typ")
    if not isinstance(kind, str) or kind.lower() not in _TYPES[issuer.token_type]:
        raise TokenRefused(TokenRefusal.TYPE)
    if any(name in claims and str(claims[name]).lower() != mark for name, mark in _ACCESS_MARKS.items()):
        raise TokenRefused(TokenRefusal.TYPE)
    if claims.get("iss") != issuer.issuer:
        raise TokenRefused(TokenRefusal.ISSUER)
    if issuer.audience not in _texts(claims.get("aud")):
        raise TokenRefused(TokenRefusal.AUDIENCE)
    _check_times(issuer, claims, now.timestamp())
    named = [each for each in _texts(claims.get(issuer.roles_claim)) if each in issuer.roles]
    roles = tuple(dict.fromkeys(issuer.roles[each] for each in named))
    subject = _subject(claims.get("sub"))
    if Role.RECIPIENT in roles and len(roles) > 1:
        # One of the two is a mistake, and nobody can say which.
        raise TokenRefused(TokenRefusal.ROLES)
    whose = subject if Role.RECIPIENT in roles else None
    return TokenBearer(issuer=issuer.name, tenant=issuer.tenant, subject=subject, roles=roles, recipient_id=whose)


def _check_times(issuer: TokenIssuer, claims: Mapping[str, Any], now: float) -> None:
    issued, expires, since = (_seconds(claims, name) for name in ("iat", "exp", "nbf"))
    if issued is None or expires is None or not 0 < expires - issued <= issuer.longest_hours * 3600:
        raise TokenRefused(TokenRefusal.LIFETIME)
    if expires <= now:
        raise TokenRefused(TokenRefusal.EXPIRED)
    if max(issued, since if since is not None else issued) > now + CLOCKS_APART.total_seconds():
        raise TokenRefused(TokenRefusal.NOT_YET)


def _seconds(claims: Mapping[str, Any], name: str) -> float | None:
    if name not in claims:
        return None
    value = claims[name]
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TokenRefused(TokenRefusal.LIFETIME)
    return float(value)


def _texts(value: Any) -> Sequence[str]:
    if isinstance(value, str):
        return [value]
    return [each for each in value if isinstance(each, str)] if isinstance(value, list) else []


def _subject(value: Any) -> str:
    try:
        return _IDENTIFIER.validate_python(value, strict=True)
    except ValidationError:
        raise TokenRefused(TokenRefusal.SUBJECT) from None


_IDENTIFIER: TypeAdapter[str] = TypeAdapter(Identifier)
