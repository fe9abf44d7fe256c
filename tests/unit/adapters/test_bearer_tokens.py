"""A file of issuers that would take what it must not take is refused, with the place and without the value."""

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from adapters.bearer_tokens import BearerTokens
from adapters.settings import BadSettings, Settings
from tests.tokens import Signer, rsa_key, write_issuers

ENTRY = Signer("t").entry()


def with_key(**key):
    return ENTRY | {"jwks": {"keys": [{"kid": "k"} | key]}}


def rsa_jwk(key):
    return jwt.algorithms.RSAAlgorithm.to_jwk(key, as_dict=True)


SMALL = rsa.generate_private_key(public_exponent=65537, key_size=1024).public_key()  # noqa: S505 - it is to be refused
P384 = jwt.algorithms.ECAlgorithm.to_jwk(ec.generate_private_key(ec.SECP384R1()).public_key(), as_dict=True)
BAD = {
    "a shared secret": with_key(kty="oct", k="c2VjcmV0"),
    "a private key": with_key(**rsa_jwk(rsa_key())),
    "a small key": with_key(**rsa_jwk(SMALL)),
    "another curve": with_key(**P384),
    "a key for encryption": with_key(**rsa_jwk(rsa_key().public_key()), use="enc"),
    "a key without kid": ENTRY | {"jwks": {"keys": [rsa_jwk(rsa_key().public_key())]}},
    "no keys": ENTRY | {"jwks": {}},
    "a platform administrator": ENTRY | {"roles": {"x": "platform_admin"}},
    "an unknown role": ENTRY | {"roles": {"x": "king"}},
    "two days": ENTRY | {"longest_hours": 48},
    "an unknown field": ENTRY | {"jwks_uri": "https://id.example/keys"},
}


def opened(path):
    return BearerTokens.of(Settings(token_issuers_file=path))


@pytest.mark.parametrize("name", BAD)
def test_a_file_that_would_take_too_much_stops_the_start(tmp_path, name):
    path = tmp_path / "issuers.json"
    write_issuers(path, [BAD[name]])
    with pytest.raises(BadSettings, match="KAIROS_TOKEN_ISSUERS_FILE: ") as refused:
        opened(path)
    assert "c2VjcmV0" not in str(refused.value)


def test_the_file_these_are_made_from_is_taken(tmp_path):
    path = tmp_path / "issuers.json"
    write_issuers(path, [ENTRY])
    opened(path)


def test_an_issuer_cannot_speak_for_two_tenants(tmp_path):
    path = tmp_path / "issuers.json"
    write_issuers(path, [ENTRY, ENTRY | {"name": "b", "tenant": "other"}])
    with pytest.raises(BadSettings, match="same issuer"):
        opened(path)


def test_a_file_that_is_not_there_stops_the_start(tmp_path):
    with pytest.raises(BadSettings, match="cannot be read"):
        opened(tmp_path / "none.json")
