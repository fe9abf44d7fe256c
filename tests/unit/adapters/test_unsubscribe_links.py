"""Links that unsubscribe: the same grant has the same link, and nobody else can make one."""

import base64
import random
import secrets
from datetime import timedelta

from adapters.secrets import SecretBox
from adapters.unsubscribe_links import UnsubscribeLinks
from domain.one_click import LIFE, UnsubscribeGrant, headers
from domain.values import Purpose
from tests.builders import NOON

GRANT = UnsubscribeGrant(tenant="t", recipient_id="r/1 ü", purpose=Purpose.MARKETING, channel="email", issued_at=NOON)
BOX = SecretBox(secrets.token_bytes(32))
LINKS = UnsubscribeLinks(BOX, "https://example.org/")
MUTATIONS = 100_000


def test_a_token_is_what_it_was_made_for_and_names_nobody():
    token = LINKS.token(GRANT)
    assert LINKS.open(token) == GRANT
    assert LINKS.token(GRANT) == token
    assert b"r/1" not in base64.urlsafe_b64decode(token + "==")
    assert LINKS.url(GRANT) == f"https://example.org/u/{token}"
    assert LINKS.token(GRANT.model_copy(update={"recipient_id": "r2"})) != token


def test_of_a_hundred_thousand_mutated_tokens_none_opens():
    token, dice = LINKS.token(GRANT), random.Random(5)
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    opened = 0
    for _ in range(MUTATIONS):
        place = dice.randrange(len(token))
        mutated = token[:place] + dice.choice(letters) + token[place + 1 :]
        opened += mutated != token and LINKS.open(mutated) is not None
    assert opened == 0


def test_what_is_none_of_ours_does_not_open():
    token = LINKS.token(GRANT)
    others = UnsubscribeLinks(SecretBox(secrets.token_bytes(32)), "https://example.org").token(GRANT)
    for text in ("", "x", token[:-1], token + "A", token + "=", f" {token}", "ü" * 40, "A" * 5_000, others):
        assert LINKS.open(text) is None


def test_it_works_for_a_year():
    assert not GRANT.is_over(NOON + timedelta(days=30))
    assert not GRANT.is_over(NOON + LIFE)
    assert GRANT.is_over(NOON + LIFE + timedelta(seconds=1))


def test_the_headers_are_those_of_rfc_8058():
    assert headers("https://example.org/u/x") == {
        "List-Unsubscribe": "<https://example.org/u/x>",
        "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
    }
