"""Signed tokens at the API: good ones stand for whom they say, forged ones for nobody, and none makes us connect."""

import hashlib
import hmac
import json
import socket
import time

import httpx
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.tokens import AUDIENCE, Signer, another_rsa_key, encoded, rsa_key, write_issuers

YEAR = 31_557_600
TYPES = "/v1/message-types"
READ = "/v1/decisions/00000000-0000-0000-0000-000000000000"


def ask(server: httpx.Client, token: str, path: str = READ, **more) -> httpx.Response:
    return server.request(more.pop("method", "GET"), path, headers={"Authorization": f"Bearer {token}"}, **more)


def trail(api: httpx.Client, action: str) -> list[dict]:
    return api.get("/v1/audit", params={"action": action}).raise_for_status().json()["entries"]


@pytest.mark.parametrize("algorithm", ["RS256", "ES256"])
def test_a_good_token_is_taken_and_its_first_use_is_in_the_trail(server, api, signer, algorithm):
    token = signer.token(signer.claims("analyst"), algorithm=algorithm)
    assert [ask(server, token).status_code for _ in range(2)] == [404, 404]
    (used,) = trail(api, "token.used")
    assert (used["actor"], used["object"]) == ("user:idp:u-1", "issuer:idp")
    assert used["detail"] == {"roles": ["analyst"]}


def test_a_token_may_do_what_its_roles_may_and_no_more(server, signer):
    assert ask(server, signer.of("analyst"), "/v1/audit").status_code == 403
    assert ask(server, signer.of("privacy_officer"), "/v1/audit").status_code == 200
    assert ask(server, signer.of("no_role_here"), "/v1/audit").status_code == 403


def hs_signed(signer: Signer, secret: bytes) -> str:
    """A token signed with the public key as if it were a secret."""
    head = encoded(json.dumps({"alg": "HS256", "kid": "rsa-1", "typ": "at+jwt"}).encode())
    signed = f"{head}.{encoded(json.dumps(signer.claims('privacy_officer')).encode())}"
    return f"{signed}.{encoded(hmac.new(secret, signed.encode(), hashlib.sha256).digest())}"


def with_claims_text(signer: Signer, text: str) -> str:
    """A well-signed token whose claims are this text."""
    import jwt

    return jwt.PyJWS().encode(text.encode(), rsa_key(), algorithm="RS256", headers={"kid": "rsa-1", "typ": "at+jwt"})


def unsigned(signer: Signer, algorithm: str) -> str:
    head = encoded(json.dumps({"alg": algorithm, "kid": "rsa-1", "typ": "at+jwt"}).encode())
    return f"{head}.{encoded(json.dumps(signer.claims('privacy_officer')).encode())}."


def cut(token: str) -> str:
    return token.rsplit(".", 1)[0] + "."


def changed(signer: Signer, **changes) -> str:
    return signer.token(signer.claims("privacy_officer", **changes))


def headed(signer: Signer, **header) -> str:
    return signer.token(signer.claims("privacy_officer"), **header)


def now() -> int:
    return int(time.time())


PEM = (Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
FORGERIES = {
    "none": lambda s, _: unsigned(s, "none"),
    "None": lambda s, _: unsigned(s, "None"),
    "no signature": lambda s, _: cut(s.of("privacy_officer")),
    "another signature": lambda s, _: s.of("analyst").rsplit(".", 1)[0] + "." + s.of("marketer").rsplit(".", 1)[1],
    "HS256 with the public key": lambda s, _: hs_signed(s, rsa_key().public_key().public_bytes(*PEM)),
    "ES256 named for an RSA key": lambda s, _: s.token(s.claims("privacy_officer"), algorithm="ES256", kid="rsa-1"),
    "RS512": lambda s, _: s.token(s.claims("privacy_officer"), algorithm="RS512"),
    "a stranger's key": lambda s, _: s.token(s.claims("privacy_officer"), key=another_rsa_key()),
    "expired": lambda s, _: changed(s, iat=now() - 700, exp=now() - 1),
    "not yet": lambda s, _: changed(s, nbf=now() + 3600),
    "issued in the future": lambda s, _: changed(s, iat=now() + 3600, exp=now() + 7200),
    "no exp": lambda s, _: changed(s, exp=None),
    "no iat": lambda s, _: changed(s, iat=None),
    "no aud": lambda s, _: changed(s, aud=None),
    "no iss": lambda s, _: changed(s, iss=None),
    "no sub": lambda s, _: changed(s, sub=None),
    "empty sub": lambda s, _: changed(s, sub=""),
    "wrong aud": lambda s, _: changed(s, aud="another-api"),
    "aud that contains ours": lambda s, _: changed(s, aud=f"{AUDIENCE}-b"),
    "wrong iss": lambda s, _: changed(s, iss=f"{s.issuer}/"),
    "wrong type": lambda s, _: headed(s, typ="logout+jwt"),
    "an identity token": lambda s, _: headed(s, typ="JWT"),
    "no type": lambda s, _: headed(s, typ=None),
    "kid of a path": lambda s, _: headed(s, kid="../../../../dev/null"),
    "kid of a statement": lambda s, _: headed(s, kid="x' UNION SELECT 'secret' --"),
    "no kid": lambda s, _: headed(s, kid=None),
    "jku": lambda s, url: headed(s, jku=url),
    "jwk": lambda s, _: s.token(
        s.claims("privacy_officer"), key=another_rsa_key(), jwk={"kty": "RSA", "n": "AQAB", "e": "AQAB"}
    ),
    "x5u": lambda s, url: headed(s, x5u=url),
    "x5c": lambda s, _: headed(s, x5c=["MIIB"]),
    "an issuer at an address": lambda s, url: changed(s, iss=url),
    "unknown crit": lambda s, _: headed(s, crit=["x"], x=1),
    "a claim twice": lambda s, _: with_claims_text(
        s, json.dumps(s.claims("analyst"))[:-1] + ', "roles": ["privacy_officer"]}'
    ),
    "claims that are no object": lambda s, _: with_claims_text(s, "[]"),
    "good for 100 years": lambda s, _: changed(s, exp=now() + 100 * YEAR),
    "good for longer than a day": lambda s, _: changed(s, exp=now() + 86_460),
    "exp as text": lambda s, _: changed(s, exp=str(now() + 60)),
    "exp before iat": lambda s, _: changed(s, iat=now() + 30, exp=now() + 20),
    "refresh by header": lambda s, _: headed(s, typ="refresh+jwt"),
    "refresh by claim": lambda s, _: changed(s, typ="Refresh"),
    "refresh by use": lambda s, _: changed(s, token_use="refresh"),
    "a recipient who is staff too": lambda s, _: s.of("recipient", "privacy_officer"),
    "too large": lambda s, _: changed(s, padding="a" * 9_000),
    "not a token": lambda _, __: "a.b.c",
    "four parts": lambda s, _: s.of("privacy_officer") + ".x",
}


@pytest.fixture
def listener():
    """A port that would notice a connection."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(0)
        yield listening


@pytest.mark.parametrize("forgery", FORGERIES)
def test_a_forged_token_is_refused_without_a_connection_to_anywhere(server, signer, listener, forgery):
    assert ask(server, signer.of("privacy_officer"), "/v1/audit").status_code == 200
    token = FORGERIES[forgery](signer, f"http://127.0.0.1:{listener.getsockname()[1]}/keys")
    answer = ask(server, token, "/v1/audit")
    assert (answer.status_code, answer.json()["code"]) == (401, "auth.unauthenticated")
    with pytest.raises(BlockingIOError):
        listener.accept()


def test_a_token_of_a_megabyte_is_refused(server, signer):
    try:
        answer = ask(server, changed(signer, padding="a" * 750_000), "/v1/audit")
    except httpx.TransportError:
        return  # the server hangs up while the header is still coming
    assert answer.status_code in (400, 401, 431)


def test_every_forgery_gets_the_same_answer(server, signer, listener):
    url = f"http://127.0.0.1:{listener.getsockname()[1]}/keys"
    told = set()
    for make in FORGERIES.values():
        problem = ask(server, make(signer, url)).json()
        told.add(json.dumps({name: value for name, value in problem.items() if name != "request_id"}))
    assert len(told) == 1


@pytest.mark.parametrize(
    "entries",
    [
        pytest.param(lambda s: [s.entry(is_enabled=False)], id="issuer disabled"),
        pytest.param(lambda s: [s.entry(jwks={"keys": []})], id="key removed"),
        pytest.param(lambda _: [], id="issuer removed"),
        pytest.param(lambda s: [s.entry(audience="another")], id="audience changed"),
        pytest.param(lambda s: [s.entry(tenant="no-such-tenant-here")], id="tenant unknown"),
        pytest.param(lambda s: [s.entry(), s.entry(name="other")], id="file broken"),
    ],
)
def test_what_is_taken_out_of_the_file_is_refused_at_once(server, signer, issuers_file, entries):
    token = signer.of("privacy_officer")
    assert ask(server, token, "/v1/audit").status_code == 200
    write_issuers(issuers_file, entries(signer))
    assert ask(server, token, "/v1/audit").status_code == 401


def test_another_meaning_of_a_role_holds_from_the_next_request_on(server, signer, issuers_file):
    token = signer.of("privacy_officer")
    assert ask(server, token, "/v1/audit").status_code == 200
    write_issuers(issuers_file, [signer.entry(roles={"privacy_officer": "analyst"})])
    assert ask(server, token, "/v1/audit").status_code == 403


def test_refusals_in_an_issuers_name_are_in_the_trail_once_a_minute(server, api, signer, issuers_file):
    # A name of its own: what was said of another test's issuer would count.
    write_issuers(issuers_file, [signer.entry(name=f"idp-{signer.tenant[-12:]}".lower().rstrip("-"))])
    for _ in range(3):
        assert ask(server, changed(signer, aud="another")).status_code == 401
    (refused,) = trail(api, "token.refused")
    assert (refused["reason"], refused["actor"]) == ("audience", "unknown")


def test_a_token_is_no_api_key(server, signer):
    assert server.get("/v1/audit", headers={"X-API-Key": signer.of("privacy_officer")}).status_code == 401
