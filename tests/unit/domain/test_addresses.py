"""Addresses: one form before the hash, so that no way of writing gets around the suppression list."""

import pytest

from domain.addresses import BadAddress, address_hash, normalized
from domain.values import Channel

SECRET = b"s" * 32


@pytest.mark.parametrize(
    ("channel", "ways"),
    [
        (Channel.EMAIL, ["Ann@Example.org", " ann@example.org ", "ANN@EXAMPLE.ORG", "\uff21nn@example.org"]),
        (Channel.SMS, ["+1 (415) 555-0100", "+14155550100", "+1.415.555.0100"]),
        (Channel.PUSH, ["Token-1", " Token-1 "]),
    ],
)
def test_every_way_of_writing_an_address_is_one_hash(channel, ways):
    assert len({address_hash(SECRET, channel, way) for way in ways}) == 1


def test_a_hash_depends_on_the_tenant_and_on_the_kind_of_address_only():
    sms = address_hash(SECRET, Channel.SMS, "+14155550100")
    assert sms == address_hash(SECRET, Channel.VOICE, "+14155550100")
    assert sms != address_hash(b"t" * 32, Channel.SMS, "+14155550100")
    assert sms != address_hash(SECRET, Channel.PUSH, "+14155550100")
    assert normalized(Channel.PUSH, "Token-1") != normalized(Channel.PUSH, "token-1")


@pytest.mark.parametrize(
    ("channel", "address"),
    [
        (Channel.EMAIL, "ann"),
        (Channel.EMAIL, "a@b@c"),
        (Channel.EMAIL, "a b@example.org"),
        (Channel.SMS, "2025550100"),
        (Channel.SMS, "+0123456789"),
        (Channel.VOICE, "+1999"),
        (Channel.PUSH, "   "),
        (Channel.PUSH, "x" * 321),
    ],
)
def test_what_is_no_address_is_refused_without_being_repeated(channel, address):
    with pytest.raises(BadAddress) as refused:
        normalized(channel, address)
    assert not address.strip() or address not in str(refused.value)
